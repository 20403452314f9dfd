//! Whether a server starts here at all: on files that were just made, by the same options.

use std::sync::Arc;

use super::error::DrillError;
use super::fresh;
use super::home::{AccountUse, ServerHome};
use super::run::DrillRun;
use crate::model::DrillStep;

/// The error for files on which no server came up, `why`: theirs, unless none comes up on others either.
pub(super) fn blame(
    run: &DrillRun<'_>,
    owner: Option<(u32, u32)>,
    step: DrillStep,
    why: String,
) -> DrillError {
    let is_newer = run.request.is_newer_than(run.source.manifest());
    if run.watch.given_up().is_some() || run.watch.excuse(is_newer).is_some() {
        return DrillError::failed(step, why);
    }
    match starts(run, owner) {
        Ok(()) => DrillError::failed(step, why),
        Err(control) => {
            let control = match control {
                DrillError::Undone(why) => why,
                other => other.to_string(),
            };
            DrillError::Undone(format!(
                "no server comes up here, on files that were just made either ({control}). On those of the backup: {why}"
            ))
        }
    }
}

fn starts(run: &DrillRun<'_>, owner: Option<(u32, u32)>) -> Result<(), DrillError> {
    let home = ServerHome::make(run.scratch, "control", run.scratch.join("control-data"), owner)?;
    fresh::serve(run, &Arc::new(home), AccountUse::Ignored).map(drop)
}
