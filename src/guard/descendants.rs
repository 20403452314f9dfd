//! All processes below this one, and their end.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid};

/// Between two looks.
const POLL: Duration = Duration::from_millis(20);
/// How long those that were killed may take: one whose disk hangs does not end before that answers.
const KILLED: Duration = Duration::from_secs(5);

/// Who is below this process, those that have ended and are not waited for apart.
pub(super) fn living() -> Vec<Pid> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok()) {
        if let Some(parent) = living_parent(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![getpid().as_raw()];
    while let Some(parent) = next.pop() {
        let below = children.remove(&parent).unwrap_or_default();
        found.extend(below.iter().copied().map(Pid::from_raw));
        next.extend(below);
    }
    found
}

/// The parent of a process that has not ended (`man 5 proc`: behind the name in parentheses come state and parent).
fn living_parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.next()?.parse().ok()).flatten()
}

/// Sends a signal to all of them.
pub(super) fn signal_all(signal: Signal) {
    for pid in living() {
        let _ = kill(pid, signal);
    }
}

/// Sends it to those that have not been sent it yet, each of which is in `told`.
pub(super) fn signal_new(signal: Signal, told: &mut HashSet<Pid>) {
    for pid in living() {
        if told.insert(pid) {
            let _ = kill(pid, signal);
        }
    }
}

/// Ends all of them: those that do not end within `grace` are killed. Each that ends leaves its children to this process, which looks
/// until there are none.
pub(super) fn end_all(grace: Duration) {
    let begun = Instant::now();
    let mut is_asked = false;
    while !living().is_empty() {
        if begun.elapsed() >= grace {
            signal_all(Signal::SIGKILL);
        } else if !is_asked {
            signal_all(Signal::SIGTERM);
            is_asked = true;
        }
        if begun.elapsed() >= grace + KILLED {
            return;
        }
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status.pid().is_some()) {}
        std::thread::sleep(POLL);
    }
}
