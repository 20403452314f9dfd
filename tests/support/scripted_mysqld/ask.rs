//! What mysqld passes to the program: the shell line, the environment, the descriptors.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::ear::{Ear, Reply};
use super::run::{Outcome, Run};
use super::{ASKED, PAUSED, ScriptedMysqld};
use crate::support::scratch::ServerUser;

/// What the program finds on stdin.
#[derive(Debug, Clone)]
pub enum Stdin {
    /// `/dev/null`, as under systemd.
    Null,
    /// These bytes, then its end: MariaDB 11.6 and later.
    Text(String),
    /// These bytes, and a writer that never closes.
    Endless(String),
    /// A terminal on which nobody types.
    Terminal,
}

/// A state transfer about to be asked for. The defaults are those of MariaDB 10.11 and `garbd --sst backup`.
#[derive(Debug)]
pub struct Ask<'a> {
    pub(super) server: &'a ScriptedMysqld,
    program: String,
    address: String,
    progress: u8,
    gtid: String,
    options: String,
    form: Option<String>,
    env: Vec<(String, Option<String>)>,
    stdin: Stdin,
    reply: Reply,
    deaf_after: Option<&'static str>,
    under: Option<String>,
    user: Option<u32>,
    error_log: bool,
    strace: Option<String>,
    descriptors: Option<u32>,
    largest_file: Option<u64>,
}

impl<'a> Ask<'a> {
    pub(super) fn new(server: &'a ScriptedMysqld) -> Self {
        Self {
            server,
            // Examples share this folder, and cargo names the binary to tests only.
            program: option_env!("CARGO_BIN_EXE_wsrep_sst_backup").unwrap_or("wsrep_sst_backup").to_owned(),
            address: String::new(),
            progress: 0,
            gtid: ASKED.to_owned(),
            options: String::new(),
            form: None,
            env: vec![("WSREP_SST_OPT_AUTH".into(), Some(String::new()))],
            stdin: Stdin::Null,
            reply: Reply::once(PAUSED),
            deaf_after: None,
            under: None,
            user: None,
            error_log: false,
            strace: None,
            descriptors: None,
            largest_file: None,
        }
    }

    /// Another program than the one of this test.
    pub fn program(mut self, program: &str) -> Self {
        program.clone_into(&mut self.program);
        self
    }

    /// `garbd --sst backup:ADDRESS`.
    pub fn address(mut self, address: &str) -> Self {
        address.clone_into(&mut self.address);
        self
    }

    /// `--progress 1`: a server that shows progress.
    pub fn progress(mut self) -> Self {
        self.progress = 1;
        self
    }

    /// `--gtid`.
    pub fn gtid(mut self, gtid: &str) -> Self {
        gtid.clone_into(&mut self.gtid);
        self
    }

    /// Further options as shell text, behind the others.
    pub fn options(mut self, text: &str) -> Self {
        self.options = format!("{} {text}", self.options);
        self
    }

    /// All options as shell text; `DATADIR`, `SOCKET` and `CNF` stand for this server's.
    pub fn form(mut self, text: &str) -> Self {
        self.form = Some(text.to_owned());
        self
    }

    /// A variable of mysqld's environment; `None` takes it away.
    pub fn env(mut self, name: &str, value: Option<&str>) -> Self {
        self.env.push((name.to_owned(), value.map(str::to_owned)));
        self
    }

    /// stdin.
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    /// What follows `flush tables`.
    pub fn reply(mut self, reply: Reply) -> Self {
        self.reply = reply;
        self
    }

    /// mysqld closes its end of the pipe after this line.
    pub fn deaf_after(mut self, line: &'static str) -> Self {
        self.deaf_after = Some(line);
        self
    }

    /// Between the test and the shell stands a process that can be killed as mysqld: `timeout`, or a copy of it.
    pub fn under(mut self, timeout: &Path) -> Self {
        self.under = Some(timeout.to_string_lossy().into_owned());
        self
    }

    /// stderr is mysqld's error log, a file: [`ScriptedMysqld::log`] writes to it too. Else it is a pipe.
    pub fn error_log(mut self) -> Self {
        self.error_log = true;
        self
    }

    /// Under `strace -f` with these options, which can make system calls fail or hang; each thread counts its own.
    /// What it writes comes into [`ScriptedMysqld::trace`]. The program stays the child that the shell becomes (`-D`).
    pub fn strace(mut self, options: &str) -> Self {
        let _ = std::fs::remove_file(self.server.trace());
        self.strace = Some(options.to_owned());
        self
    }

