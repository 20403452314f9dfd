//! Why a dump was not loaded, and how far it came.

use thiserror::Error;

use crate::catalog::BackupReadError;
use crate::restore::error::RestoreError;

/// Why a dump was not loaded.
#[derive(Debug, Error)]
pub enum LoadError {
    /// What was asked for makes no sense; nothing was sent.
    #[error("{0}")]
    Usage(String),
    /// Nothing was sent, because it would do harm or could not end well.
    #[error("{0}")]
    Refused(String),
    /// The dump is not whole, or not what was written; nothing was sent.
    #[error("{0}")]
    Damaged(String),
    /// The backup cannot be read; nothing was sent.
    #[error(transparent)]
    Source(#[from] RestoreError),
    /// Something was sent. In one text: why it ended, how far it came, what is in the server now, and what to do.
    #[error("{0}")]
    Stopped(String),
    /// Ctrl-C or SIGTERM, before anything was sent.
    #[error("interrupted; nothing was sent to the server")]
    Interrupted,
}

impl From<BackupReadError> for LoadError {
    fn from(error: BackupReadError) -> Self {
        Self::Source(error.into())
    }
}
