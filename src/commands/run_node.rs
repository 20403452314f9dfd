//! `run` on a node of a cluster: it is desynced meanwhile.

use std::path::Path;
use std::time::Instant;

use super::run_command::{Run, Work};
use super::run_told::{resynced_told, warn};
use super::run_turn::{RunDecision, RunTurn, TurnTaker};
use super::{CommandError, Context};
use crate::capture::free_space;
use crate::cluster::{Access, NodeReport, Survey};
use crate::desync::{
    DesyncRefusal, Desynced, LocalNode, NodeLoad, Resynced, Vigil, VigilLimits, judge_again,
};
use crate::lock::SqlLock;
use crate::model::{DEFAULT_PAGE, PROVIDER_OPTIONS, provider_option, provider_size, safe_component};
use crate::ui::{LiveLines, grouped};

/// From the look at the members to the end of the desync, and of the backup.
pub(super) fn on_a_node(
    run: &mut Run<'_>,
    node: LocalNode,
    access: &Access,
    survey: &Survey,
) -> Result<(), CommandError> {
    let Some((turn, survey)) = turn(run, access, survey)? else { return Ok(()) };
    let own = survey.local().ok_or_else(|| DesyncRefusal::NoAnswer("it has just answered".into()))?;
    let name = own.name();
    if let Work::Backup(backup) = &mut run.work {
        let lock_timeout = run.settings.lock_timeout;
        backup.lock = Some(SqlLock::new(access.clone(), run.socket.clone(), lock_timeout, true));
    }
    run.prepare(own)?;
    let mut record = run.record(name);
    record.lease = turn.name().map(str::to_owned);
    let mut desynced = Desynced::begin(node, record)?;
    let begun = Instant::now();
    LiveLines::new().line(&format!("node '{name}' is desynced"));
    if let Err(refusal) = judge_again(&survey.again(access), name, run.force) {
        end(run, desynced, name, false, &mut |_| Ok(()))?;
        return Err(refusal.into());
    }
    let mut vigil = Vigil::new(limits(run, own), free_space);
    let mut is_given_up = false;
    let outcome = run.work(own, &mut || {
        vigil.look(&mut || desynced.load(), &mut warn).inspect_err(|_| is_given_up = true)
    });
    if vigil.longest > 0 {
        let text = format!("up to {} write sets waited in the receive queue", grouped(vigil.longest));
        LiveLines::new().line(&text);
    }
    // Whatever became of it.
    let resynced = end(run, desynced, name, is_given_up, &mut |load| vigil.look(&mut || Ok(load), &mut warn));
    run.is_back(begun.elapsed(), &resynced);
    run.finish(outcome)?;
    resynced
}

/// The right to do so, and the members as they are then; nothing where there is no need for a backup any more.
fn turn(
    run: &mut Run<'_>,
    access: &Access,
    survey: &Survey,
) -> Result<Option<(RunTurn, Survey)>, CommandError> {
    let Some(limit) = run.unless_newer_than() else {
        run.judge(survey)?.into_iter().for_each(warn);
        let context = run.repository()?;
        let folder = folder(&context, survey);
        return Ok(Some((turns(run, &context, &folder, survey).lease()?, survey.clone())));
    };
    if survey.local().is_none() {
        run.judge(survey)?;
    }
    let context = run.repository()?;
    let folder = folder(&context, survey);
    loop {
        let turn = match turns(run, &context, &folder, survey).elected(limit)? {
            RunDecision::Ours(turn) => turn,
            RunDecision::Recent(place, manifest) => {
                run.has_recent(place, manifest);
                return Ok(None);
            }
        };
        // That may have taken hours.
        let now = survey.again(access);
        match run.judge(&now) {
            Ok(warnings) => {
                warnings.into_iter().for_each(warn);
                return Ok(Some((turn, now)));
            }
            // A member is a donor already. When that is for a backup, this is the one that is wanted.
            Err(refusal) if refusal.is_of_a_donor() => {
                drop(turn);
                if !turns(run, &context, &folder, survey).is_explained(limit)? {
                    return Err(refusal.into());
                }
            }
            Err(refusal) => return Err(refusal.into()),
        }
    }
}

fn turns<'a>(run: &'a Run<'a>, context: &'a Context, folder: &'a str, survey: &Survey) -> TurnTaker<'a> {
    TurnTaker {
        run,
        storage: &context.storage,
        folder,
        history: survey.history().map(str::to_owned),
        position: survey.last_committed(),
    }
}

/// The folder of the cluster.
fn folder(context: &Context, survey: &Survey) -> String {
    let group = survey.local().map(NodeReport::group).unwrap_or_default();
    safe_component(context.cluster().unwrap_or(group))
}

fn limits(run: &Run<'_>, own: &NodeReport) -> VigilLimits {
    let options = own.variable(PROVIDER_OPTIONS).unwrap_or_default();
    let datadir = Path::new(own.variable("datadir").unwrap_or("/var/lib/mysql"));
    let folder = datadir.join(provider_option(options, "gcache.dir").unwrap_or_default());
    let page = provider_option(options, "gcache.page_size").and_then(provider_size).unwrap_or(DEFAULT_PAGE);
    VigilLimits { queue: run.settings.queue_limit, pages: Some((folder, page)) }
}

/// Lets the node in: when its queue is empty, or at once where we were asked to end, the work was given up, or `watch` speaks against waiting.
fn end(
    run: &Run<'_>,
    desynced: Desynced,
    name: &str,
    is_given_up: bool,
    watch: &mut dyn FnMut(NodeLoad) -> Result<(), String>,
) -> Result<(), CommandError> {
    let resynced = run.come_back(is_given_up, watch, |patience| desynced.end(patience))?;
    LiveLines::new().line(&resynced_told(name, &resynced));
    match resynced {
        Resynced::Done { synced: None, .. } => {
            Err(CommandError::Failed(format!("node '{name}' is let in again, and not Synced yet")))
        }
        Resynced::Restarted => Err(CommandError::Failed(format!(
            "the server of node '{name}' has ended or was started anew meanwhile: see its error log, and whether it is Synced"
        ))),
        _ => Ok(()),
    }
}
