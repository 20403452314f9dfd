//! Why a run has no folder, or no room.

use std::io;

use thiserror::Error;

use crate::capture::Abort;
use crate::storage::StorageError;

/// Why a run has no folder, or no room.
#[derive(Debug, Error)]
pub enum JobError {
    /// The repository.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Given up from outside.
    #[error(transparent)]
    Aborted(#[from] Abort),
    /// No folder could be claimed.
    #[error("cannot take a folder in the repository: {0}")]
    Claim(#[source] io::Error),
    /// A repository that is full for certain before the backup is complete.
    #[error("{0}")]
    NoRoom(String),
}
