//! The program as an administrator starts it, and the repositories it is pointed at.
//!
//! It runs with a clean environment and, unless a test says otherwise, without the machine's own option files,
//! so that only what the test says counts.

pub mod disk;
pub mod dumps;
pub mod forge;
pub mod history;
pub mod memory;
pub mod records;
pub mod tree;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

pub use self::disk::SmallDisk;
use super::scratch::ServerUser;
use super::{copy_program, wait_until};

/// A command that takes longer than this hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// A command about to be started.
#[derive(Debug)]
pub struct Cli {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(String, String)>,
    defaults: bool,
    folder: Option<PathBuf>,
    user: Option<ServerUser>,
}

/// The words of a command line; one with blanks in it needs [`Cli::arg`].
pub fn cli(line: &str) -> Cli {
    Cli {
        program: option_env!("CARGO_BIN_EXE_wsrep_sst_backup").unwrap_or("wsrep_sst_backup").into(),
        args: line.split_whitespace().map(OsString::from).collect(),
        env: Vec::new(),
        defaults: true,
        folder: None,
        user: None,
    }
}

impl Cli {
    /// One more argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Another program than the one of this test.
    pub fn program(mut self, program: impl AsRef<Path>) -> Self {
        program.as_ref().clone_into(&mut self.program);
        self
    }

    /// `--repository DIR`.
    pub fn on(self, repository: &Path) -> Self {
        self.arg("--repository").arg(repository)
    }

    /// `--to DIR`.
    pub fn to(self, target: &Path) -> Self {
        self.arg("--to").arg(target)
    }

    /// An environment variable.
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Leaves the choice of option files to the arguments of the test.
    pub fn own_defaults(mut self) -> Self {
        self.defaults = false;
        self
    }

    /// The working directory.
    pub fn within(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.to_owned());
        self
    }

    /// As this user, with a copy of the program in `folder`, where that user can reach it.
    pub fn user(mut self, user: &ServerUser, folder: &Path) -> Self {
        let copy = folder.join("wsrep_sst_backup");
        copy_program(&self.program, &copy);
        self.program = copy;
        self.user = Some(user.clone());
        self
    }

    /// The command, for a test that wants its own pipes.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/nonexistent");
        if self.defaults {
            command.args(["--defaults-file", "/dev/null"]);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        if let Some(user) = &self.user {
            user.run_as(&mut command);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        let mut child = self.command().spawn().expect("cannot start the program");
        let stdout = child.stdout.take().map(Collected::from);
        let stderr = child.stderr.take().map(Collected::from);
        Running { child, stdout, stderr, peak_kib: 0 }
    }

    /// Runs it to its end.
    pub fn run(&self) -> Answer {
        self.start().finish()
    }
}

/// What comes out of a pipe, while it comes.
#[derive(Debug)]
struct Collected {
    bytes: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

impl Collected {
    fn from(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&bytes);
        let thread = std::thread::spawn(move || {
            let mut piece = [0; 1 << 14];
            while let Ok(count @ 1..) = pipe.read(&mut piece) {
                all.lock().expect("nobody panics with it").extend_from_slice(&piece[..count]);
            }
        });
        Self { bytes, thread }
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().expect("nobody panics with it")).into_owned()
    }

    fn all(self) -> String {
        let Self { bytes, thread } = self;
        let _ = thread.join();
        String::from_utf8_lossy(&bytes.lock().expect("nobody panics with it")).into_owned()
    }
}

