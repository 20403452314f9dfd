//! What the drilled server would get of the machine.

use std::fs;
use std::path::Path;

use rustix::process::getpriority_process;

use crate::child;

/// `SCHED_IDLE` of Linux.
const IDLE: &str = "5";
/// The place of the scheduling policy in `/proc/PID/stat` (`man 5 proc`: 41), behind the name in parentheses, from 0.
const POLICY: usize = 38;

/// Why a server that this process starts would get less of the machine than others do, in words, where it would. Galera delivers a write set when
/// each member has acknowledged it: one that waits for a processor holds up every commit of the cluster.
pub fn held_back() -> Option<String> {
    let nice = getpriority_process(None).unwrap_or(0);
    let policy = fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    judge(nice, &policy, &disk_class())
}

fn judge(nice: i32, stat: &str, disk_class: &str) -> Option<String> {
    if nice > 0 {
        return Some(format!("its nice value is {nice} (Nice=0 in the unit of a service)"));
    }
    let policy = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(POLICY));
    if policy == Some(IDLE) {
        return Some(
            "its scheduling policy is idle (CPUSchedulingPolicy=other in the unit of a service)".into(),
        );
    }
    let is_idle = disk_class.trim_start().starts_with("idle");
    is_idle.then(|| "its I/O class is idle (IOSchedulingClass=best-effort in the unit of a service)".into())
}

/// As `ionice` tells it; nothing where that is not installed.
fn disk_class() -> String {
    let pid = std::process::id().to_string();
    let output = child::command(Path::new("ionice"), ["-p", &pid]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_comes_last_on_the_machine_joins_no_cluster() {
        let stat = |policy: &str| format!("7 (a b) c) S {} {policy} 0", vec!["1"; POLICY - 1].join(" "));
        assert_eq!(judge(0, &stat("0"), "none: prio 0\n"), None);
        assert_eq!(judge(-5, "", ""), None);
        for (found, text) in [
            (judge(1, &stat("0"), ""), "nice value is 1"),
            (judge(0, &stat(IDLE), ""), "policy is idle"),
            (judge(0, &stat("0"), "idle\n"), "I/O class is idle"),
        ] {
            assert!(found.as_deref().unwrap_or_default().contains(text), "{found:?}");
        }
        // The place is that of this system.
        let own = fs::read_to_string("/proc/self/stat").unwrap();
        let policy = own.rsplit_once(')').unwrap().1.split_whitespace().nth(POLICY).unwrap();
        assert!(policy.parse::<u32>().unwrap() <= 6, "{policy}");
    }
}