    /// It may have so many files open.
    pub fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// No file that it makes may be larger, bytes.
    pub fn largest_file(mut self, bytes: u64) -> Self {
        self.largest_file = Some(bytes);
        self
    }

    /// As this user, who owns the server's files from now on and gets a copy of the program that it can reach.
    pub fn run_as(mut self, user: &ServerUser) -> Self {
        user.own_tree(&self.server.path(""));
        let copy = self.server.path("wsrep_sst_backup");
        crate::support::copy_program(&self.program, &copy);
        self.program = copy.to_string_lossy().into_owned();
        self.user = Some(user.uid);
        self
    }

    /// Starts the program and listens to it to its end.
    pub fn run(self) -> Outcome {
        self.start().finish()
    }

    /// Starts the program.
    pub fn start(self) -> Run {
        let mut command = self.command();
        let (stdin, hold) = self.open_stdin();
        let log = self.error_log.then(|| self.server.error_log());
        let stderr = log.as_ref().map_or_else(Stdio::piped, |path| {
            let file = File::options().append(true).create(true).open(path);
            file.expect("cannot open the error log").into()
        });
        command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().expect("cannot start a shell");
        let stdout = child.stdout.take().expect("stdout is a pipe");
        let ear = Ear::listen(stdout, self.server, self.reply, self.deaf_after);
        let status_file = self.under.is_some().then(|| self.server.path("exit"));
        Run::new(child, ear, status_file, log, hold)
    }

    fn command(&self) -> Command {
        let datadir = self.server.datadir();
        let leaked = "3<>grastate.dat 4>&1 7>&1 9<grastate.dat";
        let strace = self.strace.as_ref().map_or_else(String::new, |options| {
            format!("strace -D -f -qq -o {} {options} ", quoted(&self.server.trace().to_string_lossy()))
        });
        let call = format!("{strace}{} {}", quoted(&self.program), self.arguments());
        let mut command = if let Some(timeout) = &self.under {
            let exit = quoted(&self.server.path("exit").to_string_lossy());
            let line = format!("umask 0006; {call} {leaked}; echo $? > {exit}");
            let mut command = Command::new(timeout);
            command.args(["-s", "KILL", "100", "sh", "-c", &line]);
            command
        } else {
            let mut command = Command::new("sh");
            let limit = self.descriptors.map_or_else(String::new, |most| format!("ulimit -n {most}; "));
            // A shell counts in blocks of 512 bytes.
            let largest =
                self.largest_file.map_or_else(String::new, |bytes| format!("ulimit -f {}; ", bytes >> 9));
            command.args(["-c", &format!("umask 0006; {limit}{largest}exec {call} {leaked}")]);
            command
        };
        if let Some(user) = self.user {
            command.uid(user);
        }
        command.current_dir(datadir).env_clear().env("PATH", "/usr/bin:/usr/sbin:/sbin:/bin");
        command.env("HOME", self.server.path("home"));
        for (name, value) in &self.env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    fn arguments(&self) -> String {
        let path = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let datadir = format!("{}/", path(self.server.datadir()));
        let (socket, cnf) = (path(self.server.socket()), path(self.server.cnf()));
        if let Some(form) = &self.form {
            return form.replace("DATADIR", &datadir).replace("SOCKET", &socket).replace("CNF", &cnf);
        }
        format!(
            "--role 'donor' --address {} --local-port 3306 --socket {} --progress {} --datadir {} \
             --defaults-file {} --gtid {} --gtid-domain-id 0{}",
            quoted(&self.address),
            quoted(&socket),
            self.progress,
            quoted(&datadir),
            quoted(&cnf),
            quoted(&self.gtid),
            self.options
        )
    }

    /// stdin, and what keeps it open.
    fn open_stdin(&self) -> (Stdio, Vec<Box<dyn Send>>) {
        let pipe = |text: &str| {
            let (reader, mut writer) = std::io::pipe().expect("cannot make a pipe");
            writer.write_all(text.as_bytes()).expect("cannot fill a pipe");
            (reader, writer)
        };
        match &self.stdin {
            Stdin::Null => (Stdio::null(), Vec::new()),
            Stdin::Text(text) => (pipe(text).0.into(), Vec::new()),
            Stdin::Endless(text) => {
                let (reader, writer) = pipe(text);
                (reader.into(), vec![Box::new(writer)])
            }
            Stdin::Terminal => {
                let terminal = File::options().read(true).write(true).open("/dev/ptmx");
                (terminal.expect("cannot open a terminal").into(), Vec::new())
            }
        }
    }
}

/// A value as mysqld passes it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}
