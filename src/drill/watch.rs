//! What ends a drill before its time: a signal, or a machine that is needed for something else.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::child::Leashed;

/// Between two looks at the flag.
const POLL: Duration = Duration::from_millis(100);
/// Between two looks at the load, which the kernel computes every five seconds.
const LOAD: Duration = Duration::from_secs(5);

/// The server that runs now, where one does.
pub(super) type ServerSlot = Arc<Mutex<Option<Leashed>>>;

/// A thread that looks, until this is dropped. It ends the server when the drill is given up, so that nobody waits for its answers.
#[derive(Debug)]
pub struct DrillWatch {
    stop: Arc<AtomicBool>,
    why: Arc<Mutex<Option<String>>>,
    server: ServerSlot,
    /// Its end ends the thread.
    _life: Sender<()>,
}

impl DrillWatch {
    /// Looks at the flag that signals set, and sets it itself when the load of the machine is more than `max_load`.
    pub fn start(stop: Arc<AtomicBool>, max_load: Option<f64>) -> io::Result<Self> {
        let (life, death) = channel::<()>();
        let watch = Self { stop, why: Arc::default(), server: Arc::default(), _life: life };
        let (stop, why, server) =
            (Arc::clone(&watch.stop), Arc::clone(&watch.why), Arc::clone(&watch.server));
        if let Some(overload) = max_load.and_then(overload) {
            give_up(&stop, &why, overload);
        }
        std::thread::Builder::new().name("drill".into()).spawn(move || {
            let mut looked = Instant::now();
            while death.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                if looked.elapsed() >= LOAD {
                    looked = Instant::now();
                    if let Some(overload) = max_load.and_then(overload) {
                        give_up(&stop, &why, overload);
                    }
                }
                if stop.load(Ordering::Relaxed)
                    && let Some(server) = held(&server).as_mut()
                {
                    // One that has ended cannot be ended.
                    let _ = server.0.kill();
                }
            }
        })?;
        Ok(watch)
    }

    /// Why the drill is given up, where it is.
    pub fn given_up(&self) -> Option<String> {
        let is_stopped = self.stop.load(Ordering::Relaxed);
        is_stopped.then(|| held(&self.why).clone().unwrap_or_else(|| "interrupted".into()))
    }

    pub(super) fn server(&self) -> &ServerSlot {
        &self.server
    }
}

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn give_up(stop: &AtomicBool, why: &Mutex<Option<String>>, overload: String) {
    held(why).get_or_insert(overload);
    stop.store(true, Ordering::Relaxed);
}

/// In words, where the load of the last minute is more than that.
fn overload(most: f64) -> Option<String> {
    let load = fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = load.split_whitespace().next()?.parse().ok()?;
    (load > most).then(|| format!("the load of the machine is {load:.2}, more than --max-load {most}: it is needed for something else"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_is_too_high_gives_up_and_says_so() {
        let stop = Arc::new(AtomicBool::new(false));
        let watch = DrillWatch::start(Arc::clone(&stop), Some(1e6)).unwrap();
        assert_eq!(watch.given_up(), None);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(watch.given_up().as_deref(), Some("interrupted"));
        // No load is less than none.
        let watch = DrillWatch::start(Arc::default(), Some(-1.0)).unwrap();
        assert!(watch.given_up().unwrap().contains("more than --max-load -1"));
    }
}
