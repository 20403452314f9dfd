//! The thread that thaws when the main one cannot: a signal, a time limit, a dead mysqld.
//!
//! The main thread may hang in a storage while the server is frozen, so the decision to thaw must not
//! wait for it. This thread looks every few milliseconds; the first reason it sees is kept, the server
//! is told to continue at once, and the copy ends at its next read. A main thread that has not ended a
//! while later hangs in a disk or a storage; then the process ends without it, because mysqld keeps the
//! node a donor until the program is gone.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::sst::{Abort, Mysqld, Release};

/// How often it looks.
const TICK: Duration = Duration::from_millis(20);

/// How long a backup that is given up may take to clean up after itself.
const GRACE: Duration = Duration::from_secs(10);

/// Signals that end a backup in good order.
const SIGNALS: [(i32, &str); 3] = [
    (signal_hook::consts::SIGTERM, "SIGTERM"),
    (signal_hook::consts::SIGINT, "SIGINT"),
    (signal_hook::consts::SIGHUP, "SIGHUP"),
];

#[derive(Debug, Default)]
struct Shared {
    signal: Arc<AtomicUsize>,
    abort: OnceLock<Abort>,
    deadline: Mutex<Option<(Instant, Duration)>>,
    bytes: AtomicU64,
    stop: AtomicBool,
}

/// Watches from its start until it is dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts watching; from here on signals no longer end the process by themselves. `last_resort` ends
    /// the process when the main thread does not.
    pub fn start(
        release: Release,
        mysqld: Option<Mysqld>,
        last_resort: impl FnOnce(&Abort) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        for (number, _) in SIGNALS {
            let value = usize::try_from(number).unwrap_or_default();
            signal_hook::flag::register_usize(number, Arc::clone(&shared.signal), value)?;
        }
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || run(&watched, &release, mysqld.as_ref(), last_resort))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The freeze may last this long from `since`.
    pub fn limit_freeze(&self, since: Instant, limit: Duration) {
        *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some((since + limit, limit));
    }

    /// The freeze is over.
    pub fn lift_limit(&self) {
        *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why the backup is to be given up, if it is.
    pub fn aborted(&self) -> Option<Abort> {
        self.shared.abort.get().cloned()
    }

    /// Counts bytes read; an error once the backup is given up, so that a copy ends.
    pub fn read(&self, bytes: u64) -> io::Result<()> {
        self.shared.bytes.fetch_add(bytes, Ordering::Relaxed);
        match self.aborted() {
            Some(abort) => Err(io::Error::other(abort)),
            None => Ok(()),
        }
    }

    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// The same for another thread.
    pub fn counter(&self) -> impl Fn() -> u64 + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.bytes.load(Ordering::Relaxed)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, release: &Release, mysqld: Option<&Mysqld>, last_resort: impl FnOnce(&Abort)) {
    let is_over = || shared.stop.load(Ordering::Relaxed);
    let reason = loop {
        if is_over() {
            return;
        }
        if let Some(reason) = look(shared, mysqld) {
            break reason;
        }
        std::thread::sleep(TICK);
    };
    let _ = shared.abort.set(reason.clone());
    if release.thaw() {
        log::warn!("{reason}: the server is told to continue");
    }
    let end = Instant::now() + GRACE;
    while !is_over() {
        if Instant::now() >= end {
            last_resort(&reason);
            return;
        }
        std::thread::sleep(TICK);
    }
}

fn look(shared: &Shared, mysqld: Option<&Mysqld>) -> Option<Abort> {
    let signal = shared.signal.load(Ordering::Relaxed);
    if signal != 0 {
        let name = SIGNALS.iter().find(|(number, _)| usize::try_from(*number) == Ok(signal));
        return Some(Abort::Signal(name.map_or("a signal", |(_, name)| name)));
    }
    if let Some(mysqld) = mysqld.filter(|mysqld| !mysqld.is_alive()) {
        return Some(Abort::MysqldGone(mysqld.pid));
    }
    let deadline = *shared.deadline.lock().unwrap_or_else(PoisonError::into_inner);
    deadline.filter(|(at, _)| Instant::now() >= *at).map(|(_, limit)| Abort::FreezeTimeout(limit))
}
