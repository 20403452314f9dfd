//! The last words of a run that has a folder: in the repository, in the metrics, and what follows a backup.

use super::pruning::prune_after_backup;
use super::{Job, Metrics, Reporter};
use crate::capture::Watch;
use crate::model::{BackupState, Manifest};

/// How a run has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRun {
    /// Why.
    pub text: String,
    /// The number of it.
    pub exit_status: u8,
    /// Whether there is a backup.
    pub backup: BackupLeft,
}

/// Whether a run that has failed leaves a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackupLeft {
    /// For certain.
    Yes,
    /// For certain not: what was stored is taken back.
    No,
    /// Nobody knows: nothing is touched.
    Perhaps,
}

/// Says it, and does what follows.
pub fn conclude(
    job: &Job,
    reporter: &Reporter,
    metrics: &Metrics,
    watch: &Watch,
    outcome: Result<&Manifest, &FailedRun>,
) {
    let (failure, frozen_ms) = (outcome.err(), reporter.frozen_ms());
    if failure.is_some_and(|failure| failure.backup == BackupLeft::No) {
        job.destination.discard();
    }
    let has_failed = failure.is_some_and(|failure| failure.backup != BackupLeft::Yes);
    reporter.finish(
        if has_failed { BackupState::Failed } else { BackupState::Done },
        failure.map(|failure| failure.text.clone()),
    );
    let status = failure.map_or(crate::exit::DONE, |failure| failure.exit_status);
    metrics.record(status, frozen_ms, outcome.ok());
    if failure.is_none() {
        prune_after_backup(job, watch);
        metrics.read(job, watch);
    }
}
