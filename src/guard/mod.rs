//! A command of the administrator's, none of whose processes outlives us, however we end.
//!
//! ```text
//! this program ── guard (this program again) ── exec'd in place: the command ── its children
//! ```
//!
//! The kernel tells a process of its parent's death (`PR_SET_PDEATHSIG`), its children's children nothing. So a guard stands between:
//! it adopts whatever the command leaves behind (`PR_SET_CHILD_SUBREAPER`), hears of our death, and ends all of them then. Should the guard be
//! killed, the kernel kills the command, and we, who adopt too, end the rest. Only who kills both in the same moment leaves grandchildren.
//!
//! All stay in the process group of the terminal, so that a command may read from it; its Ctrl-C reaches the command as well as us.

mod descendants;
mod inside;

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpid};

pub use inside::{become_command, guard};

/// The hidden command in which this program is the guard; its first argument is the process that it guards for.
pub const GUARD_COMMAND: &str = "guard-command";
/// The hidden command in which it becomes the administrator's; its first argument is the guard.
pub const BECOME_COMMAND: &str = "become-command";

/// How long a command that is asked to end may take until it is killed.
pub const GRACE: Duration = Duration::from_secs(10);

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
        prctl::set_child_subreaper(true)?;
        // Also after an upgrade, which has put another program in the place of this one.
        let guard = Command::new("/proc/self/exe")
            .arg(GUARD_COMMAND)
            .arg(getpid().to_string())
            .arg("--")
            .args(command)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .spawn()?;
        Ok(Self { guard, asked: None })
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
