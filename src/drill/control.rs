//! Whether a server starts here at all: on files that were just made, by the same options.

use std::sync::Arc;

use super::error::DrillError;
use super::fresh;
use super::home::{AccountUse, ServerHome};
use super::request::DrillRequest;
use super::scratch::ScratchFolder;
use super::server::DrillServer;
use super::watch::DrillWatch;
use crate::model::{DrillStep, Manifest};
use crate::restore::needed_anywhere;

/// The error for files on which no server came up, `why`: theirs, unless none comes up on others either.
pub(super) fn blame(
    step: DrillStep,
    why: String,
    manifest: &Manifest,
    request: &DrillRequest,
    scratch: &ScratchFolder,
    owner: Option<(u32, u32)>,
    watch: &DrillWatch,
) -> DrillError {
    if watch.given_up().is_some() || watch.excuse(request.is_newer_than(manifest)).is_some() {
        return DrillError::failed(step, why);
    }
    match starts(manifest, request, scratch, owner, watch) {
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

fn starts(
    manifest: &Manifest,
    request: &DrillRequest,
    scratch: &ScratchFolder,
    owner: Option<(u32, u32)>,
    watch: &DrillWatch,
) -> Result<(), DrillError> {
    let home = Arc::new(ServerHome::make(scratch, "control", scratch.join("control-data"), owner)?);
    home.write_options(&needed_anywhere(&manifest.server), &request.local, AccountUse::Ignored)?;
    fresh::install(&home, &request.server.program, watch)?;
    let server = DrillServer::start(&home, &request.server.program, &[], watch)?;
    server.wait_answering().map_err(DrillError::Undone)
}
