//! Why a drill has not proved a backup.

use std::io;
use std::path::Path;

use thiserror::Error;

use crate::catalog::BackupReadError;
use crate::model::DrillStep;
use crate::restore::RestoreError;
use crate::restore::into::LoadError;

/// Why a drill has not proved a backup.
#[derive(Debug, Error)]
pub enum DrillError {
    /// The backup has not passed a step.
    #[error("the backup has failed its drill at the step '{}': {why}", .step.name())]
    Failed {
        /// Which.
        step: DrillStep,
        /// Why.
        why: String,
    },
    /// It could not be done, and nothing is said of the backup.
    #[error("the drill could not be done: {0}")]
    Undone(String),
    /// The backup could not be read or restored here, and that says nothing of it.
    #[error(transparent)]
    Restore(RestoreError),
}

impl DrillError {
    pub(super) fn failed(step: DrillStep, why: String) -> Self {
        Self::Failed { step, why }
    }

    /// For `map_err`: the system did not do what it was asked. `action` completes "cannot …".
    pub(super) fn system(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Undone(format!("cannot {action} '{}': {cause}", path.display()))
    }
}

/// What is damaged has failed; what could not be read, or has no room, has not.
impl From<RestoreError> for DrillError {
    fn from(error: RestoreError) -> Self {
        let is_damage = match &error {
            RestoreError::Source(error) => error.is_damage(),
            // Its objects are those that were stored, when mariadb-backup is asked to prepare them.
            RestoreError::Damaged { .. } | RestoreError::Program { .. } => true,
            _ => false,
        };
        if is_damage { Self::failed(DrillStep::Restore, error.to_string()) } else { Self::Restore(error) }
    }
}

impl From<BackupReadError> for DrillError {
    fn from(error: BackupReadError) -> Self {
        RestoreError::from(error).into()
    }
}

/// A server that has just been made refuses no statement of a dump that is good.
impl From<LoadError> for DrillError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Source(error) => error.into(),
            LoadError::Damaged(why) | LoadError::Stopped(why) => Self::failed(DrillStep::Restore, why),
            LoadError::Usage(why) | LoadError::Refused(why) => Self::Undone(why),
            LoadError::Interrupted => Self::Undone(error.to_string()),
        }
    }
}
