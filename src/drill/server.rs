//! A server in the scratch folder, which does not outlive this program.

use std::ffi::{OsStr, OsString};
use std::iter;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::error::DrillError;
use super::home::{ServerHome, last_words};
use super::watch::{DrillProcess, DrillWatch, held};
use crate::child::{self, Leashed};
use crate::guard::gentle_guard;
use crate::priority::KeptPriority;
use crate::sql::{Account, SqlSession};

/// Between two looks at a server.
const POLL: Duration = Duration::from_millis(50);
/// The longest that a statement is waited for: a signal or `--max-load` ends it before, by ending the server.
const STATEMENT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A server that runs, or has run.
pub(super) struct DrillServer<'a> {
    home: Arc<ServerHome>,
    watch: &'a DrillWatch,
    /// Where its part of the log begins.
    mark: u64,
}

/// A server that is to be a member of a cluster for a while.
pub(super) struct Guest<'a> {
    /// Its arguments.
    pub(super) args: &'a [String],
    /// Where it finds programs.
    pub(super) path: &'a OsStr,
    /// Its priority.
    pub(super) priority: &'a KeptPriority,
    /// The longest that it may stay, whatever becomes of this program.
    pub(super) stay: Duration,
}

impl<'a> DrillServer<'a> {
    /// Starts it with more arguments, as the user that owns its files.
    pub(super) fn start(
        home: &Arc<ServerHome>,
        program: &Path,
        args: &[&str],
        watch: &'a DrillWatch,
    ) -> Result<Self, DrillError> {
        let command = child::command(program, iter::once(options(home).as_str()).chain(args.iter().copied()));
        Self::spawn(home, program, command, None, watch)
    }

    /// The same for one that is to be a member of a cluster: it is always asked to end first, so that it leaves the cluster in good order,
    /// also where this program is killed, or stands still for longer than the guest may stay.
    pub(super) fn start_guest(
        home: &Arc<ServerHome>,
        program: &Path,
        guest: &Guest<'_>,
        watch: &'a DrillWatch,
    ) -> Result<Self, DrillError> {
        let mut words: Vec<OsString> = vec![program.into(), options(home).into()];
        words.extend(guest.args.iter().map(OsString::from));
        Self::spawn(home, program, gentle_guard(&words, guest.stay), Some(guest), watch)
    }

    fn spawn(
        home: &Arc<ServerHome>,
        program: &Path,
        mut command: Command,
        guest: Option<&Guest<'_>>,
        watch: &'a DrillWatch,
    ) -> Result<Self, DrillError> {
        let failed = DrillError::system("start", program);
        let log = home.open_log()?;
        let errors = log.try_clone().map_err(&failed)?;
        command.stdin(home.open_lock()?).stdout(log).stderr(errors).current_dir(home.folder());
        if let Some((uid, gid)) = home.owner {
            // It gets nothing of root's but where programs are.
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command.uid(uid).gid(gid);
        }
        let mark = home.log_end();
        let process = match guest {
            None => command.spawn(),
            Some(guest) => {
                command.env("PATH", guest.path);
                guest.priority.spawn(command)
            }
        };
        let process = Leashed(process.map_err(&failed)?);
        *held(watch.server()) = Some(DrillProcess { process, is_guest: guest.is_some() });
        Ok(Self { home: Arc::clone(home), watch, mark })
    }

    /// What it has beside its data.
    pub(super) fn home(&self) -> &Arc<ServerHome> {
        &self.home
    }

    /// What it was ended for before its time, where it was.
    pub(super) fn given_up(&self) -> Option<String> {
        self.watch.given_up()
    }

    /// Waits until it answers; why it does not.
    pub(super) fn wait_answering(&self) -> Result<(), String> {
        loop {
            if let Some(why) = self.watch.given_up() {
                return Err(why);
            }
            if let Some(status) = self.status()? {
                return Err(format!("the server has ended ({status}): {}", last_words(&self.log())));
            }
            if SqlSession::connect(&self.home.endpoint(), &root()).is_ok() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }

    /// A session whose statements may take their time.
    pub(super) fn session(&self) -> Result<SqlSession, String> {
        let mut session = SqlSession::connect_within(&self.home.endpoint(), &root(), STATEMENT)?;
        session.take_time()?;
        Ok(session)
    }

    /// Waits until it has ended by itself; its log.
    pub(super) fn wait_end(&self) -> Result<(ExitStatus, String), String> {
        loop {
            if let Some(why) = self.watch.given_up() {
                return Err(why);
            }
            if let Some(status) = self.status()? {
                return Ok((status, self.log()));
            }
            std::thread::sleep(POLL);
        }
    }

    /// Shuts it down, and sees that it has ended well.
    pub(super) fn stop(&mut self) -> Result<(), String> {
        if let Some(server) = held(self.watch.server()).as_ref() {
            server.signal(Signal::SIGTERM);
        }
        let (status, log) = self.wait_end()?;
        if status.success() {
            return Ok(());
        }
        Err(format!("the server did not shut down well ({status}): {}", last_words(&log)))
    }

    /// Why something failed, with the server's own words where it has ended over it.
    pub(super) fn with_words(&self, why: &str) -> String {
        // The end of a connection is seen before that of its process.
        std::thread::sleep(POLL);
        match self.status() {
            Ok(Some(status)) => {
                format!("{why}; the server has ended ({status}): {}", last_words(&self.log()))
            }
            _ => why.to_owned(),
        }
    }

    /// How it has ended, where it has.
    pub(super) fn status(&self) -> Result<Option<ExitStatus>, String> {
        let mut server = held(self.watch.server());
        let Some(server) = server.as_mut() else { return Err("the server was not started".into()) };
        let ended = server.process.0.try_wait();
        let ended = ended.map_err(|error| format!("the server cannot be waited for: {error}"))?;
        if let Some(status) = ended.filter(|status| !status.success()) {
            self.watch.has_ended(status, &self.log());
        }
        Ok(ended)
    }

    /// What it has said; no more than the end of it.
    pub(super) fn log(&self) -> String {
        self.home.log_since(self.mark)
    }
}

impl Drop for DrillServer<'_> {
    /// Ends it, and waits for that.
    fn drop(&mut self) {
        let Some(mut server) = held(self.watch.server()).take() else { return };
        if server.is_guest && matches!(server.process.0.try_wait(), Ok(None)) {
            server.signal(Signal::SIGTERM);
            // Its guard sees to it that this has an end.
            let _ = server.process.0.wait();
        }
    }
}

/// Everybody who reaches the socket may do everything; a server that knows accounts has this one, without a password.
fn root() -> Account {
    Account { user: Some("root".into()), ..Account::default() }
}

/// The argument by which it finds its options.
fn options(home: &ServerHome) -> String {
    format!("--defaults-file={}", home.options().display())
}
