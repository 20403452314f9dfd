//! Taking the lock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::held::{Connect, HeldLock, LockHolder, StaySign};
use super::position::LockPosition;
use crate::cluster::Access;
use crate::model::WsrepGtid;
use crate::quiesce::{Files, Limits, QuiesceError, Quiescer, Quiet, Release, Resumed, Wanted};
use crate::sql::{Endpoint, ReadLockTry, SqlSession};

/// Between two looks at what is waited for.
const POLL: Duration = Duration::from_millis(5);
/// How long the redo log may take to come to the disk: the server writes it once in `innodb_flush_log_at_timeout`, a second by default.
const FLUSH_LOG: Duration = Duration::from_secs(10);
/// The longest pause between two slices.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A server that can be locked by SQL.
pub struct SqlLock {
    lock: Arc<LockHolder>,
    one_try: Duration,
    /// Of a Galera cluster.
    is_node: bool,
}

impl SqlLock {
    /// The server of this machine at its socket, whose caller has judged that it may step aside ([`judge`](crate::desync::judge)), where it is a node or a replica. A slice of the
    /// wait for the lock takes `one_try` (`lock-timeout`).
    pub fn new(access: Access, socket: PathBuf, one_try: Duration, is_node: bool) -> Self {
        let endpoint = Endpoint::Socket(socket);
        let connect = move |limit| access.connect_within(&endpoint, limit);
        Self::with(Arc::new(connect), one_try, is_node)
    }

    /// Another one, of the same server: each can be taken once.
    #[must_use]
    pub fn another(&self) -> Self {
        let lock = Arc::new(self.lock.another());
        Self { lock, one_try: self.one_try, is_node: self.is_node }
    }

    fn with(connect: Arc<Connect>, one_try: Duration, is_node: bool) -> Self {
        Self { lock: Arc::new(LockHolder::new(connect)), one_try, is_node }
    }
}

impl Quiescer for SqlLock {
    fn files(&self) -> Files {
        Files::Crashed
    }

    fn release(&self) -> Arc<dyn Release> {
        Arc::<LockHolder>::clone(&self.lock)
    }

    /// Nobody waits for a word.
    fn pass(self: Box<Self>, _: &WsrepGtid) -> Result<Resumed, QuiesceError> {
        Ok(Resumed::new(Duration::ZERO, || Ok(())))
    }

    fn quiesce(self: Box<Self>, limits: &Limits<'_>) -> Result<Box<dyn Quiet>, QuiesceError> {
        let refused = QuiesceError::Refused;
        let mut session = self.connect().map_err(refused)?;
        session.may_flush().map_err(refused)?;
        let stay = StaySign::begin(Arc::clone(&self.lock))
            .map_err(|cause| QuiesceError::Io(format!("cannot start a thread: {cause}")))?;
        let asked = self.take(&mut session, limits)?;
        match settle(&mut session, self.is_node, limits) {
            Ok((position, redo_end)) => {
                let held = HeldLock {
                    lock: Arc::clone(&self.lock),
                    position,
                    redo_end,
                    asked,
                    flushed: asked.elapsed(),
                    at: Timestamp::now(),
                    _stay: stay,
                };
                if self.lock.hold(session) { Ok(Box::new(held)) } else { Err(QuiesceError::GivenUp) }
            }
            Err(error) => {
                // Before anybody is told: the server runs.
                let _ = session.unlock_tables();
                let is_over = !self.lock.begin(session.id());
                self.lock.end();
                Err(if is_over { QuiesceError::GivenUp } else { error })
            }
        }
    }
}

impl SqlLock {
    fn connect(&self) -> Result<SqlSession, String> {
        self.lock.connect(SqlSession::read_lock_limit(self.one_try))
    }

