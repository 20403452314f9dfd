//! Work behind the backup: on a thread of its own, which the run waits for a few seconds at most.
//!
//! mysqld has been told, or the run has failed; a server that shuts down waits for this program all the same, and so
//! does the next state transfer.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often the run looks whether the work is to end.
const TICK: Duration = Duration::from_millis(50);

/// How long it may take.
#[derive(Debug, Clone, Copy)]
pub struct ThreadLimits {
    /// All of it.
    pub time: Duration,
    /// What is under way then, or when `is_over` says so, to come to its end.
    pub farewell: Duration,
}

/// Runs `work`, which is told by the flag that it is to stop. Nothing where it has not come to its end in time: it hangs
/// in a file system or a network, and is left there.
pub fn bounded<T: Send + 'static>(
    name: &str,
    limits: ThreadLimits,
    is_over: &dyn Fn() -> bool,
    work: impl FnOnce(&AtomicBool) -> T + Send + 'static,
) -> io::Result<Option<T>> {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let (sender, ended) = channel();
    std::thread::Builder::new().name(name.into()).spawn(move || {
        let _ = sender.send(work(&told));
    })?;
    let begun = Instant::now();
    loop {
        let is_late = begun.elapsed() >= limits.time || is_over();
        if is_late {
            stop.store(true, Ordering::Relaxed);
        }
        match ended.recv_timeout(if is_late { limits.farewell } else { TICK }) {
            Ok(outcome) => return Ok(Some(outcome)),
            Err(RecvTimeoutError::Timeout) if !is_late => {}
            Err(_) => return Ok(None),
        }
    }
}
