//! How late this machine is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is done at once is done within this time on a machine that has nothing else to do: the program's watch looks every 20 ms.
const AT_ONCE: Duration = Duration::from_millis(700);
/// Between two looks at the clock.
const MOMENT: Duration = Duration::from_millis(5);
/// Threads that have to wake one after the other until something is done and seen: two of the program's, two of the test's.
const IN_TURN: u32 = 4;

/// A thread that sleeps for moments, and sees by how much later than that it wakes: so late is everybody who waits for a processor meanwhile.
#[derive(Debug)]
pub struct Pace {
    stop: Arc<AtomicBool>,
    latest_us: Arc<AtomicU64>,
}

impl Pace {
    /// Begins to look.
    pub fn start() -> Self {
        let (stop, latest_us) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, latest) = (Arc::clone(&stop), Arc::clone(&latest_us));
        std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                std::thread::sleep(MOMENT);
                let late = begun.elapsed().saturating_sub(MOMENT);
                latest.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        Self { stop, latest_us }
    }

    /// By how much later than on an idle machine something may be seen that was waited for since.
    pub fn slack(&self) -> Duration {
        Duration::from_micros(self.latest_us.load(Ordering::Relaxed)) * IN_TURN
    }

    /// How long what is done at once may take.
    pub fn at_once(&self) -> Duration {
        AT_ONCE + self.slack()
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
