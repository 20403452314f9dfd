//! The thread that thaws when the main one cannot: a signal, a time limit, a storage that hangs, a dead mysqld.
//!
//! The main thread may hang in a storage while the server is frozen, so the decision to thaw must not
//! wait for it. This thread looks every few milliseconds; the first reason it sees is kept, the server
//! is told to continue at once, and the copy ends at its next read. A main thread that has not ended a
//! while later, and does not get on either, hangs; then the process ends without it, because mysqld keeps the
//! node a donor until the program is gone. One that gets on has longer. A main thread that waits for the node to be Primary does not
//! hang, and that wait has limits of its own; the last resort waits in the same way ([`Outlook`]).

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::abort::Abort;
use super::bell::Bell;
use super::progress::{Grace, MainStage, Progress, Unended};
use super::room::Room;
use crate::presence::Presence;
use crate::quiesce::{Release, Wanted};
use crate::signals;
use crate::sst::Mysqld;
use crate::storage::{Activity, InFlight};

/// How often it looks.
const TICK: Duration = Duration::from_millis(20);

/// How often room for the server's own files is looked for.
const LOOK: Duration = Duration::from_millis(200);

/// How long a backup that is given up may take to clean up after itself.
const GRACE: Grace = Grace { still: Duration::from_secs(10), longest: Duration::from_secs(60) };

/// Signals that end a backup in good order.
const SIGNALS: [(i32, &str); 3] = [
    (signal_hook::consts::SIGTERM, "SIGTERM"),
    (signal_hook::consts::SIGINT, "SIGINT"),
    (signal_hook::consts::SIGHUP, "SIGHUP"),
];

#[derive(Debug, Default)]
struct WatchState {
    /// The number of a signal that is not counted yet.
    signal: Arc<AtomicUsize>,
    signals: AtomicUsize,
    first_signal: OnceLock<&'static str>,
    mysqld: Option<Mysqld>,
    abort: OnceLock<Abort>,
    /// What another thread has seen while the server is frozen.
    reason: OnceLock<Abort>,
    thawed: AtomicBool,
    /// Nothing depends on the server any more.
    is_done_with: AtomicBool,
    given_up: Arc<AtomicBool>,
    deadline: Mutex<Option<(Instant, Duration)>>,
    storage: Mutex<Option<(Activity, Duration)>>,
    bytes: AtomicU64,
    patient: AtomicBool,
    stop: AtomicBool,
}

impl WatchState {
    /// Signals so far. Two of the same kind within a tick are one.
    fn count_signals(&self) -> usize {
        let number = self.signal.swap(0, Ordering::Relaxed);
        if number == 0 {
            return self.signals.load(Ordering::Relaxed);
        }
        let name = SIGNALS.iter().find(|(known, _)| usize::try_from(*known) == Ok(number));
        let _ = self.first_signal.set(name.map_or("a signal", |(_, name)| name));
        self.signals.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn mysqld_gone(&self) -> Option<i32> {
        let mysqld = self.mysqld.as_ref().filter(|_| !self.is_done_with.load(Ordering::Relaxed))?;
        (!mysqld.is_alive()).then_some(mysqld.pid)
    }
}

/// What ends a wait for the node; usable in any thread.
#[derive(Debug, Clone)]
pub struct Outlook(Arc<WatchState>);

impl Outlook {
    /// SIGTERM, SIGINT and SIGHUP so far.
    pub fn signals(&self) -> usize {
        self.0.count_signals()
    }

    /// The server has ended. False where its process is not known.
    pub fn mysqld_is_gone(&self) -> bool {
        self.0.mysqld_gone().is_some()
    }

