//! `run` on a replica, whose SQL threads stand meanwhile, or on a server that is neither replica nor node.

use std::time::{Duration, Instant};

use super::CommandError;
use super::run_command::{Run, Work};
use super::run_names::server_name;
use super::run_told::{restarted_told, warn};
use super::run_turn::{RunDecision, RunTurn, TurnTaker};
use crate::capture::offered_by_run;
use crate::cluster::{Access, NodeReport};
use crate::desync::{LocalNode, Restarted, StoppedReplica, connections, doubts};
use crate::lease;
use crate::lock::SqlLock;
use crate::model::{Manifest, safe_component};
use crate::quiesce::Files;
use crate::ui::LiveLines;

/// Between two looks at the server.
const EVERY: Duration = Duration::from_secs(1);
/// A server that does not answer for so long has something worse.
const SILENT: Duration = Duration::from_secs(60);

/// From the look at the connections until they have caught up.
pub(super) fn on_a_replica(
    run: &mut Run<'_>,
    mut node: LocalNode,
    access: &Access,
    own: &NodeReport,
) -> Result<(), CommandError> {
    let Some(turn) = turn(run, own)? else { return Ok(()) };
    // Only now: the turn may have taken hours, and others start and stop connections meanwhile.
    let connections = connections(&mut node)?;
    doubts(&mut node, &connections).into_iter().for_each(warn);
    if let Work::Backup(backup) = &mut run.work {
        backup.is_replica = !connections.is_empty();
        if offered_by_run(&run.settings.method, false).contains(&Files::Crashed) {
            let lock_timeout = run.settings.lock_timeout;
            let lock = SqlLock::new(access.clone(), run.socket.clone(), lock_timeout, false);
            backup.lock = Some(lock);
        }
    }
    run.prepare(own)?;
    let running: Vec<String> = connections
        .iter()
        .filter(|status| status.connection.running == Some(true))
        .map(|status| status.connection.name.clone())
        .collect();
    if running.is_empty() {
        let what = if connections.is_empty() {
            "no replica and no node of a cluster"
        } else {
            "a replica that applies nothing"
        };
        LiveLines::new().line(&format!("this server is {what}: nothing is stopped for it"));
        let started = node.started_at().map_err(CommandError::Failed)?;
        let worked = run.work(own, &mut || Ok(()));
        let is_gone = !node.has_run_since(started);
        if is_gone {
            LiveLines::new().line("the server has ended or was started anew");
        }
        run.finish(worked)?;
        return if is_gone { Err(gone()) } else { Ok(()) };
    }
    let mut record = run.record(own.name());
    record.stopped = running;
    record.lease = turn.as_ref().and_then(RunTurn::name).map(str::to_owned);
    let mut stopped = StoppedReplica::begin(node, record)?;
    LiveLines::new().line("the replica's SQL threads stand");
    let mut next = Instant::now();
    let mut silent: Option<Instant> = None;
    let outcome = run.work(own, &mut || {
        if Instant::now() < next {
            return Ok(());
        }
        let answer = stopped.ask();
        next = Instant::now() + EVERY;
        let Err(why) = answer else {
            silent = None;
            return Ok(());
        };
        let since = *silent.get_or_insert_with(Instant::now);
        let is_over = since.elapsed() >= SILENT;
        if is_over {
            Err(format!("the server has not answered for {} s: {why}", SILENT.as_secs()))
        } else {
            Ok(())
        }
    });
    // Whatever became of the command.
    let restarted = run.come_back(false, &mut |_| Ok(()), |patience| stopped.end(patience))?;
    LiveLines::new().line(&restarted_told(&restarted));
    run.finish(outcome)?;
    match restarted {
        Restarted::Server => Err(gone()),
        Restarted::Running(all) if all.iter().any(|connection| connection.outcome.is_err()) => {
            Err(CommandError::Failed("the replica has not caught up".into()))
        }
        Restarted::Running(_) => Ok(()),
    }
}

/// What was read, or what a command did, may be of two servers.
fn gone() -> CommandError {
    CommandError::Failed("the server has ended or was started anew meanwhile: see its error log".into())
}

/// The right to take a backup of this server; none where there is no need for one. A command needs none, and no repository.
#[expect(clippy::option_option, reason = "the outer one says whether to go on")]
fn turn(run: &mut Run<'_>, own: &NodeReport) -> Result<Option<Option<RunTurn>>, CommandError> {
    if let Work::Command(_) = run.work {
        return Ok(Some(None));
    }
    let context = run.repository()?;
    let folder = safe_component(&context.cluster().map_or_else(lease::host, str::to_owned));
    let history =
        Some(Manifest::history_of_server(&server_name(own), own.variable("datadir").unwrap_or_default()));
    let turns = TurnTaker { run, storage: &context.storage, folder: &folder, history, position: None };
    match run.unless_newer_than() {
        None => Ok(Some(Some(turns.lease()?))),
        Some(limit) => match turns.elected(limit)? {
            RunDecision::Ours(turn) => Ok(Some(Some(turn))),
            RunDecision::Recent(place, manifest) => {
                run.has_recent(place, manifest);
                Ok(None)
            }
        },
    }
}
