//! What a donor's program tells mysqld from its first word to its last.
//!
//! The compiler knows whether the server is frozen: `flush tables` can be asked once because it consumes the [`FlushTables`] that the
//! conversation has become.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::frozen::Frozen;
use super::pipe::Pipe;
use super::protocol::{self, Reply};
use crate::model::WsrepGtid;
use crate::presence::Presence;
use crate::quiesce::{Files, Limits, QuiesceError, Quiescer, Quiet, Release, Resumed, Wanted};
use crate::regular_file;

/// Each poll is freeze time: the stock scripts' 200 ms would be most of it on a small server.
const POLL: Duration = Duration::from_millis(2);
/// How long the reply must stay the same. 10.11 writes it twice; older servers write it before
/// InnoDB has come to rest.
const SETTLE: Duration = Duration::from_millis(20);
/// How long a program that is stopped waits for the answer to its `flush tables`; below the time after which it is ended
/// without cleaning up.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// More bytes than mysqld's answer has.
const LONGEST_REPLY: u64 = 64 << 10;
/// How long after its answer mysqld certainly has read that it may continue.
const RUNS_AGAIN: Duration = Duration::from_millis(200);

/// A server that runs and has been told nothing yet.
#[derive(Debug)]
pub struct Conversation {
    pipe: Arc<Pipe>,
}

impl Conversation {
    /// `out` is mysqld's pipe ([`super::stdout::claim`]).
    pub fn new(out: File, datadir: &Path) -> Self {
        Self { pipe: Arc::new(Pipe::new(out, datadir)) }
    }

    /// A handle that can thaw from another thread.
    pub fn release(&self) -> Arc<dyn Release> {
        Arc::<Pipe>::clone(&self.pipe)
    }

    /// A state transfer without data: `continue`, then `done` at the request's position, as the stock
    /// script does.
    pub fn bypass(self, gtid: &WsrepGtid) -> io::Result<()> {
        self.pipe.say(protocol::CONTINUE)?;
        self.pipe.say(&protocol::done(gtid))
    }

    /// A backup: `asked` is the position of the request, `progress` is `--progress 1`.
    pub fn for_backup(self, asked: &WsrepGtid, progress: bool) -> FlushTables {
        FlushTables { pipe: self.pipe, asked: asked.clone(), progress }
    }
}

/// A server that can be frozen by `flush tables`.
#[derive(Debug)]
pub struct FlushTables {
    pipe: Arc<Pipe>,
    asked: WsrepGtid,
    progress: bool,
}

impl Quiescer for FlushTables {
    fn files(&self) -> Files {
        Files::Clean
    }

    fn release(&self) -> Arc<dyn Release> {
        Arc::<Pipe>::clone(&self.pipe)
    }

    /// mysqld's words for a transfer in which it need not stand still are those of one without data.
    fn pass(self: Box<Self>, gtid: &WsrepGtid) -> Result<Resumed, QuiesceError> {
        let Self { pipe, asked, .. } = *self;
        if let Reply::Refused(why) = protocol::read_reply(&format!("{gtid}\n"), &asked) {
            return Err(QuiesceError::Position(why));
        }
        let gtid = gtid.clone();
        Ok(Resumed::new(Duration::ZERO, move || {
            pipe.say(protocol::CONTINUE)?;
            pipe.say(&protocol::done(&gtid))
        }))
    }

    /// On any error the server has been told to continue, if it has been asked at all.
    fn quiesce(self: Box<Self>, limits: &Limits<'_>) -> Result<Box<dyn Quiet>, QuiesceError> {
        let Self { pipe, asked: request, progress } = *self;
        // What is given up before it has begun costs the server nothing.
        if (limits.wanted)() != Wanted::Yes {
            return Err(QuiesceError::GivenUp);
        }
        remove_stale(&pipe.reply_file())?;
        remove_stale(&pipe.error_file())?;
        let asked = Instant::now();
        pipe.ask_flush().map_err(|e| QuiesceError::Io(format!("cannot talk to mysqld: {e}")))?;
        match wait_for_reply(&pipe, &request, asked, limits) {
            Ok(gtid) => {
                let (flushed, at) = (asked.elapsed(), Timestamp::now());
                Ok(Box::new(Frozen { pipe, progress, gtid, asked, flushed, at, over: false }))
            }
            Err(error) => {
                pipe.thaw();
                if matches!(error, QuiesceError::GivenUp) && (limits.wanted)() == Wanted::ServerMayStop {
                    wait_until_answered(&pipe);
                }
                pipe.remove_reply();
                Err(error)
            }
        }
    }
}

/// A server that is stopped while it is still on its way into the freeze would hang in its shutdown (seen): it has been told
/// to continue, but reads that behind its answer only.
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

fn wait_for_reply(
    pipe: &Pipe,
    request: &WsrepGtid,
    asked: Instant,
    limits: &Limits<'_>,
) -> Result<WsrepGtid, QuiesceError> {
    let mut seen: Option<(WsrepGtid, Instant)> = None;
    // A program that was stopped meanwhile has not waited for mysqld, and finds its answer in its place.
    let mut presence = Presence::since(asked);
    loop {
        if (limits.wanted)() != Wanted::Yes {
            return Err(QuiesceError::GivenUp);
        }
        if pipe.error_file().is_file() {
            let _ = fs::remove_file(pipe.error_file());
            return Err(QuiesceError::Failed);
        }
        // While the file is missing or replaced, the last answer stands but must settle anew.
        let reply = match regular_file::read(&pipe.reply_file(), LONGEST_REPLY) {
            Ok(text) => protocol::read_reply(&String::from_utf8_lossy(&text), request),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Reply::Incomplete,
            Err(error) => {
                let file = pipe.reply_file();
                return Err(QuiesceError::Io(format!(
                    "cannot read mysqld's answer '{}': {error}",
                    file.display()
                )));
            }
        };
        match reply {
            Reply::Refused(why) => return Err(QuiesceError::Position(why)),
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
        if presence.waited() >= limits.timeout {
            return Err(QuiesceError::Timeout(limits.timeout));
        }
        std::thread::sleep(POLL);
    }
}

fn remove_stale(path: &Path) -> Result<(), QuiesceError> {
    match fs::remove_file(path) {
        Ok(()) => {
            log::info!("removed '{}', left by an earlier state transfer", path.display());
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(QuiesceError::Io(format!(
            "cannot remove '{}', left by an earlier state transfer: {error}",
            path.display()
        ))),
    }
}
