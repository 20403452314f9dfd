//! `run` on a replica, whose SQL threads stand meanwhile, or on a server that is neither replica nor node.

use std::time::{Duration, Instant};

use super::CommandError;
use super::run_command::{Run, Work};
use super::run_told::{restarted_told, warn};
use crate::cluster::NodeReport;
use crate::desync::{LocalNode, Restarted, StoppedReplica, connections, doubts};
use crate::ui::LiveLines;

/// Between two looks at the server.
const EVERY: Duration = Duration::from_secs(1);
/// A server that does not answer for so long has something worse.
const SILENT: Duration = Duration::from_secs(60);

/// From the look at the connections until they have caught up.
pub(super) fn on_a_replica(
    run: &mut Run<'_>,
    mut node: LocalNode,
    own: &NodeReport,
) -> Result<(), CommandError> {
    if let Work::Backup(_) = run.work {
        let text = format!(
            "the server '{}' is no node of a Galera cluster: 'run' without a command backs up nodes only",
            own.name()
        );
        return Err(CommandError::Refused(text));
    }
    let connections = connections(&mut node)?;
    doubts(&mut node, &connections).into_iter().for_each(warn);
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
        LiveLines::new().line(&format!("this server is {what}: nothing is stopped for the command"));
        let worked = run.work(own, &mut || Ok(()));
        return run.finish(worked);
    }
    let mut record = run.record(own.name());
    record.stopped = running;
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
    let restarted = run.come_back(|patience| stopped.end(patience))?;
    LiveLines::new().line(&restarted_told(&restarted));
    run.finish(outcome)?;
    match restarted {
        Restarted::Running(all) if all.iter().any(|connection| connection.outcome.is_err()) => {
            Err(CommandError::Failed("the replica has not caught up".into()))
        }
        _ => Ok(()),
    }
}
