//! The donor program while mysqld runs it.
//!
//! It is nobody's child here, so neither `wait4` nor its exit tells anything: `/proc` is read every 2 ms. `VmHWM` only
//! grows, so what is missed is at most what the program did in the last pause between two readings; the longest of
//! them is told.

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
    /// The longest pause between two readings.
    pub(crate) longest_pause: Duration,
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
    let mut seen: Option<Observed> = None;
    // A process that has ended has no memory any more, but keeps its times until its parent has asked for them.
    while let Some(stat) = proc::stat(pid) {
        let now = Instant::now();
        let peak = proc::peak_resident(pid);
        let before = seen.map_or((0, 0, Duration::ZERO), |s| (s.peak, s.readings, s.longest_pause));
        seen = Some(Observed {
            peak: peak.unwrap_or_default().max(before.0),
            cpu: stat.cpu,
            wall: now - begun,
            readings: before.1 + 1,
            longest_pause: before.2.max(now - last),
        });
        if peak.is_none() {
            break;
        }
        last = now;
        thread::sleep(PAUSE);
    }
    seen.filter(|seen| seen.peak > 0)
}
