//! The freeze as moved values: `Conversation → Frozen → Thawed`.
//!
//! The compiler knows whether the server is frozen; `flush tables` can be asked once because it
//! consumes the conversation; dropping a [`Frozen`], on whatever path, writes `continue`. A watching
//! thread holds a [`Release`] with which it can thaw while the main thread hangs in a storage.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use thiserror::Error;

use super::protocol::{self, Reply};
use crate::model::WsrepGtid;
use crate::regular;

/// Each poll is freeze time: the stock scripts' 200 ms would be most of it on a small server.
const POLL: Duration = Duration::from_millis(2);
/// How long the reply must stay the same. 10.11 writes it twice; older servers write it before
/// InnoDB has come to rest.
const SETTLE: Duration = Duration::from_millis(20);
/// More bytes than mysqld's answer has.
const LONGEST_REPLY: u64 = 64 << 10;

/// Why a freeze was given up from outside.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Abort {
    /// SIGTERM, SIGINT or SIGHUP.
    #[error("stopped by {0}")]
    Signal(&'static str),
    /// `freeze-timeout`.
    #[error("the server has been frozen for {} s, the limit set by freeze-timeout", .0.as_secs())]
    FreezeTimeout(Duration),
    /// `stall-timeout`.
    #[error(
        "the repository hangs: it has not returned from '{action}' of '{object}' for {} s, the limit set by stall-timeout",
        limit.as_secs()
    )]
    Stalled {
        /// The operation.
        action: &'static str,
        /// What it was done to.
        object: String,
        /// The limit.
        limit: Duration,
    },
    /// The disk of the write-set cache.
    #[error(
        "'{directory}' has {} MiB free, too little for one more page file of {} MiB: write sets that come while the server is \
         frozen go there, and a server without room for them ends. Free space there, or see gcache.dir and gcache.size",
        free >> 20,
        page >> 20
    )]
    NoRoom {
        /// Where page files go.
        directory: PathBuf,
        /// Bytes.
        free: u64,
        /// Bytes of one file.
        page: u64,
    },
    /// `gcs.sync_donor`, set at run time.
    #[error(
        "this donor holds up the writes of its whole cluster (wsrep_flow_control_requested): gcs.sync_donor was switched on at run \
         time, where @@wsrep_provider_options may still say 'no'; set it to 'no', or allow it with allow-sync-donor or 'backup \
         --force'"
    )]
    FlowControl,
    /// The server has ended.
    #[error("mysqld (pid {0}) has gone away")]
    MysqldGone(i32),
}

/// Why there is no freeze.
#[derive(Debug, Error)]
pub enum FreezeError {
    /// `sst_error`.
    #[error("mysqld could not flush its tables (it wrote sst_error; its error log says why)")]
    Failed,
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
    /// From outside.
    #[error(transparent)]
    Aborted(#[from] Abort),
    /// The pipe or the data directory.
    #[error("{0}")]
    Io(String),
}

/// What mysqld has been told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    FlushTables,
    Continue,
}

/// The pipe to mysqld; the lock makes a line and the memory of it one step.
#[derive(Debug)]
struct Pipe {
    out: Mutex<(File, Said)>,
    datadir: PathBuf,
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, (File, Said)> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(&self, line: &str) -> io::Result<()> {
        self.lock().0.write_all(line.as_bytes())
    }

    fn ask_flush(&self) -> io::Result<()> {
        let mut guard = self.lock();
        guard.1 = Said::FlushTables;
        guard.0.write_all(protocol::FLUSH_TABLES.as_bytes())
    }

    /// Says a line of the freeze unless it is over.
    fn say_while_frozen(&self, line: &str) {
        let mut guard = self.lock();
        if guard.1 == Said::FlushTables {
            // mysqld reads these for its progress display only.
            let _ = guard.0.write_all(line.as_bytes());
        }
    }

    /// Says `continue` after a `flush tables`, once, whoever comes first; true for the one that said it.
    fn thaw(&self) -> bool {
        let mut guard = self.lock();
        if guard.1 != Said::FlushTables {
            return false;
        }
        guard.1 = Said::Continue;
        if let Err(error) = guard.0.write_all(protocol::CONTINUE.as_bytes()) {
            log::warn!("cannot tell mysqld to continue ({error}); it does so when this program ends");
        }
        true
    }

