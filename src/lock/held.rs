//! The lock while it is held.

use std::fmt;
use std::io;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::position::LockPosition;
use crate::model::WsrepGtid;
use crate::quiesce::{Files, Quiet, Release, Resumed};
use crate::sql::SqlSession;

/// How a session is made, with this limit for each answer.
pub(super) type Connect = dyn Fn(Duration) -> Result<SqlSession, String> + Send + Sync;
/// A session that ends another one.
const KILL: Duration = Duration::from_secs(3);
/// Between two words to the server while the lock is held.
const STAY: Duration = Duration::from_secs(2);

/// Whose the lock is.
#[derive(Default)]
enum Holder {
    /// It was not asked for yet.
    #[default]
    Nobody,
    /// A session of this number asks for it, or asks the server something while it holds it.
    Busy(u32),
    /// It is held.
    Session(Box<SqlSession>),
    /// Given back, for good.
    Over,
}

/// The lock, in the hands of several threads.
pub(super) struct LockHolder {
    holder: Mutex<Holder>,
    connect: Arc<Connect>,
}

impl fmt::Debug for LockHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockHolder").finish_non_exhaustive()
    }
}

impl LockHolder {
    pub(super) fn new(connect: Arc<Connect>) -> Self {
        Self { holder: Mutex::default(), connect }
    }

    /// Another one, of the same server, that was not asked for yet.
    pub(super) fn another(&self) -> Self {
        Self::new(Arc::clone(&self.connect))
    }

    pub(super) fn connect(&self, limit: Duration) -> Result<SqlSession, String> {
        (self.connect)(limit)
    }

    fn set(&self, holder: Holder) -> Holder {
        std::mem::replace(&mut *self.holder.lock().unwrap_or_else(PoisonError::into_inner), holder)
    }

    /// A session does something with the lock; false where it was given back already.
    pub(super) fn begin(&self, id: u32) -> bool {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*holder, Holder::Over) {
            return false;
        }
        *holder = Holder::Busy(id);
        true
    }

    /// The session is done with it, and holds it; false where it was given back meanwhile: the session ends with it then.
    pub(super) fn hold(&self, session: SqlSession) -> bool {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*holder, Holder::Over) {
            return false;
        }
        *holder = Holder::Session(Box::new(session));
        true
    }

    /// The session that holds it, to be asked something.
    fn borrow(&self) -> Option<SqlSession> {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::take(&mut *holder) {
            Holder::Session(session) => {
                *holder = Holder::Busy(session.id());
                Some(*session)
            }
            other => {
                *holder = other;
                None
            }
        }
    }

    /// The session that holds it stays. Where it has ended, whoever gives the lock back finds out.
    fn stay(&self) {
        if let Holder::Session(session) = &mut *self.holder.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = session.stay();
        }
    }

    /// Nobody holds it, and nobody will by this handle.
    pub(super) fn end(&self) {
        self.set(Holder::Over);
    }

    /// Ends a session from outside.
    pub(super) fn kill(&self, id: u32) {
        if let Err(why) = self.connect(KILL).and_then(|mut session| session.kill(id)) {
            log::warn!(
                "the session {id}, which holds or awaits the lock, could not be ended by KILL: {why}; the server ends it with its connection"
            );
        }
    }
}

impl Release for LockHolder {
    fn release(&self) -> bool {
        match self.set(Holder::Over) {
            Holder::Session(mut session) => {
                if session.unlock_tables().is_err() {
                    let id = session.id();
                    drop(session);
                    self.kill(id);
                }
                true
            }
            // Another thread waits for that session's answer.
            Holder::Busy(id) => {
                self.kill(id);
                true
            }
            Holder::Nobody | Holder::Over => false,
        }
    }
}

/// A thread that speaks to the server as long as this process runs; the server gives the lock back by itself where that is stopped.
pub(super) struct StaySign {
    /// Its end ends the thread.
    _life: Sender<()>,
}

impl StaySign {
    pub(super) fn begin(lock: Arc<LockHolder>) -> io::Result<Self> {
        let (life, death) = channel::<()>();
        std::thread::Builder::new().name("lock".into()).spawn(move || {
            while death.recv_timeout(STAY) == Err(RecvTimeoutError::Timeout) {
                lock.stay();
            }
        })?;
        Ok(Self { _life: life })
    }
}

/// A server that stands still by the lock. Dropping it gives the lock back.
pub(super) struct HeldLock {
    pub(super) lock: Arc<LockHolder>,
    pub(super) position: LockPosition,
    /// Up to here the redo log was on the disk.
    pub(super) redo_end: u64,
    pub(super) asked: Instant,
    pub(super) flushed: Duration,
    pub(super) at: Timestamp,
    pub(super) _stay: StaySign,
}

impl HeldLock {
    /// The lock was held to here, and nothing was committed under it. How far the redo log goes now, an LSN.
    fn check(&self, session: &mut SqlSession) -> Result<u64, String> {
        let now = LockPosition::of(session, self.position.wsrep.is_some())?;
        if now == self.position {
            return Ok(session.redo_position()?.current);
        }
        Err(format!(
            "the server's position has changed under its own lock, from {:?} to {now:?}",
            self.position
        ))
    }
}

impl Quiet for HeldLock {
    fn files(&self) -> Files {
        Files::Crashed
    }

    fn position(&self) -> Option<&WsrepGtid> {
        self.position.wsrep.as_ref()
    }

    fn redo_end(&self) -> Option<u64> {
        Some(self.redo_end)
    }

    fn since(&self) -> Timestamp {
        self.at
    }

    fn asked(&self) -> Instant {
        self.asked
    }

    fn flush_time(&self) -> Duration {
        self.flushed
    }

    fn total(&self, _: u64) {}

    fn complete(&self, _: u64) {}

    fn resume(self: Box<Self>) -> Result<Resumed, Box<dyn Quiet>> {
        let Some(mut session) = self.lock.borrow() else { return Err(self) };
        let held = self.check(&mut session).and_then(|end| session.unlock_tables().map(|()| end));
        let frozen = self.asked.elapsed();
        let redo_end = match held {
            Ok(end) => end,
            Err(why) => {
                log::warn!(
                    "the lock was not held to the end, so what was read under it is not of one moment: {why}"
                );
                let id = session.id();
                drop(session);
                if matches!(self.lock.set(Holder::Over), Holder::Busy(_)) {
                    self.lock.kill(id);
                }
                return Err(self);
            }
        };
        // Another thread that has given it back meanwhile has killed the session, and the answers above did not come.
        if matches!(self.lock.set(Holder::Over), Holder::Over) {
            return Err(self);
        }
        Ok(Resumed::new(frozen, || Ok(())).with_redo_end(redo_end))
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        if self.lock.release() {
            log::info!("the lock is given back after {} ms", self.asked.elapsed().as_millis());
        }
    }
}
