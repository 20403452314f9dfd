//! `prune-after-backup`: the last thing that a run does, in the donor role behind `done`.
//!
//! The backup is complete, mysqld has been told, and the node is a donor no more: it is Synced again before this program
//! ends (seen on MariaDB 10.11), so the way out is not closed to a node that is cut off now (`donate::primary`). But a mysqld
//! that shuts down waits for the program (seen, too), and so does the next state transfer. So pruning has a few
//! seconds, on a thread of its own, which the run does not wait for any longer: what it does not get done is for the next time, and
//! wherever it is cut off, the next time finishes it (see [`crate::prune`]). Nothing here changes how the backup ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Job;
use super::background::{ThreadLimits, bounded};
use crate::capture::Watch;
use crate::catalog::{CatalogError, History};
use crate::prune::policy::RetentionVerdict;
use crate::prune::{PrunePlan, Tally, carry_out};

/// How long it may take.
const LIMITS: ThreadLimits = ThreadLimits { time: Duration::from_secs(4), farewell: Duration::from_secs(1) };

const CUT_OFF: &str = "pruning was cut off; the next one, or 'wsrep_sst_backup prune', goes on with it";

/// The next one would come as far: to look at each backup takes as long whether one goes or none.
const NEVER: &str = "to see what is to go took longer than prune-after-backup has, so nothing was pruned, nor will be: have \
                     'wsrep_sst_backup prune' run on one node each day (systemctl enable --now wsrep-sst-backup-prune.timer)";

/// Removes what the policy does not keep of this cluster's backups, where `prune-after-backup` is set.
pub(super) fn prune_after_backup(job: &Job, watch: &Watch) {
    let policy = job.settings.retention;
    if !job.settings.prune_after_backup || policy.is_empty() {
        return;
    }
    let (cluster, storage) = (job.destination.folder.clone(), Arc::clone(&job.repository));
    let begun = Instant::now();
    let is_planned = Arc::new(AtomicBool::new(false));
    let planned = Arc::clone(&is_planned);
    let outcome = bounded("prune", LIMITS, &|| watch.aborted().is_some(), move |stop| {
        PrunePlan::make(storage.as_ref(), Some(&cluster), &policy, Timestamp::now()).map(|plan| {
            planned.store(!stop.load(Ordering::Relaxed), Ordering::Relaxed);
            announce(&plan);
            carry_out(storage.as_ref(), &plan, &|| stop.load(Ordering::Relaxed))
        })
    });
    // Not where the node was cut off before.
    let is_late = !is_planned.load(Ordering::Relaxed) && begun.elapsed() >= LIMITS.time;
    let cut_off = if is_late { NEVER } else { CUT_OFF };
    match outcome {
        Ok(Some(outcome)) => tell(outcome, cut_off),
        // It hangs in the repository, or it is gone.
        Ok(None) => log::warn!("{cut_off}"),
        Err(error) => log::warn!("the backups were not pruned: {error}"),
    }
}

/// Logs which backups go, and which cannot be judged.
fn announce(plan: &PrunePlan) {
    for backup in plan.clusters.iter().flat_map(|plan| &plan.backups) {
        match &backup.verdict {
            RetentionVerdict::Remove(lapses) => {
                let why: Vec<String> = lapses.iter().map(ToString::to_string).collect();
                log::info!("prune: {} goes: {}", backup.id, why.join("; "));
            }
            RetentionVerdict::Keep(reasons) => {
                for doubt in reasons.iter().filter(|reason| reason.is_doubt()) {
                    log::warn!("prune: {} stays: {doubt}", backup.id);
                }
            }
        }
    }
    for plan in plan.clusters.iter().filter(|plan| plan.histories.len() > 1) {
        let histories: Vec<String> = plan.histories.iter().map(History::words).collect();
        log::warn!(
            "prune: the folder of cluster '{}' has backups of several histories, each of which is counted apart: {}",
            plan.cluster,
            histories.join("; ")
        );
    }
    for unknown in &plan.unknown {
        log::warn!("prune: {unknown}");
    }
    for leftover in plan.clusters.iter().flat_map(|plan| &plan.leftovers).filter(|leftover| leftover.goes) {
        log::info!("prune: what is left of {} goes: {}", leftover.id, leftover.reason);
    }
}

fn tell(outcome: Result<Tally, CatalogError>, cut_off: &str) {
    let tally = match outcome {
        Ok(tally) => tally,
        Err(error) => return log::warn!("the backups were not pruned: {error}"),
    };
    for text in tally.spared.iter().chain(&tally.failed) {
        log::warn!("prune: {text}");
    }
    log::info!(
        "pruned: backups gone: {}, leftovers gone: {}, {} MiB",
        tally.backups,
        tally.leftovers,
        tally.bytes >> 20
    );
    if tally.stopped {
        log::warn!("{cut_off}");
    }
}
