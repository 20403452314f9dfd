//! Low priority: what has time makes way for the server.
//!
//! Linux has a nice value for each thread. A new thread has that of the one that starts it, and without privileges the
//! way back is closed (`RLIMIT_NICE`): so [`lower`] comes when nothing urgent is left to do, and takes every thread of the
//! process.
//!
//! **Disks and processors with one number.** A thread without an I/O class of its own is in the best-effort class, at the
//! level (nice + 20) / 5 (`Documentation/block/ioprio.rst` of Linux): 15 is the smallest nice value that gives the
//! lowest level, 7. Of the kernel's I/O schedulers only `bfq` weighs levels; with another one the disk knows no priority
//! here. A class that the server's service sets (`IOSchedulingClass=` of systemd) is inherited and stays as it is.
//!
//! **Why not the idle class**, or a nice value of 19: an idle thread gets nothing on a disk that is always busy. But the
//! node stays a donor until our last sync has ended; and on a file system with a journal others may have to wait for
//! that sync.

use std::collections::BTreeSet;
use std::fs;

use rustix::io::Errno;
use rustix::process::{Pid, getpriority_process, setpriority_process};

/// The nice value that makes way.
const NICE: i32 = 15;
/// Threads that start while the others are lowered are found in the next round; so many rounds are enough for any
/// number, since a thread that is lowered starts lowered ones.
const ROUNDS: usize = 8;

/// Lowers every thread of this process, and with them those that they start. A thread that is low already stays as it
/// is. It works or it does not: a word in the log is all that comes of a failure.
pub fn lower() {
    if let Err(why) = lower_threads() {
        log::warn!("the priority of this process could not be lowered: {why}");
    }
}

fn lower_threads() -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for _ in 0..ROUNDS {
        let new: Vec<i32> = threads()?.into_iter().filter(|thread| seen.insert(*thread)).collect();
        if new.is_empty() {
            break;
        }
        for thread in new {
            lower_thread(thread).map_err(|errno| format!("thread {thread}: {errno}"))?;
        }
    }
    Ok(())
}

fn threads() -> Result<Vec<i32>, String> {
    let folder = "/proc/self/task";
    let fail = |error| format!("cannot list '{folder}': {error}");
    let names = fs::read_dir(folder).map_err(fail)?.flatten().map(|entry| entry.file_name());
    Ok(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// On Linux `PRIO_PROCESS` with the number of a thread means that thread alone.
fn lower_thread(thread: i32) -> rustix::io::Result<()> {
    let thread = Pid::from_raw(thread);
    let lowered = getpriority_process(thread)
        .and_then(|nice| if nice < NICE { setpriority_process(thread, NICE) } else { Ok(()) });
    match lowered {
        // It has ended meanwhile.
        Err(Errno::SRCH) => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_is_lowered_and_never_raised() {
        let own = || getpriority_process(None).unwrap();
        let before = own();
        std::thread::spawn(move || {
            let thread = nix::unistd::gettid().as_raw();
            assert!(threads().unwrap().contains(&thread));
            lower_thread(thread).unwrap();
            assert_eq!(own(), before.max(NICE));
            std::thread::spawn(move || assert_eq!(own(), before.max(NICE))).join().unwrap();
            setpriority_process(Pid::from_raw(thread), 19).unwrap();
            lower_thread(thread).unwrap();
            assert_eq!(own(), 19);
        })
        .join()
        .unwrap();
        assert_eq!(own(), before);
        // One that is gone.
        lower_thread(i32::MAX).unwrap();
    }
}
