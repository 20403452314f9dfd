//! `run` on a node of a cluster: it is desynced meanwhile.

use std::path::Path;
use std::time::Duration;

use super::run_command::{Run, ended};
use super::run_told::{resynced_told, warn};
use super::{CommandError, Context};
use crate::capture::free_space;
use crate::cluster::{Access, NodeReport, Survey};
use crate::desync::{Desynced, LocalNode, Resynced, Vigil, VigilLimits, judge, judge_again};
use crate::lease::{self, Lease, LeaseKind, Others, holder};
use crate::model::{DEFAULT_PAGE, PROVIDER_OPTIONS, provider_option, provider_size, safe_component};
use crate::ui::{LiveLines, grouped};

/// Between two signs of life of a lease, and after which time without one it is dead; those of `backup`.
const BEAT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(60);

/// From the look at the members to the end of the desync.
pub(super) fn on_a_node(
    run: &Run<'_>,
    node: LocalNode,
    access: &Access,
    survey: &Survey,
) -> Result<(), CommandError> {
    judge(survey, run.force)?.into_iter().for_each(warn);
    let own = survey.local().ok_or_else(|| CommandError::Failed("the server does not answer".into()))?;
    let name = own.name();
    let context = Context::open(run.settings.clone())?;
    let lease = lease(run, &context, own)?;
    let mut record = run.record(name);
    record.lease = lease.as_ref().map(|lease| lease.name().to_owned());
    let mut desynced = Desynced::begin(node, record)?;
    LiveLines::new().line(&format!("node '{name}' is desynced"));
    if let Err(refusal) = judge_again(&survey.again(access), name, run.force) {
        end(run, desynced, name)?;
        return Err(refusal.into());
    }
    let mut vigil = Vigil::new(limits(run, own), free_space);
    let outcome = run.command(own, &mut || vigil.look(&mut || desynced.load(), &mut warn));
    if vigil.longest > 0 {
        let text = format!("up to {} write sets waited in the receive queue", grouped(vigil.longest));
        LiveLines::new().line(&text);
    }
    // Whatever became of the command.
    let resynced = end(run, desynced, name);
    let status = outcome?;
    resynced?;
    ended(status)
}

/// The right to do so, for as long as it lives: the one that `backup` takes for timers.
fn lease(run: &Run<'_>, context: &Context, own: &NodeReport) -> Result<Option<Lease>, CommandError> {
    let storage = &context.storage;
    let folder = safe_component(context.cluster().unwrap_or_else(|| own.group()));
    let owner = format!("{} ({})", lease::host(), run.shown());
    let lease = match Lease::take(storage, LeaseKind::Asking, &folder, &owner, BEAT) {
        Ok(lease) => lease,
        Err(error) => {
            warn(format!("{error}; so another node that begins in the same moment cannot know of this run"));
            return Ok(None);
        }
    };
    for kind in [LeaseKind::Asking, LeaseKind::Freezing] {
        let own = Some(lease.name());
        let others = Others::default().look(storage.as_ref(), kind, &folder, own, SILENCE)?;
        if let Some(other) = others.first() {
            let what = match kind {
                LeaseKind::Asking => "another backup or run is under way",
                LeaseKind::Freezing => "a donor of this cluster stands still",
            };
            let who = holder(storage.as_ref(), other);
            return Err(CommandError::Failed(format!("{what} ({who}): nothing was done; try again later")));
        }
    }
    Ok(Some(lease))
}

fn limits(run: &Run<'_>, own: &NodeReport) -> VigilLimits {
    let options = own.variable(PROVIDER_OPTIONS).unwrap_or_default();
    let datadir = Path::new(own.variable("datadir").unwrap_or("/var/lib/mysql"));
    let folder = datadir.join(provider_option(options, "gcache.dir").unwrap_or_default());
    let page = provider_option(options, "gcache.page_size").and_then(provider_size).unwrap_or(DEFAULT_PAGE);
    VigilLimits { queue: run.settings.queue_limit, pages: Some((folder, page)) }
}

/// Lets the node in: when its queue is empty, or at once where we were asked to end.
fn end(run: &Run<'_>, desynced: Desynced, name: &str) -> Result<(), CommandError> {
    let resynced = run.come_back(|patience| desynced.end(patience))?;
    LiveLines::new().line(&resynced_told(name, &resynced));
    match resynced {
        Resynced::Done { synced: None, .. } => {
            Err(CommandError::Failed(format!("node '{name}' is let in again, and not Synced yet")))
        }
        _ => Ok(()),
    }
}
