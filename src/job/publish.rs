//! From what was captured to a backup.

use super::{Job, JobError, Reporter};
use crate::capture::{Captured, Choice, Watch};
use crate::model::{BackupState, Manifest};
use crate::output::{Outcome, OutputError, Patience};
use crate::quiesce::Resumed;

/// Makes a backup of what was captured.
pub fn publish(
    job: &Job,
    captured: Captured<'_>,
    choice: &Choice,
    warnings: Vec<String>,
    watch: &Watch,
    reporter: &Reporter,
) -> Result<(Manifest, Resumed), JobError> {
    let Captured { archive, identity, resumed, paused, vanished, warnings: about_files } = captured;
    let written = archive.end(identity.gtid.as_ref()).map_err(OutputError::from)?;
    reporter.state(BackupState::Publishing);
    if let Some(abort) = watch.aborted() {
        return Err(abort.into());
    }
    let outcome = Outcome {
        method: choice.method.name(),
        reason: choice.reason(),
        frozen_time: resumed.frozen,
        paused,
        vanished,
        warnings,
        about_files,
    };
    let is_wanted = || watch.aborted().is_none();
    let patience = Patience { is_wanted: &is_wanted, stall_timeout: job.settings.stall_timeout };
    let manifest = written.publish(identity, outcome, &patience).map_err(|error| match watch.aborted() {
        Some(abort) if matches!(error, OutputError::Unwanted) => abort.into(),
        _ => JobError::from(error),
    })?;
    Ok((manifest, resumed))
}