    fn reply_file(&self) -> PathBuf {
        self.datadir.join("tables_flushed")
    }

    fn error_file(&self) -> PathBuf {
        self.datadir.join("sst_error")
    }
}

/// A server that runs and has been told nothing yet.
#[derive(Debug)]
pub struct Conversation {
    pipe: Arc<Pipe>,
    progress: bool,
}

/// How long a program that is stopped waits for the answer to its `flush tables`; below the time after which it is ended
/// without cleaning up.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How long after its answer mysqld certainly has read that it may continue.
const RUNS_AGAIN: Duration = Duration::from_millis(200);

/// How long to wait, and for which answer.
pub struct FreezeLimits<'a> {
    /// `flush-timeout`.
    pub timeout: Duration,
    /// The position of the request.
    pub asked: &'a WsrepGtid,
    /// Asked at every poll.
    pub abort: &'a dyn Fn() -> Option<Abort>,
}

impl Conversation {
    /// `out` is mysqld's pipe ([`super::stdout::claim`]); `progress` is `--progress 1`.
    pub fn new(out: File, datadir: &Path, progress: bool) -> Self {
        Self {
            pipe: Arc::new(Pipe { out: Mutex::new((out, Said::Nothing)), datadir: datadir.to_path_buf() }),
            progress,
        }
    }

    /// A state transfer without data: `continue`, then `done` at the request's position, as the stock
    /// script does.
    pub fn bypass(self, gtid: &WsrepGtid) -> io::Result<()> {
        self.pipe.say(protocol::CONTINUE)?;
        self.pipe.say(&protocol::done(gtid))
    }

    /// A handle that can thaw from another thread.
    pub fn release(&self) -> Release {
        Release(Arc::clone(&self.pipe))
    }

    /// Freezes the server. On any error it has been told to continue, if it has been asked at all.
    pub fn flush_tables(self, limits: &FreezeLimits<'_>) -> Result<Frozen, FreezeError> {
        let Self { pipe, progress } = self;
        // What is given up before it has begun costs the server nothing.
        if let Some(abort) = (limits.abort)() {
            return Err(abort.into());
        }
        remove_stale(&pipe.reply_file())?;
        remove_stale(&pipe.error_file())?;
        let asked = Instant::now();
        pipe.ask_flush().map_err(|e| FreezeError::Io(format!("cannot talk to mysqld: {e}")))?;
        match wait_for_reply(&pipe, asked, limits) {
            Ok(gtid) => Ok(Frozen {
                pipe,
                progress,
                gtid,
                asked,
                flushed: asked.elapsed(),
                at: Timestamp::now(),
                over: false,
            }),
            Err(error) => {
                pipe.thaw();
                if matches!(error, FreezeError::Aborted(Abort::Signal(_))) {
                    wait_until_answered(&pipe);
                }
                remove_reply(&pipe);
                Err(error)
            }
        }
    }
}

/// Whoever stops the program stops the server next, and a server that is still on its way into the freeze would hang in
/// its shutdown (seen): it has been told to continue, but reads that behind its answer only.
fn wait_until_answered(pipe: &Pipe) {
    let begun = Instant::now();
    let mut answered: Option<Instant> = None;
    while begun.elapsed() < ANSWER_LIMIT && answered.is_none_or(|since| since.elapsed() < RUNS_AGAIN) {
        if pipe.reply_file().exists() || pipe.error_file().exists() {
            answered.get_or_insert_with(Instant::now);
        }
        std::thread::sleep(POLL);
    }
}

