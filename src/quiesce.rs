//! What makes a server stand still while its files are read: the words in which a method speaks of it.
//!
//! ```text
//! Quiescer ── quiesce ──> Quiet ── resume ──> Resumed ── complete
//!     └── release: from any thread, at any time ──┘
//! ```
//!
//! The conversation of a state transfer ([`crate::sst::Conversation`]) is one. Whether the server stands still is told by which of these values there is:
//! asking for it consumes the first one, and a [`Quiet`] that is dropped lets the server run.

use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use thiserror::Error;

use crate::model::WsrepGtid;

/// What the files are that are read while the server stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Files {
    /// Those of a server that was shut down at the position.
    Clean,
    /// Those of a server that crashed at the position: it recovers when it is started.
    Crashed,
    /// They change while they are read; the method has to bring its own consistency and position.
    Changing,
}

/// Lets the server run, from any thread.
pub trait Release: Debug + Send + Sync {
    /// Lets it run unless another call has; true if this call did it.
    fn release(&self) -> bool;
}

/// Whether anybody still waits for the server to stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The backup goes on.
    Yes,
    /// The backup is given up.
    No,
    /// The backup is given up by a signal, whose sender may stop the server next: it is to be left in a state in which it can.
    ServerMayStop,
}

/// How long to wait.
pub struct Limits<'a> {
    /// For the server to stand still.
    pub timeout: Duration,
    /// Asked all the time.
    pub wanted: &'a dyn Fn() -> Wanted,
}

/// Why the server does not stand still.
#[derive(Debug, Error)]
pub enum QuiesceError {
    /// `sst_error`.
    #[error("mysqld could not flush its tables (it wrote sst_error; its error log says why)")]
    Failed,
    /// It may not stand still now, or is not to be made to; why, and what to do.
    #[error("{0}")]
    Refused(String),
    /// No answer.
    #[error(
        "mysqld did not flush its tables within {} s (flush-timeout); it goes on waiting for its lock, and every write on this node with it, \
         until whoever holds the lock (LOCK TABLES … WRITE, a long statement that writes) gives it back or lock_wait_timeout is over: \
         KILL that thread, see SHOW PROCESSLIST and SHOW OPEN TABLES WHERE In_use > 0",
        .0.as_secs()
    )]
    Timeout(Duration),
    /// The answer cannot be trusted.
    #[error("mysqld paused at a position that cannot be backed up: {0}")]
    Position(String),
    /// The backup was given up; the caller knows why.
    #[error("the freeze was given up")]
    GivenUp,
    /// The pipe or the data directory.
    #[error("{0}")]
    Io(String),
}

/// A server that runs, and a way to make it stand still.
pub trait Quiescer {
    /// What the files will be worth.
    fn files(&self) -> Files;

    /// A handle for the thread that watches.
    fn release(&self) -> Arc<dyn Release>;

    /// It is not made to stand still, and a backup is there all the same, at this position; an error where that cannot be one of
    /// the server that has asked.
    fn pass(self: Box<Self>, gtid: &WsrepGtid) -> Result<Resumed, QuiesceError>;

    /// Makes it stand still. On any error the server runs, or will as soon as it can.
    fn quiesce(self: Box<Self>, limits: &Limits<'_>) -> Result<Box<dyn Quiet>, QuiesceError>;
}

/// A server that stands still. Dropping it lets the server run.
pub trait Quiet {
    /// What its files are worth.
    fn files(&self) -> Files;

    /// The position of the files, where what quiesces the server knows it.
    fn position(&self) -> Option<&WsrepGtid>;

    /// The LSN up to which the redo log was on the disk when it stood still; none where its files need no recovery.
    fn redo_end(&self) -> Option<u64> {
        None
    }

    /// Since when it stands still.
    fn since(&self) -> Timestamp;

    /// When it was asked to: from here on its clients may wait.
    fn asked(&self) -> Instant;

    /// From then until it stood still.
    fn flush_time(&self) -> Duration;

    /// Tells the server how many bytes are to be read, where it wants to know.
    fn total(&self, bytes: u64);

    /// Tells the server how many bytes are read, where it wants to know.
    fn complete(&self, bytes: u64);

    /// Lets the server run again. Fails if another call has done so before: then the files may have changed while they were read.
    fn resume(self: Box<Self>) -> Result<Resumed, Box<dyn Quiet>>;
}

/// A server that runs again.
pub struct Resumed {
    /// From the question to here.
    pub frozen: Duration,
    /// The LSN up to which its redo log went just before it was let run, where it was asked: whatever is of a moment before that ends there at the latest.
    pub redo_end: Option<u64>,
    complete: Box<dyn FnOnce() -> io::Result<()>>,
}

impl Debug for Resumed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resumed").field("frozen", &self.frozen).finish_non_exhaustive()
    }
}

impl Resumed {
    /// `complete` tells mysqld, or another caller that has asked for the backup, that it is there.
    pub fn new(frozen: Duration, complete: impl FnOnce() -> io::Result<()> + 'static) -> Self {
        Self { frozen, redo_end: None, complete: Box::new(complete) }
    }

    /// The same of a server that has said how far its redo log goes.
    #[must_use]
    pub fn with_redo_end(self, lsn: u64) -> Self {
        Self { redo_end: Some(lsn), ..self }
    }

    /// Tells the caller that has asked that the backup is there: only after everything is durable.
    pub fn complete(self) -> io::Result<()> {
        (self.complete)()
    }
}
