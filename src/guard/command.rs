//! A command that runs below its guard, as the program sees it that wants it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

use super::descendants;
use super::words::{GENTLY, GRACE, GUARD_COMMAND};
use crate::child;

/// A command that runs.
#[derive(Debug)]
pub struct GuardedCommand {
    guard: Child,
    /// None while it may run.
    asked: Option<Instant>,
}

impl GuardedCommand {
    /// Starts it with more variables in its environment. To be called by the thread that lives as long as the process: the kernel
    /// takes its end for the parent's.
    pub fn start(command: &[OsString], environment: &[(&str, OsString)]) -> io::Result<Self> {
        Self::spawn(guarding(command).envs(environment.iter().map(|(name, value)| (name, value))))
    }

    /// Starts it with nothing to read; what it says goes into a file.
    pub fn start_logged(command: &[OsString], log: File) -> io::Result<Self> {
        let errors = log.try_clone()?;
        Self::spawn(guarding(command).stdin(Stdio::null()).stdout(log).stderr(errors))
    }

    fn spawn(guard: &mut Command) -> io::Result<Self> {
        prctl::set_child_subreaper(true)?;
        Ok(Self { guard: guard.spawn()?, asked: None })
    }

    /// The exit status that a shell would give, once the command has ended: that of the command, or 128 and the signal that has ended it.
    pub fn poll(&mut self) -> io::Result<Option<u8>> {
        let Some(status) = self.guard.try_wait()? else {
            if self.asked.is_some_and(|asked| asked.elapsed() > 2 * GRACE) {
                self.guard.kill()?;
            }
            return Ok(None);
        };
        // Nobody, unless the guard was killed.
        descendants::end_all(Duration::ZERO);
        let by_signal = status.signal().map(|signal| 128 + signal);
        Ok(Some(status.code().or(by_signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)))
    }

    /// Asks it to end, all of it: SIGTERM, and SIGKILL when [`GRACE`] is over.
    pub fn end(&mut self) {
        if self.asked.is_none() {
            self.asked = Some(Instant::now());
            let _ = kill(self.pid(), Signal::SIGTERM);
        }
    }

    /// Whether it was asked to end.
    pub fn is_ending(&self) -> bool {
        self.asked.is_some()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.guard.id()).unwrap_or_default())
    }
}

/// The guard of a command.
fn guarding(command: &[OsString]) -> Command {
    guard_of(&[], command)
}

/// The guard of one process that must not be killed before it was asked to end, also where this program is killed: SIGTERM asks the guard
/// for its end, and its exit status is that of the process. It asks for the end by itself when `limit` is over, also where this program stands
/// still. Neither of the two is in the session of this program: no terminal reaches them, and a process that stands still (SIGSTOP) is not set going by
/// the kernel when this program ends. To be started by the thread that lives as long as this process.
pub fn gentle_guard(command: &[OsString], limit: Duration) -> Command {
    let mut guard = guard_of(&[GENTLY, &limit.as_secs().to_string()], command);
    child::without_secrets(&mut guard);
    guard
}

fn guard_of(options: &[&str], command: &[OsString]) -> Command {
    // Also after an upgrade, which has put another program in the place of this one.
    let mut guard = Command::new("/proc/self/exe");
    guard.arg(GUARD_COMMAND).args(options).arg(getpid().to_string()).arg("--").args(command);
    guard
}

impl Drop for GuardedCommand {
    fn drop(&mut self) {
        if matches!(self.guard.try_wait(), Ok(None)) {
            self.end();
            while matches!(self.poll(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}
