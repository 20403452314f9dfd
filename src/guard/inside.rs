//! The guard: the process between this program and the command.

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getppid, setsid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1};
use signal_hook::flag;

use super::descendants;
use super::words::{GENTLE_GRACE, GRACE};
use crate::child;
use crate::signals;

/// Between two looks at the command.
const POLL: Duration = Duration::from_millis(50);

/// Is the guard: starts the command and ends with its status, when nothing of it is left. `parent` is for whom it does so. When that ends before,
/// the command is killed at once, or is asked to end first where it must end `gently`, which it is asked for in any case when that time is over.
pub fn guard(parent: i32, command: &[OsString], gently: Option<Duration>) -> io::Result<u8> {
    if gently.is_some() {
        setsid()?;
    }
    let grace = if gently.is_some() { GENTLE_GRACE } else { GRACE };
    let asked = Arc::new(AtomicBool::new(false));
    let orphaned = Arc::new(AtomicBool::new(false));
    flag::register(SIGTERM, Arc::clone(&asked))?;
    flag::register(SIGUSR1, Arc::clone(&orphaned))?;
    // What a terminal sends reaches the command by itself, and the program that has started it decides what comes of it. A handler, unlike
    // a signal that is ignored, is not handed on to the command.
    for signal in [SIGINT, SIGHUP, SIGQUIT].into_iter().filter(|signal| !signals::is_ignored(*signal)) {
        flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    prctl::set_child_subreaper(true)?;
    prctl::set_pdeathsig(Signal::SIGUSR1)?;
    if getppid().as_raw() != parent {
        return Err(io::Error::other("the program that started this one has ended"));
    }
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::other("there is no command"))?;
    let child = child::bound(Path::new(program), arguments).spawn()?;
    let child = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let began = Instant::now();
    let mut since: Option<Instant> = None;
    let (mut status, mut told) = (None, HashSet::new());
    let is_alone = || orphaned.load(Ordering::Relaxed);
    let is_over = || gently.is_some_and(|limit| began.elapsed() >= limit);
    while status.is_none() {
        if is_alone() && gently.is_none() {
            descendants::end_all(Duration::ZERO);
        } else if is_alone() || is_over() || asked.load(Ordering::Relaxed) {
            if since.get_or_insert_with(Instant::now).elapsed() >= grace {
                descendants::signal_all(Signal::SIGKILL);
            } else {
                // Also whoever was started since: a server that starts hears of it only later, and may wait for its own children before.
                descendants::signal_new(Signal::SIGTERM, &mut told);
            }
        }
        status = reap(child)?;
        if status.is_none() {
            std::thread::sleep(POLL);
        }
    }
    // What the command has left in the background.
    descendants::end_all(if is_alone() && gently.is_none() { Duration::ZERO } else { grace });
    Ok(status.unwrap_or(u8::MAX))
}

/// Waits for all that have ended; the status of the command, if it is among them.
fn reap(command: Pid) -> io::Result<Option<u8>> {
    loop {
        let (pid, code) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, code),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, 128 + signal as i32),
            Ok(WaitStatus::StillAlive) => return Ok(None),
            // Killed by `end_all`, which has waited for it.
            Err(nix::errno::Errno::ECHILD) => return Ok(Some(128 + Signal::SIGKILL as u8)),
            Ok(_) | Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        if pid == command {
            return Ok(Some(u8::try_from(code).unwrap_or(u8::MAX)));
        }
    }
}
