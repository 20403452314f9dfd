//! Why a restore did not happen, and what became of what it had made.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::catalog::BackupReadError;
use crate::storage::StorageError;

/// Why a restore did not happen, or was undone.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The backup cannot be read or is damaged.
    #[error(transparent)]
    Source(#[from] BackupReadError),
    /// A member of the archive.
    #[error("backup '{id}' is damaged: {path}: {what}{undone} ('verify' lists all damage)")]
    Damaged {
        /// The backup.
        id: String,
        /// The member.
        path: String,
        /// What is wrong with it.
        what: String,
        /// What became of the target.
        undone: Undone,
    },
    /// The target, before anything was touched.
    #[error("{0}")]
    Refused(String),
    /// A request that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// Places outside of the data directory that the operator has to name; in lines.
    #[error("{}", .0.join("\n"))]
    Unnamed(Vec<String>),
    /// Writing failed.
    #[error("cannot {action} '{path}': {cause}{undone}")]
    Write {
        /// Completes "cannot …".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
        /// What became of the target.
        undone: Undone,
    },
    /// A program of MariaDB that the restore needs.
    #[error("{what}{undone}")]
    Program {
        /// Which, and what it said.
        what: String,
        /// What became of the target.
        undone: Undone,
    },
    /// Reading the repository failed on the way.
    #[error("{0}{1}")]
    Read(StorageError, Undone),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted{0}")]
    Interrupted(Undone),
    /// An error that does not tell itself what became of the target, where a directory that held files is partly replaced.
    #[error("{0}{halfway}", halfway = Undone::Halfway)]
    Halfway(Box<RestoreError>),
}

/// What became of what had been made until then.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Undone {
    /// Nothing had been made.
    #[default]
    Nothing,
    /// It is removed again.
    Removed,
    /// A directory that held files is partly replaced.
    Halfway,
}

impl std::fmt::Display for Undone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Nothing => "",
            Self::Removed => "; what had been restored is removed",
            Self::Halfway => {
                "; the data directory is partly replaced, and no server starts on it: run the same command again"
            }
        })
    }
}

impl RestoreError {
    /// Whether it can come from a backup that is removed meanwhile ([`BackupReader::is_removed`]).
    pub fn may_be_removal(&self) -> bool {
        match self {
            Self::Halfway(error) => error.may_be_removal(),
            _ => matches!(self, Self::Source(_) | Self::Damaged { .. } | Self::Read(..)),
        }
    }

    /// Whether a directory that held files is partly replaced.
    pub fn is_halfway(&self) -> bool {
        match self {
            Self::Damaged { undone, .. }
            | Self::Write { undone, .. }
            | Self::Program { undone, .. }
            | Self::Read(_, undone)
            | Self::Interrupted(undone) => *undone == Undone::Halfway,
            Self::Halfway(_) => true,
            Self::Source(_) | Self::Refused(_) | Self::Usage(_) | Self::Unnamed(_) => false,
        }
    }

    /// The same error, with what became of the target.
    pub(super) fn with(mut self, became: Undone) -> Self {
        match &mut self {
            Self::Damaged { undone, .. }
            | Self::Write { undone, .. }
            | Self::Program { undone, .. }
            | Self::Read(_, undone)
            | Self::Interrupted(undone) => *undone = became,
            Self::Source(_) | Self::Refused(_) | Self::Usage(_) | Self::Unnamed(_)
                if became == Undone::Halfway =>
            {
                return Self::Halfway(Box::new(self));
            }
            Self::Source(_) | Self::Refused(_) | Self::Usage(_) | Self::Unnamed(_) | Self::Halfway(_) => {}
        }
        self
    }

    /// Ctrl-C or SIGTERM.
    pub(super) fn interrupted() -> Self {
        Self::Interrupted(Undone::default())
    }
}

/// The system did not do what it was asked.
#[derive(Debug)]
pub(super) struct SystemError {
    /// Completes "cannot …".
    pub(super) action: &'static str,
    pub(super) path: PathBuf,
    pub(super) cause: io::Error,
}

impl SystemError {
    /// For `map_err`.
    pub(super) fn of(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |cause| Self { action, path: path.to_path_buf(), cause }
    }
}

impl From<SystemError> for RestoreError {
    fn from(SystemError { action, path, cause }: SystemError) -> Self {
        Self::Write { action, path, cause, undone: Undone::default() }
    }
}
