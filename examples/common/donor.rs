//! The donor program while mysqld runs it.
//!
//! It is nobody's child here, so neither `wait4` nor its exit tells anything: `/proc` is read every 2 ms. `VmHWM` only
//! grows, so all that can be missed is what the program did between the last reading and its end; that time is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::proc;

/// The pause between two readings.
const PAUSE: Duration = Duration::from_millis(2);

/// `wsrep_sst_backup`, as far as the kernel keeps a program's name.
const NAME: &str = "wsrep_sst_backu";

/// What one run of the donor program took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observed {
    /// `VmHWM`, in bytes.
    pub(crate) peak: u64,
    /// User and system time.
    pub(crate) cpu: Duration,
    /// From its first to its last moment.
    pub(crate) wall: Duration,
    /// Readings.
    pub(crate) readings: u64,
    /// From the last reading of its memory to the moment when it was seen to have none any more.
    pub(crate) unseen: Duration,
}

/// A thread that waits for the donor program of one mysqld and watches it until it ends.
pub(crate) struct Observer {
    given_up: Arc<AtomicBool>,
    thread: JoinHandle<Option<Observed>>,
}

impl Observer {
    /// Begins to look, before garbd asks.
    pub(crate) fn start(mysqld: u32) -> Self {
        let given_up = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&given_up);
        Self { given_up, thread: thread::spawn(move || watch(find(mysqld, &seen)?)) }
    }

    /// What was seen; to be called after the donor is done.
    pub(crate) fn finish(self) -> Result<Observed> {
        self.given_up.store(true, Ordering::Relaxed);
        let seen = self.thread.join().map_err(|_| anyhow!("the observer has panicked"))?;
        seen.context("mysqld did not run the program, or it ended before it was seen")
    }
}

/// mysqld runs `sh -c`, which runs the program.
fn find(mysqld: u32, given_up: &AtomicBool) -> Option<u32> {
    while !given_up.load(Ordering::Relaxed) {
        let found = proc::descendants(mysqld).into_iter().find(|(_, name)| name == NAME);
        if let Some((pid, _)) = found {
            return Some(pid);
        }
        thread::sleep(PAUSE);
    }
    None
}

fn watch(pid: u32) -> Option<Observed> {
    let begun = Instant::now();
    let mut last = begun;
    let mut seen =
        Observed { peak: 0, cpu: Duration::ZERO, wall: Duration::ZERO, readings: 0, unseen: Duration::ZERO };
    // A process that has ended has no memory any more, but keeps its times until its parent has asked for them.
    while let Some(stat) = proc::stat(pid) {
        seen.cpu = stat.cpu;
        let Some(peak) = proc::peak_resident(pid) else { break };
        seen.peak = seen.peak.max(peak);
        seen.readings += 1;
        last = Instant::now();
        thread::sleep(PAUSE);
    }
    seen.wall = begun.elapsed();
    seen.unseen = last.elapsed();
    (seen.readings > 0).then_some(seen)
}
