//! A replica whose SQL threads stand while something reads it.
//!
//! Nothing that comes from its masters is applied then, so that its positions are those of what is read. Those threads that ran are started
//! again, and no other; what they have missed is applied before this program ends.

use std::time::{Duration, Instant};

use super::DesyncError;
use super::node::{InVain, LocalNode};
use super::note::{DesyncRecord, Note};
use super::resync::{ResyncPatience, ResyncStep};
use crate::sql::{ReplicaStatus, SqlSession};

/// Between two looks.
const POLL: Duration = Duration::from_millis(200);
/// How long a thread may take to stop: it ends what it has begun.
const STOPPED: Duration = Duration::from_secs(120);

/// How a replica went on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restarted {
    /// Its threads run, and this is how far each is.
    Running(Vec<CaughtUp>),
    /// The server was restarted or has ended: it starts its threads by its own settings.
    Server,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtUp {
    /// Its name; empty for the one that needs none.
    pub name: String,
    /// How long it took to apply what had come meanwhile; the text says what keeps it from that.
    pub outcome: Result<Duration, String>,
    /// Seconds by which it is to be behind its master, where that is why it has not applied all.
    pub delay: Option<u64>,
}

/// A replica whose threads this process has stopped. Dropping it starts them.
pub struct StoppedReplica {
    node: LocalNode,
    note: Option<Note>,
}

/// What a replica says of its connections; those whose SQL thread runs are to be stopped.
pub fn connections(node: &mut LocalNode) -> Result<Vec<ReplicaStatus>, DesyncError> {
    node.ask(SqlSession::replica_status).map_err(DesyncError::Sql)
}

/// What speaks against relying on a replica, a sentence each.
pub fn doubts(node: &mut LocalNode, connections: &[ReplicaStatus]) -> Vec<String> {
    let mut doubts: Vec<String> = connections
        .iter()
        .filter(|status| status.connection.running != Some(true) || status.error.is_some())
        .map(|status| {
            let why = status.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
            format!(
                "{} does not apply what its master writes, and is not started afterwards{why}",
                status.connection.words()
            )
        })
        .collect();
    let skip = node.ask(|session| session.variables(&["sql_slave_skip_counter"])).unwrap_or_default();
    if let Some(count) = skip.get("sql_slave_skip_counter").filter(|count| *count != "0") {
        doubts.push(format!(
            "sql_slave_skip_counter is {count}: the next start of an SQL thread passes over that many events"
        ));
    }
    doubts
}

impl StoppedReplica {
    /// Writes the note, then stops the SQL threads that it names. On an error they run again.
    pub fn begin(mut node: LocalNode, mut record: DesyncRecord) -> Result<Self, DesyncError> {
        record.server_started = node.ask(SqlSession::started_at).map_err(DesyncError::Sql)?;
        let names = record.stopped.clone();
        let note = Note::write(node.socket(), record)?;
        let mut stopped = Self { node, note: Some(note) };
        for name in &names {
            if let Err(why) = stop(&mut stopped.node, name) {
                stopped.start_at_once();
                return Err(DesyncError::Sql(why));
            }
        }
        Ok(stopped)
    }

    /// Whether the server answers.
    pub fn ask(&mut self) -> Result<(), String> {
        self.node.ask(|session| session.status("Uptime").map(drop))
    }

    /// Starts them, and waits until they have applied what had come meanwhile.
    pub fn end(mut self, patience: &mut ResyncPatience<'_>) -> Result<Restarted, DesyncError> {
        match self.note.take() {
            Some(note) => restart(&mut self.node, note, patience),
            None => Ok(Restarted::Server),
        }
    }

    fn start_at_once(&mut self) {
        let Some(note) = self.note.take() else { return };
        let restarted = ResyncPatience::none(|patience| restart(&mut self.node, note, patience));
        if let Err(error) = restarted {
            log::error!("{error}");
        }
    }
}

impl Drop for StoppedReplica {
    fn drop(&mut self) {
        self.start_at_once();
    }
}

/// Stops one. A thread in the midst of a long transaction lets the statement wait for longer than any answer may: then it is looked at.
fn stop(node: &mut LocalNode, name: &str) -> Result<(), String> {
    let answer = node.ask(|session| session.stop_sql_thread(name));
    let begun = Instant::now();
    while runs(&node.ask(SqlSession::replica_status)?, name) {
        if begun.elapsed() >= STOPPED {
            let why = answer.err().unwrap_or_else(|| "it goes on".to_owned());
            return Err(format!("the SQL thread of connection '{name}' does not stop: {why}"));
        }
        std::thread::sleep(POLL);
    }
    Ok(())
}

fn runs(connections: &[ReplicaStatus], name: &str) -> bool {
    connections.iter().any(|status| status.connection.name == name && status.connection.running == Some(true))
}

/// Starts the threads that the note names, then removes it. Where that fails the note stays.
pub(super) fn restart(
    node: &mut LocalNode,
    note: Note,
    patience: &mut ResyncPatience<'_>,
) -> Result<Restarted, DesyncError> {
    let (started, names) = (note.record.server_started, note.record.stopped.clone());
    let received = node
        .insist(started, patience.insist, |session| start_all(session, &names))
        .map_err(|InVain { tried, cause }| DesyncError::StillStopped { tried, cause })?;
    note.remove()?;
    let Some(received) = received else { return Ok(Restarted::Server) };
    Ok(Restarted::Running(names.iter().map(|name| catch_up(node, name, &received, patience)).collect()))
}

/// Starts those that do not run; what each had received by then.
fn start_all(session: &mut SqlSession, names: &[String]) -> Result<Vec<ReplicaStatus>, String> {
    let status = session.replica_status()?;
    for name in names.iter().filter(|name| !runs(&status, name)) {
        // A connection that was removed meanwhile needs no start.
        if status.iter().any(|status| status.connection.name == **name) {
            session.start_sql_thread(name)?;
        }
    }
    Ok(status)
}

fn catch_up(
    node: &mut LocalNode,
    name: &str,
    received: &[ReplicaStatus],
    patience: &mut ResyncPatience<'_>,
) -> CaughtUp {
    let goal = received
        .iter()
        .find(|status| status.connection.name == name)
        .and_then(|status| status.received.clone());
    let begun = Instant::now();
    let mut delay = None;
    (patience.tell)(ResyncStep::CatchingUp);
    let outcome = loop {
        let answer = node.ask(SqlSession::replica_status);
        let now =
            answer.as_ref().ok().and_then(|all| all.iter().find(|status| status.connection.name == name));
        match (now, answer.as_ref().err()) {
            (Some(now), _) if now.has_applied(goal.as_ref()) => break Ok(begun.elapsed()),
            (Some(now), _) if now.waits_for_its_delay() => {
                delay = Some(now.delay);
                break Ok(begun.elapsed());
            }
            (Some(now), _) if now.connection.running != Some(true) && now.error.is_some() => {
                break Err(now.error.clone().unwrap_or_default());
            }
            (None, None) => break Err("the connection is not there any more".to_owned()),
            (_, Some(why)) if node.is_down() => break Err(why.clone()),
            _ if begun.elapsed() >= patience.drain || (patience.at_once)() => {
                break Err(format!(
                    "it had not caught up after {} s, and goes on",
                    begun.elapsed().as_secs()
                ));
            }
            _ => std::thread::sleep(POLL),
        }
    };
    CaughtUp { name: name.to_owned(), outcome, delay }
}
