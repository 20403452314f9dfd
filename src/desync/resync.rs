//! Out of flow control, and back.

use std::time::{Duration, Instant};

use super::DesyncError;
use super::load::NodeLoad;
use super::node::{AGAIN, InVain, LocalNode};
use super::note::{DesyncRecord, Note};
use crate::sql::{DesyncAnswer, SqlSession};

/// Between two looks at the queue: a busy queue is empty for moments only.
const POLL: Duration = Duration::from_millis(50);
/// For how long a statement is tried that must succeed.
pub const INSIST: Duration = Duration::from_secs(120);
/// How long a statement without an answer is waited for.
const LATE: Duration = Duration::from_secs(10);
/// How long the node may take to be Synced when its queue is empty.
const SYNCED: Duration = Duration::from_secs(60);

/// How long the way back may take, and who hears of it.
pub struct ResyncPatience<'a> {
    /// For the queue to drain (`resync-timeout`).
    pub drain: Duration,
    /// For a statement that ends it to succeed: a server may refuse connections for a while.
    pub insist: Duration,
    /// Whether it is not to be waited for any more.
    pub at_once: &'a dyn Fn() -> bool,
    /// Looks at the node while its queue drains; an error says why that is not to be waited for any more.
    pub watch: &'a mut dyn FnMut(NodeLoad) -> Result<(), String>,
    /// Hears each step.
    pub tell: &'a mut dyn FnMut(ResyncStep),
}

impl ResyncPatience<'_> {
    /// With none for a queue.
    pub(super) fn none<T>(end: impl FnOnce(&mut ResyncPatience<'_>) -> T) -> T {
        end(&mut ResyncPatience {
            drain: Duration::ZERO,
            insist: INSIST,
            at_once: &|| true,
            watch: &mut |_| Ok(()),
            tell: &mut |_| (),
        })
    }
}

/// A step of the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResyncStep {
    /// So many write sets are waited for.
    Draining(u64),
    /// What a replica has received meanwhile is waited for.
    CatchingUp,
}

/// What the receive queue did before the desync ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Drained {
    /// Write sets in it when the wait began.
    pub first: u64,
    /// Write sets in it when it ended.
    pub last: u64,
    /// How long that was.
    pub waited: Duration,
}

/// How a node came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resynced {
    /// By `wsrep_desync=OFF`.
    Done {
        /// The queue before.
        drained: Drained,
        /// How long it took to be Synced; none where it was not within a minute.
        synced: Option<Duration>,
        /// The node after it.
        load: NodeLoad,
    },
    /// Somebody else had said `wsrep_desync=OFF`.
    Already,
    /// The server was restarted or has ended, and with it the desync.
    Restarted,
}

/// A node that this process has desynced. Dropping it ends that at once.
pub struct Desynced {
    node: LocalNode,
    note: Option<Note>,
}

impl Desynced {
    /// Writes the note, then desyncs. On an error the node is as it was, or its note stays for whoever comes next.
    pub fn begin(mut node: LocalNode, mut record: DesyncRecord) -> Result<Self, DesyncError> {
        let of_others =
            || DesyncError::Busy("the node was desynced by somebody else in this moment".to_owned());
        record.server_started = node.ask(SqlSession::started_at).map_err(DesyncError::Sql)?;
        if node.ask(SqlSession::is_desynced).map_err(DesyncError::Sql)? {
            return Err(of_others());
        }
        let note = Note::write(node.socket(), record)?;
        match desync(&mut node) {
            Ok(DesyncAnswer::Done) => Ok(Self { node, note: Some(note) }),
            Ok(DesyncAnswer::Already) => {
                note.remove()?;
                Err(of_others())
            }
            Ok(DesyncAnswer::NotNow(why) | DesyncAnswer::Refused(why)) => {
                note.remove()?;
                Err(DesyncError::Sql(why))
            }
            Err(why) => Err(unanswered(node, note, why)),
        }
    }

    /// What the node has to do meanwhile.
    pub fn load(&mut self) -> Result<NodeLoad, String> {
        self.node.load()
    }

    /// Waits for the queue, then lets the node in again.
    pub fn end(mut self, patience: &mut ResyncPatience<'_>) -> Result<Resynced, DesyncError> {
        self.resync(patience)
    }

    fn resync_at_once(&mut self) {
        let resynced = ResyncPatience::none(|patience| self.resync(patience));
        if let Err(error) = resynced {
            log::error!("{error}");
        }
    }