fn wait_for_reply(pipe: &Pipe, asked: Instant, limits: &FreezeLimits<'_>) -> Result<WsrepGtid, FreezeError> {
    let mut seen: Option<(WsrepGtid, Instant)> = None;
    loop {
        if let Some(abort) = (limits.abort)() {
            return Err(abort.into());
        }
        if pipe.error_file().is_file() {
            let _ = fs::remove_file(pipe.error_file());
            return Err(FreezeError::Failed);
        }
        // While the file is missing or replaced, the last answer stands but must settle anew.
        let reply = match regular::read(&pipe.reply_file(), LONGEST_REPLY) {
            Ok(text) => protocol::read_reply(&String::from_utf8_lossy(&text), limits.asked),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Reply::Incomplete,
            Err(error) => {
                let file = pipe.reply_file();
                return Err(FreezeError::Io(format!(
                    "cannot read mysqld's answer '{}': {error}",
                    file.display()
                )));
            }
        };
        match reply {
            Reply::Refused(why) => return Err(FreezeError::Position(why)),
            Reply::At(gtid) => match &seen {
                Some((before, since)) if *before == gtid => {
                    if since.elapsed() >= SETTLE {
                        return Ok(gtid);
                    }
                }
                _ => seen = Some((gtid, Instant::now())),
            },
            Reply::Incomplete => seen = None,
        }
        if asked.elapsed() >= limits.timeout {
            return Err(FreezeError::Timeout(limits.timeout));
        }
        std::thread::sleep(POLL);
    }
}

fn remove_stale(path: &Path) -> Result<(), FreezeError> {
    match fs::remove_file(path) {
        Ok(()) => {
            log::info!("removed '{}', left by an earlier state transfer", path.display());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(FreezeError::Io(format!(
            "cannot remove '{}', left by an earlier state transfer: {error}",
            path.display()
        ))),
    }
}

/// Thaws from another thread.
#[derive(Debug, Clone)]
pub struct Release(Arc<Pipe>);

impl Release {
    /// Tells mysqld to continue if nobody has; true if this call did it.
    pub fn thaw(&self) -> bool {
        let thawed = self.0.thaw();
        if thawed {
            remove_reply(&self.0);
        }
        thawed
    }
}

/// A frozen server. Dropping it thaws.
#[derive(Debug)]
pub struct Frozen {
    pipe: Arc<Pipe>,
    progress: bool,
    gtid: WsrepGtid,
    asked: Instant,
    flushed: Duration,
    at: Timestamp,
    over: bool,
}

impl Frozen {
    /// The position of the files.
    pub fn gtid(&self) -> &WsrepGtid {
        &self.gtid
    }

    /// The moment when the answer came.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// From `flush tables` to `tables_flushed`.
    pub fn flush_time(&self) -> Duration {
        self.flushed
    }

    /// When `flush tables` was asked.
    pub fn asked(&self) -> Instant {
        self.asked
    }

    /// Tells mysqld how much is to be copied, where it wants to know.
    pub fn total(&self, bytes: u64) {
        if self.progress {
            self.pipe.say_while_frozen(&protocol::total(bytes));
        }
    }

    /// Tells mysqld how much is copied, where it wants to know.
    pub fn complete(&self, bytes: u64) {
        if self.progress {
            self.pipe.say_while_frozen(&protocol::complete(bytes));
        }
    }

    /// Lets the server run again. Fails if the watching thread has done so before: then the files
    /// may have changed while they were read.
    pub fn thaw(mut self) -> Result<Thawed, Frozen> {
        if !self.pipe.thaw() {
            return Err(self);
        }
        self.over = true;
        let frozen = self.asked.elapsed();
        remove_reply(&self.pipe);
        Ok(Thawed { pipe: Arc::clone(&self.pipe), gtid: self.gtid.clone(), frozen })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if !self.over {
            if self.pipe.thaw() {
                log::info!("the server is released after {} ms", self.asked.elapsed().as_millis());
            }
            remove_reply(&self.pipe);
        }
    }
}

fn remove_reply(pipe: &Pipe) {
    match fs::remove_file(pipe.reply_file()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("cannot remove '{}': {error}", pipe.reply_file().display());
        }
        _ => {}
    }
}

/// A server that runs again; what it was asked for is being stored.
#[derive(Debug)]
pub struct Thawed {
    pipe: Arc<Pipe>,
    gtid: WsrepGtid,
    frozen: Duration,
}

impl Thawed {
    /// From `flush tables` to `continue`.
    pub fn frozen_time(&self) -> Duration {
        self.frozen
    }

    /// Tells mysqld that the transfer has succeeded: only after everything is durable.
    pub fn done(self) -> io::Result<()> {
        self.pipe.say(&protocol::done(&self.gtid))
    }
}