/// A command that runs; it is killed when the test gives up.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: Option<Collected>,
    stderr: Option<Collected>,
    peak_kib: u64,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `condition` holds; the command must not end before.
    pub fn wait_for(&mut self, what: &str, condition: impl Fn() -> bool) {
        let begun = Instant::now();
        while !condition() {
            let ended = self.child.try_wait().expect("cannot wait for the program");
            assert!(ended.is_none(), "the program ended before {what}");
            assert!(begun.elapsed() < LIMIT, "no {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it says this on stderr; it must not end before.
    pub fn wait_said(&mut self, text: &str) {
        let Some(stderr) = self.stderr.take() else { panic!("its stderr is taken") };
        self.wait_for(text, || stderr.so_far().contains(text));
        self.stderr = Some(stderr);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).expect("a pid"));
        kill(pid, signal).expect("cannot send a signal");
    }

    /// Waits for its end.
    pub fn finish(mut self) -> Answer {
        let begun = Instant::now();
        let status = loop {
            self.peak_kib = self.peak_kib.max(peak_kib(self.pid()));
            if let Some(status) = self.child.try_wait().expect("cannot wait for the program") {
                break status;
            }
            assert!(begun.elapsed() < LIMIT, "the program has not ended within {} s", LIMIT.as_secs());
            std::thread::sleep(Duration::from_millis(1));
        };
        let text = |pipe: Option<Collected>| pipe.map(Collected::all).unwrap_or_default();
        let (stdout, stderr) = (text(self.stdout.take()), text(self.stderr.take()));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Answer { status: status.code(), stdout, stderr, peak_kib: self.peak_kib }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Most memory that a process has had, the system's own word for it (`VmHWM`), KiB; 0 when it has ended. What of it are pages of
/// files counts as far as [`PROGRAM_KIB`] goes: a program that is not optimised is several times as large.
pub fn peak_kib(pid: u32) -> u64 {
    // A child that is just being started still shows the memory of this process, and its program.
    let program = |pid: &str| fs::read_link(format!("/proc/{pid}/exe")).ok();
    if program(&pid.to_string()) == program("self") {
        return 0;
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0)
    };
    kib("VmHWM:").saturating_sub(kib("RssFile:").saturating_sub(PROGRAM_KIB))
}

/// Pages of its own file that the optimised program has in memory, and some more: 12 MiB were seen.
const PROGRAM_KIB: u64 = 16 << 10;

/// What a command has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The exit status; none after a signal.
    pub status: Option<i32>,
    /// Every byte of stdout.
    pub stdout: String,
    /// Every byte of stderr.
    pub stderr: String,
    /// Most memory that was seen in use, KiB.
    pub peak_kib: u64,
}

impl Answer {
    /// It did what it was asked and had nothing to complain about; stdout.
    #[track_caller]
    pub fn done(&self) -> &str {
        assert_eq!((self.status, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        &self.stdout
    }

    /// The same as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(self.done()).expect("stdout is JSON")
    }

    /// It ended with this status and exactly this message on stderr, and stdout has nothing.
    #[track_caller]
    pub fn fails(&self, status: i32, message: &str) {
        assert_eq!((self.stderr.as_str(), self.stdout.as_str()), (&*format!("error: {message}\n"), ""));
        assert_eq!(self.status, Some(status), "{message}");
    }

    /// It ended with this status and one line on stderr that has this text in it, and stdout has nothing.
    #[track_caller]
    pub fn fails_with(&self, status: i32, text: &str) {
        let line = self.stderr.strip_prefix("error: ").and_then(|rest| rest.strip_suffix('\n'));
        let line = line.unwrap_or_else(|| panic!("not a message: {self:?}"));
        assert!(line.contains(text) && !line.contains('\n'), "no '{text}' in: {line}");
        assert_eq!((self.status, self.stdout.as_str()), (Some(status), ""), "{line}");
    }
}

/// A folder of the test's own that everybody may enter.
pub fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("wsc-").tempdir_in("/tmp").expect("cannot make a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("cannot chmod");
    folder
}

/// A process with the name of a server; it ends with the test.
#[derive(Debug)]
pub struct FakeServer(Child);

impl FakeServer {
    /// `name` is started in `folder`, whose parent takes the copy of the program that bears the name, with `stdin`.
    pub fn start(name: &str, program: &Path, folder: &Path, stdin: Stdio) -> Self {
        let program = program.join(name);
        let which = Command::new("sh").args(["-c", "command -v sleep"]).output().expect("cannot find sleep");
        copy_program(String::from_utf8_lossy(&which.stdout).trim(), &program);
        let child = Command::new(&program).arg("60").current_dir(folder).stdin(stdin).spawn();
        let server = Self(child.expect("cannot start the fake server"));
        let comm = format!("/proc/{}/comm", server.pid());
        assert!(wait_until(LIMIT, || fs::read_to_string(&comm).is_ok_and(|text| text.trim() == name)));
        server
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
