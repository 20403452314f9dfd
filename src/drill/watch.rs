//! What ends a drill before its time: a signal, or a machine that is needed for something else.

use std::fs;
use std::io;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::excuse::ServerExcuse;
use crate::child::Leashed;

/// Between two looks at the flag.
const POLL: Duration = Duration::from_millis(100);
/// Between two looks at the load, which the kernel computes every five seconds.
const LOAD: Duration = Duration::from_secs(5);

/// A server that runs.
#[derive(Debug)]
pub(super) struct DrillProcess {
    pub(super) process: Leashed,
    /// It is a member of a cluster, and must leave that: whoever waits for it hears that the drill is given up, and asks it to end.
    pub(super) is_guest: bool,
}

impl DrillProcess {
    /// Sends it a signal. It is not waited for yet, so that the number is its own.
    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.0.id()).unwrap_or_default();
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

/// The server that runs now, where one does.
pub(super) type ServerSlot = Arc<Mutex<Option<DrillProcess>>>;

/// A thread that looks, until this is dropped. It kills the server when the drill is given up, so that nobody waits for its answers, unless that is a
/// member of a cluster.
#[derive(Debug)]
pub struct DrillWatch {
    stop: Arc<AtomicBool>,
    why: Arc<Mutex<Option<String>>>,
    server: ServerSlot,
    /// Of the servers that have ended, the first one that was not to blame.
    excuse: Mutex<Option<ServerExcuse>>,
    /// Its end ends the thread.
    _life: Sender<()>,
}

impl DrillWatch {
    /// Looks at the flag that signals set, and sets it itself when the load of the machine is more than `max_load`.
    pub fn start(stop: Arc<AtomicBool>, max_load: Option<f64>) -> io::Result<Self> {
        Self::looking(stop, LOAD, move || max_load.and_then(|most| overload(load()?, most)))
    }

    /// The same with another look at the load, which says in words where it is too much.
    fn looking(
        stop: Arc<AtomicBool>,
        every: Duration,
        overload: impl Fn() -> Option<String> + Send + 'static,
    ) -> io::Result<Self> {
        let (life, death) = channel::<()>();
        let watch =
            Self { stop, why: Arc::default(), server: Arc::default(), excuse: Mutex::default(), _life: life };
        let (stop, why, server) =
            (Arc::clone(&watch.stop), Arc::clone(&watch.why), Arc::clone(&watch.server));
        if let Some(overload) = overload() {
            give_up(&stop, &why, overload);
        }
        std::thread::Builder::new().name("drill".into()).spawn(move || {
            let mut looked = Instant::now();
            while death.recv_timeout(POLL) == Err(RecvTimeoutError::Timeout) {
                if looked.elapsed() >= every {
                    looked = Instant::now();
                    if let Some(overload) = overload() {
                        give_up(&stop, &why, overload);
                    }
                }
                if stop.load(Ordering::Relaxed)
                    && let Some(server) = held(&server).as_mut()
                    && !server.is_guest
                    && matches!(server.process.0.try_wait(), Ok(None))
                {
                    server.signal(Signal::SIGKILL);
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

    /// A server has ended so, which nobody has asked to.
    pub(super) fn has_ended(&self, status: ExitStatus, log: &str) {
        if self.given_up().is_none()
            && let Some(excuse) = ServerExcuse::of(status, log)
        {
            held(&self.excuse).get_or_insert(excuse);
        }
    }

    /// One that runs has written this to its log.
    pub(super) fn has_said(&self, log: &str) {
        if let Some(excuse) = ServerExcuse::in_text(log) {
            held(&self.excuse).get_or_insert(excuse);
        }
    }

    /// Why a server that has ended says nothing of its files. Only one of a newer series than theirs may be unable to recover their redo log.
    pub(super) fn excuse(&self, is_newer: bool) -> Option<ServerExcuse> {
        held(&self.excuse).filter(|excuse| is_newer || *excuse != ServerExcuse::OlderRedo)
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

/// The load of the last minute.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// In words, where a load is more than that.
fn overload(load: f64, most: f64) -> Option<String> {
    (load > most).then(|| format!("the load of the machine is {load:.2}, more than --max-load {most}: it is needed for something else"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_load_that_rises_in_the_middle_gives_up_and_ends_the_server() {
        let now = Arc::new(Mutex::new(1.0));
        let (read, stop) = (Arc::clone(&now), Arc::new(AtomicBool::new(false)));
        let look = move || overload(*held(&read), 4.0);
        let watch = DrillWatch::looking(Arc::clone(&stop), POLL, look).unwrap();
        let process = Leashed(Command::new("sleep").arg("60").spawn().unwrap());
        *held(watch.server()) = Some(DrillProcess { process, is_guest: false });
        let status = || held(watch.server()).as_mut().unwrap().process.0.try_wait().unwrap();
        std::thread::sleep(5 * POLL);
        assert_eq!((watch.given_up(), status()), (None, None));
        *held(&now) = 4.5;
        let begun = Instant::now();
        while status().is_none() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(POLL);
        }
        assert_eq!(status().and_then(|status| status.signal()), Some(Signal::SIGKILL as i32));
        assert!(watch.given_up().unwrap().contains("is 4.50, more than --max-load 4"));
        assert!(stop.load(Ordering::Relaxed), "whoever restores hears of it by this flag");
    }

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