    /// Slice after slice; when the one began that has it.
    fn take(&self, session: &mut SqlSession, limits: &Limits<'_>) -> Result<Instant, QuiesceError> {
        let mut waited = Duration::ZERO;
        let mut who = String::new();
        loop {
            if (limits.wanted)() != Wanted::Yes || !self.lock.begin(session.id()) {
                self.lock.end();
                return Err(QuiesceError::GivenUp);
            }
            let asked = Instant::now();
            match session.try_read_lock(self.one_try) {
                ReadLockTry::Had => return Ok(asked),
                ReadLockTry::Late => {
                    // A process that was stopped meanwhile has kept nobody waiting for longer: the server ends the try.
                    waited += asked.elapsed().min(SqlSession::read_lock_limit(self.one_try));
                    // While they get on: whoever held it up is there still, or is not in the way any more.
                    let seen = session.who_blocks(&[session.id()]);
                    if who.is_empty() {
                        log::warn!(
                            "the lock is held up by {seen}; it is tried again in slices of {} s",
                            self.one_try.as_secs()
                        );
                    }
                    who = seen;
                }
                ReadLockTry::Silent => {
                    let id = session.id();
                    self.lock.end();
                    self.lock.kill(id);
                    return Err(QuiesceError::Refused(format!(
                        "the server has not answered FLUSH TABLES WITH READ LOCK: another session has stopped it, or closing its tables takes \
                         longer than {} s",
                        SqlSession::read_lock_limit(self.one_try).as_secs()
                    )));
                }
                ReadLockTry::Refused(why) => {
                    let is_over = !self.lock.begin(session.id());
                    self.lock.end();
                    return Err(if is_over {
                        QuiesceError::GivenUp
                    } else {
                        QuiesceError::Refused(format!("FLUSH TABLES WITH READ LOCK: {why}"))
                    });
                }
            }
            if waited >= limits.timeout {
                self.lock.end();
                return Err(QuiesceError::Refused(format!(
                    "FLUSH TABLES WITH READ LOCK was not to be had for {} s (flush-timeout), tried for {} s at a time (lock-timeout): {who}",
                    limits.timeout.as_secs(),
                    self.one_try.as_secs()
                )));
            }
            waited += self.let_through(limits);
        }
    }

    /// What waited behind the lock gets on for a moment.
    fn let_through(&self, limits: &Limits<'_>) -> Duration {
        let begun = Instant::now();
        let pause = (self.one_try / 2).min(LONGEST_PAUSE);
        while begun.elapsed() < pause && (limits.wanted)() == Wanted::Yes {
            std::thread::sleep(POLL);
        }
        begun.elapsed()
    }
}

/// The position of a server that is locked, once everything up to it is on the disk, and the LSN of that.
fn settle(
    session: &mut SqlSession,
    is_node: bool,
    limits: &Limits<'_>,
) -> Result<(LockPosition, u64), QuiesceError> {
    let failed = |why: String| {
        QuiesceError::Refused(format!("under its lock the server does not tell its position: {why}"))
    };
    let before = LockPosition::of(session, is_node).map_err(failed)?;
    let wanted = session.redo_position().map_err(failed)?;
    let begun = Instant::now();
    let mut flushed = wanted.flushed;
    while flushed < wanted.current {
        if (limits.wanted)() != Wanted::Yes {
            return Err(QuiesceError::GivenUp);
        }
        if begun.elapsed() >= FLUSH_LOG {
            return Err(QuiesceError::Refused(format!(
                "InnoDB has not written its redo log up to LSN {} for {} s (it is at {flushed}): innodb_flush_log_at_timeout may be longer \
                 than that, with innodb_flush_log_at_trx_commit=0",
                wanted.current,
                FLUSH_LOG.as_secs()
            )));
        }
        std::thread::sleep(POLL);
        flushed = session.redo_position().map_err(failed)?.flushed;
    }
    let after = LockPosition::of(session, is_node).map_err(failed)?;
    if after != before {
        return Err(QuiesceError::Position(format!(
            "it has changed under the server's lock, from {before:?} to {after:?}"
        )));
    }
    Ok((after, wanted.current))
}

#[cfg(test)]
#[path = "take_tests.rs"]
mod tests;
