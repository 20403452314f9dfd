//! One mariadbd process: started, stopped, asked, and its error log read.

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::root::Root;
use super::sql::{self, Fields, STATEMENT_TIMEOUT};
use super::{PATIENCE, wait_until};

/// A place in an error log, to look at what came after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogMark(usize);

/// A server with a folder of its own: `my.cnf`, `data`, `tmp`, `error.log`, the socket `s`.
#[derive(Debug)]
pub struct Server {
    name: String,
    dir: PathBuf,
    path: String,
    env: Vec<(String, String)>,
    root: Mutex<Root>,
    process: Mutex<Option<Child>>,
}

impl Server {
    /// A server that is not running yet; `path` and `env` become its whole environment.
    pub fn new(name: &str, dir: &Path, path: &str, env: Vec<(String, String)>) -> Self {
        Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            path: path.to_owned(),
            env,
            root: Mutex::default(),
            process: Mutex::default(),
        }
    }

    /// From its next start on it is the server of another root directory, on the same files: an upgrade.
    pub fn move_to(&self, root: &Root) {
        *self.root.lock().unwrap() = root.clone();
    }

    /// A program of the server's own version.
    pub fn command(&self, program: &str) -> Command {
        let env = self.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let mut command =
            self.root.lock().unwrap().command(program, [("PATH", self.path.as_str())].into_iter().chain(env));
        command.current_dir(&self.dir).stdin(Stdio::null());
        command
    }

    /// The node's name, such as `n1`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server's own folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The data directory.
    pub fn datadir(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// The unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("s")
    }

    /// The option file that `--defaults-file` names.
    pub fn cnf(&self) -> PathBuf {
        self.dir.join("my.cnf")
    }

    /// Starts mariadbd with `arguments` after `--defaults-file`; does not wait for anything.
    pub fn spawn(&self, arguments: &[&str]) {
        assert!(!self.is_running(), "{} is running already", self.name);
        let child = self
            .command("mariadbd")
            .arg(format!("--defaults-file={}", self.cnf().display()))
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start mariadbd: {e}: run scripts/install-deps"));
        *self.process.lock().unwrap() = Some(child);
    }

    /// The process id of mariadbd.
    pub fn pid(&self) -> Option<u32> {
        self.process.lock().unwrap().as_ref().map(Child::id)
    }

    /// Does the process live?
    pub fn is_running(&self) -> bool {
        self.exit_status().is_none() && self.pid().is_some()
    }

    /// How the process ended, if it did.
    pub fn exit_status(&self) -> Option<ExitStatus> {
        self.process
            .lock()
            .unwrap()
            .as_mut()
            .and_then(|child| child.try_wait().expect("cannot wait for mariadbd"))
    }

    /// Sends a signal to mariadbd.
    pub fn signal(&self, signal: Signal) {
        let pid = self.pid().unwrap_or_else(|| panic!("{} was never started", self.name));
        let pid = i32::try_from(pid).expect("a process id fits");
        kill(Pid::from_raw(pid), signal).unwrap_or_else(|e| panic!("cannot signal {}: {e}", self.name));
    }

    /// Shuts the server down in good order and waits for its end.
    pub fn stop(&self) {
        self.signal(Signal::SIGTERM);
        let status = self.wait_ended(PATIENCE);
        assert!(status.success(), "{} ended with {status}\n{}", self.name, self.log_tail());
    }

    /// SIGKILL, as a crash or the OOM killer does; waits for the end.
    pub fn kill9(&self) {
        self.signal(Signal::SIGKILL);
        let status = self.wait_ended(PATIENCE);
        assert_eq!(status.signal(), Some(9), "{} ended otherwise", self.name);
    }

    /// Waits for the end of the process and forgets it.
    pub fn wait_ended(&self, timeout: Duration) -> ExitStatus {
        let ended = wait_until(timeout, || self.exit_status().is_some());
        assert!(ended, "{} did not end within {timeout:?}\n{}", self.name, self.log_tail());
        let child = self.process.lock().unwrap().take();
        child.and_then(|mut c| c.wait().ok()).expect("the process has ended")
    }

    /// Waits until the server answers on its socket.
    pub fn wait_answering(&self, timeout: Duration) {
        self.wait_for("an answer", timeout, || self.try_sql("SELECT 1").is_ok());
    }

    /// Waits for a condition; panics with the end of the log when the time is over or the process has ended.
    pub fn wait_for(&self, what: &str, timeout: Duration, mut condition: impl FnMut() -> bool) {
        let mut dead = false;
        let held = wait_until(timeout, || {
            dead = !self.is_running();
            dead || condition()
        });
        assert!(!dead, "{} ended while waiting for {what}\n{}", self.name, self.log_tail());
        assert!(held, "{}: no {what} within {timeout:?}\n{}", self.name, self.log_tail());
    }

    /// A session of its own.
    pub fn session(&self) -> mysql::Conn {
        sql::connect(&self.socket(), STATEMENT_TIMEOUT)
            .unwrap_or_else(|e| panic!("cannot connect to {}: {e}\n{}", self.name, self.log_tail()))
    }

    /// Runs one statement in a new session.
    pub fn try_sql(&self, statement: &str) -> mysql::Result<Vec<Fields>> {
        sql::query(&mut sql::connect(&self.socket(), STATEMENT_TIMEOUT)?, statement)
    }

    /// The rows of one statement.
    pub fn sql(&self, statement: &str) -> Vec<Fields> {
        self.sql_all(&[statement])
    }

    /// Runs one statement.
    pub fn exec(&self, statement: &str) {
        self.sql(statement);
    }

    /// Runs statements in one session, so that `SET SESSION` and `USE` hold; the rows of the last one.
    pub fn sql_all(&self, statements: &[&str]) -> Vec<Fields> {
        let mut session = self.session();
        let mut rows = Vec::new();
        for statement in statements {
            rows = sql::query(&mut session, statement)
                .unwrap_or_else(|e| panic!("{}: {e}\nin: {statement}", self.name));
        }
        rows
    }

    /// The first column of the first row.
    pub fn scalar(&self, statement: &str) -> String {
        let first = self.sql(statement).into_iter().next().and_then(|row| row.into_iter().next());
        first.unwrap_or_else(|| panic!("{}: no row from: {statement}", self.name))
    }

    /// A status variable; empty when the server does not answer or has none of that name.
    pub fn status(&self, name: &str) -> String {
        let rows = self.try_sql(&format!("SHOW GLOBAL STATUS LIKE '{name}'"));
        rows.ok().and_then(|mut rows| rows.pop()?.pop()).unwrap_or_default()
    }

    /// A global system variable.
    pub fn variable(&self, name: &str) -> String {
        self.scalar(&format!("SELECT @@GLOBAL.{name}"))
    }

    /// Major and minor number of its version.
    pub fn series(&self) -> (u32, u32) {
        let version = self.variable("version");
        let mut numbers = version.split('.').map(|part| part.parse().expect("a version is of numbers"));
        (numbers.next().expect("a major number"), numbers.next().expect("a minor number"))
    }

    /// Whether its redo log has the format whose pages and end the program understands: that of MariaDB 10.8 and later.
    pub fn has_followable_redo(&self) -> bool {
        self.series() >= (10, 8)
    }

    /// Runs a script in the `mariadb` client, for what only the client can do (`DELIMITER`, `source`).
    pub fn client(&self, script: &str) -> String {
        let output = Command::new("mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names", "-uroot"])
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--execute={script}"))
            .output()
            .expect("no mariadb client here: run scripts/install-deps");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", self.name);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The whole error log of all runs so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.join("error.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The present end of the log.
    pub fn log_mark(&self) -> LogMark {
        LogMark(fs::metadata(self.dir.join("error.log")).map_or(0, |m| usize::try_from(m.len()).unwrap_or(0)))
    }

    /// What came into the log after the mark.
    pub fn log_since(&self, mark: LogMark) -> String {
        let bytes = fs::read(self.dir.join("error.log")).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(mark.0..).unwrap_or_default()).into_owned()
    }

    /// Waits until a line with `text` has come into the log after the mark, and gives that line.
    pub fn wait_log(&self, mark: LogMark, text: &str, timeout: Duration) -> String {
        let find = || self.log_since(mark).lines().find(|l| l.contains(text)).map(str::to_owned);
        self.wait_for(&format!("'{text}' in the log"), timeout, || find().is_some());
        find().expect("just seen")
    }

    /// The last lines of the log, for messages.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n");
        format!("--- the end of {}'s log:\n{tail}\n---", self.name)
    }
}

impl Drop for Server {
    /// SIGKILL and no farewell: the data is thrown away, and a server that is frozen never answers SIGTERM.
    fn drop(&mut self) {
        if let Ok(process) = self.process.get_mut()
            && let Some(mut child) = process.take()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
