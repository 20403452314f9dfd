//! `prune-after-backup`: the last thing that a donor does, behind `done`.
//!
//! The backup is complete, mysqld has been told, and the node is a donor no more: it is Synced again before this program
//! ends (seen on MariaDB 10.11), so the way out is not closed to a node that is cut off now ([`super::primary`]). But a mysqld
//! that shuts down waits for the program (seen, too), and so does the next state transfer. So pruning has a few
//! seconds, on a thread of its own that nobody waits for any longer: what it does not get done is for the next time, and
//! wherever it is cut off, the next time finishes it (see [`crate::prune`]). Nothing here changes how the backup ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::Run;
use crate::capture::Watch;
use crate::catalog::CatalogError;
use crate::config::Retention;
use crate::prune::policy::Verdict;
use crate::prune::{Plan, Tally, carry_out};
use crate::storage::Storage;

/// How long it may take, with [`FAREWELL`] behind it.
const LIMIT: Duration = Duration::from_secs(4);
/// How long a removal that is under way may take to end.
const FAREWELL: Duration = Duration::from_secs(1);
/// How often somebody looks whether it is to end.
const TICK: Duration = Duration::from_millis(50);

/// Removes what the policy does not keep of this cluster's backups, where `prune-after-backup` is set.
pub(super) fn prune_after_backup(run: &Run, storage: Arc<dyn Storage>, watch: &Watch) {
    let policy = run.settings.retention;
    if !run.settings.prune_after_backup || policy.is_empty() {
        return;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, ended) = channel();
    let (told, cluster) = (Arc::clone(&stop), run.folder.clone());
    let thread = std::thread::Builder::new()
        .name("prune".into())
        .spawn(move || prune(storage.as_ref(), &cluster, &policy, &told, &sender));
    if let Err(error) = thread {
        log::warn!("the backups were not pruned: {error}");
        return;
    }
    let begun = Instant::now();
    loop {
        let is_late = begun.elapsed() >= LIMIT || watch.aborted().is_some();
        if is_late {
            stop.store(true, Ordering::Relaxed);
        }
        match ended.recv_timeout(if is_late { FAREWELL } else { TICK }) {
            Ok(outcome) => return tell(outcome),
            Err(RecvTimeoutError::Timeout) if !is_late => {}
            // It hangs in the repository, or it is gone.
            Err(_) => {
                log::warn!("pruning was cut off; the next one, or 'wsrep_sst_backup prune', goes on with it");
                return;
            }
        }
    }
}

fn prune(
    storage: &dyn Storage,
    cluster: &str,
    policy: &Retention,
    stop: &AtomicBool,
    ended: &Sender<Result<Tally, CatalogError>>,
) {
    let outcome = Plan::make(storage, Some(cluster), policy, Timestamp::now()).map(|plan| {
        announce(&plan);
        carry_out(storage, &plan, &|| stop.load(Ordering::Relaxed))
    });
    let _ = ended.send(outcome);
}

/// What goes, and what nobody can judge.
fn announce(plan: &Plan) {
    for backup in plan.clusters.iter().flat_map(|plan| &plan.backups) {
        match &backup.verdict {
            Verdict::Remove(lapses) => {
                let why: Vec<String> = lapses.iter().map(ToString::to_string).collect();
                log::info!("prune: {} goes: {}", backup.id, why.join("; "));
            }
            Verdict::Keep(reasons) => {
                for doubt in reasons.iter().filter(|reason| reason.is_doubt()) {
                    log::warn!("prune: {} stays: {doubt}", backup.id);
                }
            }
        }
    }
    for leftover in plan.clusters.iter().flat_map(|plan| &plan.leftovers).filter(|leftover| leftover.goes) {
        log::info!("prune: what is left of {} goes: {}", leftover.id, leftover.reason);
    }
}

fn tell(outcome: Result<Tally, CatalogError>) {
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
        log::warn!("pruning was cut off; the next one, or 'wsrep_sst_backup prune', goes on with it");
    }
}