    /// The main thread has come to its end: no wait has a purpose any more.
    pub fn is_over(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }
}

/// Watches from its start until it is dropped.
#[derive(Debug)]
pub struct Watch {
    shared: Arc<WatchState>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts watching the calling thread; from here on signals no longer end the process by themselves. `last_resort` ends
    /// the process when the main thread does not.
    pub fn start(
        release: Arc<dyn Release>,
        mysqld: Option<Mysqld>,
        last_resort: impl FnOnce(&Abort, Unended, &Outlook) + Send + 'static,
    ) -> io::Result<Self> {
        Self::heeding(&SIGNALS.map(|(number, _)| number), release, mysqld, last_resort)
    }

    /// The same for a command: a signal that it was started to ignore (`nohup`) ends nothing.
    pub fn of_command(
        release: Arc<dyn Release>,
        mysqld: Option<Mysqld>,
        last_resort: impl FnOnce(&Abort, Unended, &Outlook) + Send + 'static,
    ) -> io::Result<Self> {
        let heeded = SIGNALS.map(|(number, _)| number).into_iter();
        let heeded: Vec<i32> = heeded.filter(|number| !signals::is_ignored(*number)).collect();
        Self::heeding(&heeded, release, mysqld, last_resort)
    }

    fn heeding(
        signals: &[i32],
        release: Arc<dyn Release>,
        mysqld: Option<Mysqld>,
        last_resort: impl FnOnce(&Abort, Unended, &Outlook) + Send + 'static,
    ) -> io::Result<Self> {
        let main = Progress::of_this_thread();
        let shared = Arc::new(WatchState { mysqld, ..WatchState::default() });
        for number in signals {
            let value = usize::try_from(*number).unwrap_or_default();
            signal_hook::flag::register_usize(*number, Arc::clone(&shared.signal), value)?;
        }
        let bell = Bell::hang(signals)?;
        let watched = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("watch".into())
            .spawn(move || run(&watched, &bell, release.as_ref(), main, last_resort))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The freeze may last this long from `since`.
    pub fn limit_freeze(&self, since: Instant, limit: Duration) {
        *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some((since + limit, limit));
    }

    /// The freeze ends when the server has no room for its write sets any more. That is looked for in a thread of its own,
    /// because a file system may hang.
    pub fn limit_room(&self, room: Room) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let is_over = move |shared: &WatchState| {
            shared.thawed.load(Ordering::Relaxed) || shared.stop.load(Ordering::Relaxed)
        };
        let look = move || {
            while !is_over(&shared) {
                if let Some(abort) = room.lacks() {
                    let _ = shared.reason.set(abort);
                    return;
                }
                std::thread::sleep(LOOK);
            }
        };
        std::thread::Builder::new().name("room".into()).spawn(look).map(drop)
    }

    /// The freeze is over.
    pub fn lift_limit(&self) {
        self.shared.thawed.store(true, Ordering::Relaxed);
        *self.shared.deadline.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// All is read, and nobody at the server waits for the end of this: it may end now.
    pub fn server_may_end(&self) {
        self.shared.is_done_with.store(true, Ordering::Relaxed);
    }

    /// No operation of the storage may take longer.
    pub fn limit_stall(&self, storage: Activity, limit: Duration) {
        *self.shared.storage.lock().unwrap_or_else(PoisonError::into_inner) = Some((storage, limit));
    }

    /// Why the backup is to be given up, if it is.
    pub fn aborted(&self) -> Option<Abort> {
        self.shared.abort.get().cloned()
    }

    /// Whether the server is still to stand still. A service manager that ends this program by a signal may stop the server next.
    pub fn wanted(&self) -> Wanted {
        match self.shared.abort.get() {
            None => Wanted::Yes,
            Some(Abort::Signal(_)) => Wanted::ServerMayStop,
            Some(_) => Wanted::No,
        }
    }

    /// True from the moment on in which the backup is given up; a thread that gives it up for a reason of its own may set it,
    /// too. It ends waits that a disk or a storage does not cause ([`crate::throttle`]).
    pub fn given_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.given_up)
    }

    /// The backup has failed: threads that still store its blocks do not wait for the limit of the rate any more.
    pub fn lift_rate(&self) {
        self.shared.given_up.store(true, Ordering::Relaxed);
    }

