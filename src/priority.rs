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
use std::io;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

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
    lower_all_but(None);
}

/// The same, and leaves one thread as it is.
pub fn lower_all_but(kept: Option<&KeptPriority>) {
    if let Err(why) = lower_threads(kept.map(|kept| kept.thread)) {
        log::warn!("the priority of this process could not be lowered: {why}");
    }
}

/// A command to be started, and where its process goes.
type Start = (Command, Sender<io::Result<Child>>);

/// A thread that keeps the priority that this process had when it was made, and gives it to the programs that it starts: who has been lowered
/// comes back by no way that needs no privilege. It lives as long as the last copy of this.
#[derive(Debug, Clone)]
pub struct KeptPriority {
    thread: i32,
    orders: Arc<Sender<Start>>,
}

impl KeptPriority {
    /// Starts the thread.
    pub fn keep() -> io::Result<Self> {
        let (orders, work) = channel::<Start>();
        let (tell, told) = channel();
        std::thread::Builder::new().name("priority".into()).spawn(move || {
            let _ = tell.send(nix::unistd::gettid().as_raw());
            for (mut command, answer) in work {
                let _ = answer.send(command.spawn());
            }
        })?;
        let thread = told.recv().map_err(io::Error::other)?;
        Ok(Self { thread, orders: Arc::new(orders) })
    }

    /// Starts a program as a child of this process. A child that ends with its parent ends with that thread.
    pub fn spawn(&self, command: Command) -> io::Result<Child> {
        let (answer, answered) = channel();
        self.orders.send((command, answer)).map_err(|_| io::Error::other("the thread is gone"))?;
        answered.recv().map_err(io::Error::other)?
    }
}

fn lower_threads(kept: Option<i32>) -> Result<(), String> {
    let mut seen: BTreeSet<i32> = kept.into_iter().collect();
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

    #[test]
    fn a_thread_that_is_kept_starts_programs_at_the_priority_from_before() {
        let before = getpriority_process(None).unwrap();
        let kept = KeptPriority::keep().unwrap();
        std::thread::spawn(move || {
            let own = nix::unistd::gettid().as_raw();
            lower_thread(own).unwrap();
            let nice_of = |child: Child| {
                let text = child.wait_with_output().unwrap().stdout;
                String::from_utf8_lossy(&text).trim().parse::<i32>().unwrap()
            };
            let nice = || {
                let mut command = Command::new("nice");
                command.stdout(std::process::Stdio::piped());
                command
            };
            assert_eq!(nice_of(nice().spawn().unwrap()), before.max(NICE));
            assert_eq!(nice_of(kept.spawn(nice()).unwrap()), before);
        })
        .join()
        .unwrap();
    }
}
