//! Why a run has no folder, no room, no method, or no backup in the end.

use std::io;

use thiserror::Error;

use crate::capture::Abort;
use crate::output::OutputError;
use crate::storage::StorageError;

/// Why a run has no folder, no room, no method, or no backup in the end.
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
    /// The repository among the server's files.
    #[error("{0}")]
    Overlap(String),
    /// No method works here.
    #[error("{0}")]
    NoMethod(String),
    /// The sink of the backup.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl JobError {
    /// Whether the repository is the cause, and cannot be used: one that is full can be read.
    pub fn is_of_repository(&self) -> bool {
        match self {
            Self::Storage(error) => error.cause().kind() != io::ErrorKind::StorageFull,
            Self::Claim(_) => true,
            _ => false,
        }
    }
}