    /// For a thread that sees why the backup is to be given up: the server is thawed at once, and the copy ends.
    pub fn give_up(&self) -> impl Fn(Abort) + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move |reason| {
            let _ = shared.reason.set(reason);
        }
    }

    /// The same for one that acts on it in the same moment: from here on nothing that is read goes into a backup.
    pub fn end_now(&self) -> impl Fn(Abort) + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move |reason| {
            let _ = shared.abort.set(reason);
            shared.given_up.store(true, Ordering::Relaxed);
        }
    }

    /// Lets `wait` take as long as it wants: it hangs in nothing, and looks for signals itself.
    pub fn patiently(&self, wait: impl FnOnce(&Outlook)) {
        self.shared.patient.store(true, Ordering::Relaxed);
        wait(&Outlook(Arc::clone(&self.shared)));
        self.shared.patient.store(false, Ordering::Relaxed);
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

fn run(
    shared: &Arc<WatchState>,
    bell: &Bell,
    release: &dyn Release,
    main: Progress,
    last_resort: impl FnOnce(&Abort, Unended, &Outlook),
) {
    let is_over = || shared.stop.load(Ordering::Relaxed);
    let mut presence = Presence::since(Instant::now());
    let mut waited = Duration::ZERO;
    // How long the storage has had since this process was last stopped.
    let mut since_stop = Duration::MAX;
    let reason = loop {
        if is_over() {
            return;
        }
        let before = std::mem::replace(&mut waited, presence.waited());
        since_stop = if waited == before {
            Duration::ZERO
        } else {
            since_stop.saturating_add(waited.saturating_sub(before))
        };
        if let Some(reason) = look(shared, since_stop) {
            break reason;
        }
        bell.wait(TICK);
    };
    let _ = shared.abort.set(reason.clone());
    shared.given_up.store(true, Ordering::Relaxed);
    if release.release() {
        log::warn!("{reason}: the server is told to continue");
    }
    let stage = || match (is_over(), shared.patient.load(Ordering::Relaxed)) {
        (true, _) => MainStage::Over,
        (false, true) => MainStage::Patient,
        (false, false) => MainStage::Ending,
    };
    let in_flight = || {
        let storage = shared.storage.lock().unwrap_or_else(PoisonError::into_inner);
        storage.as_ref().and_then(|(activity, _)| activity.oldest()).map(|oldest| oldest.time)
    };
    if let Some(unended) = GRACE.await_end(main, &stage, &in_flight) {
        last_resort(&reason, unended, &Outlook(Arc::clone(shared)));
    }
}

fn look(shared: &WatchState, since_stop: Duration) -> Option<Abort> {
    if shared.count_signals() > 0 {
        return Some(Abort::Signal(shared.first_signal.get().copied().unwrap_or("a signal")));
    }
    if let Some(abort) = shared.abort.get() {
        return Some(abort.clone());
    }
    if let Some(pid) = shared.mysqld_gone() {
        return Some(Abort::MysqldGone(pid));
    }
    // It may have been found in the moment in which the freeze ended.
    if let Some(abort) = shared.reason.get().filter(|_| !shared.thawed.load(Ordering::Relaxed)) {
        return Some(abort.clone());
    }
    let deadline = *shared.deadline.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, limit)) = deadline.filter(|(at, _)| Instant::now() >= *at) {
        return Some(Abort::FreezeTimeout(limit));
    }
    stalled(shared, since_stop)
}

/// An operation that was in flight while this process was stopped has not hung for that long.
fn stalled(shared: &WatchState, since_stop: Duration) -> Option<Abort> {
    let storage = shared.storage.lock().unwrap_or_else(PoisonError::into_inner);
    let (activity, limit) = storage.as_ref()?;
    let InFlight { action, object, .. } =
        activity.oldest().filter(|oldest| oldest.time.min(since_stop) >= *limit)?;
    Some(Abort::Stalled { action, object, limit: *limit })
}