    fn resync(&mut self, patience: &mut ResyncPatience<'_>) -> Result<Resynced, DesyncError> {
        let Some(note) = self.note.take() else { return Ok(Resynced::Already) };
        resync(&mut self.node, note, patience)
    }
}

/// Tries for a while what the provider cannot do at once.
fn desync(node: &mut LocalNode) -> Result<DesyncAnswer, String> {
    let begun = Instant::now();
    loop {
        let answer = node.ask_once(SqlSession::desync);
        if !matches!(answer, Ok(DesyncAnswer::NotNow(_))) || begun.elapsed() >= LATE {
            return answer;
        }
        std::thread::sleep(POLL);
    }
}

/// A statement without an answer may be carried out all the same, and later.
fn unanswered(mut node: LocalNode, note: Note, why: String) -> DesyncError {
    let begun = Instant::now();
    while begun.elapsed() < LATE {
        if node.ask(SqlSession::is_desynced) == Ok(true) {
            Desynced { node, note: Some(note) }.resync_at_once();
            return DesyncError::Sql(why);
        }
        std::thread::sleep(AGAIN);
    }
    DesyncError::Sql(format!(
        "{why}; should the node be desynced by that later, 'check' or 'run --resync' ends it"
    ))
}

impl Drop for Desynced {
    fn drop(&mut self) {
        self.resync_at_once();
    }
}

/// Ends the desync of which the note speaks, then removes the note. Where that fails the note stays, and so it does for as long as the server is desynced.
pub(super) fn resync(
    node: &mut LocalNode,
    note: Note,
    patience: &mut ResyncPatience<'_>,
) -> Result<Resynced, DesyncError> {
    let started = note.record.server_started;
    let drained = drain(node, patience);
    let outcome = node
        .insist(started, patience.insist, let_in)
        .map_err(|InVain { tried, cause }| DesyncError::StillDesynced { tried, cause })?;
    if outcome.is_none() && is_still_desynced(node, patience.insist)? {
        return Err(DesyncError::OfAnother { note: note.path().to_owned() });
    }
    note.remove()?;
    match outcome {
        None => Ok(Resynced::Restarted),
        Some(LetIn::Already) => Ok(Resynced::Already),
        Some(LetIn::Now) => Ok(wait_synced(node, drained, patience)),
    }
}

/// Whether the server that is there now, another than that of the note, is desynced.
fn is_still_desynced(node: &mut LocalNode, insist: Duration) -> Result<bool, DesyncError> {
    let answer = node.until_answered(insist, |session| session.is_desynced().map(Some));
    answer
        .map(|is_desynced| is_desynced == Some(true))
        .map_err(|InVain { tried, cause }| DesyncError::StillDesynced { tried, cause })
}

enum LetIn {
    Now,
    Already,
}

fn let_in(session: &mut SqlSession) -> Result<LetIn, String> {
    if !session.is_desynced()? {
        return Ok(LetIn::Already);
    }
    session.resync()?;
    Ok(LetIn::Now)
}

/// Until the queue is empty, or the watch speaks against it. A server that does not answer has nothing to wait for.
fn drain(node: &mut LocalNode, patience: &mut ResyncPatience<'_>) -> Drained {
    let begun = Instant::now();
    let mut drained = Drained::default();
    let mut is_first = true;
    loop {
        let Ok(load) = node.load() else { return drained };
        if is_first {
            drained.first = load.queue;
            is_first = false;
            if load.queue > 0 {
                (patience.tell)(ResyncStep::Draining(load.queue));
            }
        }
        drained.last = load.queue;
        drained.waited = begun.elapsed();
        if load.queue == 0 || begun.elapsed() >= patience.drain || (patience.at_once)() {
            return drained;
        }
        if let Err(why) = (patience.watch)(load) {
            log::warn!("{why}: the queue is not waited for any longer");
            return drained;
        }
        std::thread::sleep(POLL);
    }
}

fn wait_synced(node: &mut LocalNode, drained: Drained, patience: &ResyncPatience<'_>) -> Resynced {
    let begun = Instant::now();
    loop {
        let load = node.load().unwrap_or_default();
        let synced = load.is_synced.then(|| begun.elapsed());
        // Somebody else's desync, or a lock, keeps it a donor.
        let is_others = load.desyncs > 0 && (patience.at_once)();
        if synced.is_some() || is_others || begun.elapsed() >= SYNCED {
            return Resynced::Done { drained, synced, load };
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
#[path = "resync_tests.rs"]
mod tests;
