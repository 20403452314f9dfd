//! Why a server's backup of itself has failed.

use std::io;

use thiserror::Error;

use crate::capture::{Abort, CaptureError, LayoutError};
use crate::job::{BackupLeft, FailedRun, JobError};
use crate::model::BackupId;
use crate::output::OutputError;
use crate::quiesce::QuiesceError;

/// Why a server's backup of itself has failed.
#[derive(Debug, Error)]
pub enum SelfBackupError {
    /// The server of this machine does not answer.
    #[error(
        "the server of this machine does not answer: set 'user', 'password' and 'socket' in [wsrep_sst_backup]; no backup was made"
    )]
    Silent,
    /// The server's directories.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The copy.
    #[error(transparent)]
    Capture(CaptureError),
    /// Folder, room, method, repository.
    #[error(transparent)]
    Job(#[from] JobError),
    /// What the method tells is not of this server.
    #[error(
        "the backup is at {found}, and this server was at {own} before it began: that is not a backup of it"
    )]
    Position {
        /// The server.
        own: String,
        /// The method.
        found: String,
    },
    /// How far a replica has come.
    #[error("the server does not tell from where it replicates: {0}")]
    Replica(String),
    /// The lock.
    #[error("the server could not be locked: {0}")]
    Lock(QuiesceError),
    /// Somebody else has ended it.
    #[error(
        "the lock was lost while the files were cloned (somebody has ended its session, or the server has): the copy is not of one moment"
    )]
    Unlocked,
    /// The method wants the server to stand still.
    #[error("this server is not made to stand still for a backup of its own: take method=mariadb-backup")]
    RunsOn,
    /// The thread does not come to its end.
    #[error("{0}, and the repository or a disk hangs: there is a backup only if 'list' shows it")]
    Hangs(Abort),
    /// Whoever has the server step aside does not want it any more.
    #[error("the backup was not begun")]
    NotBegun,
    /// Anything of the system.
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
    /// The thread has died.
    #[error("the thread that takes the backup has died: there is a backup only if 'list' shows it")]
    Died,
}

impl From<CaptureError> for SelfBackupError {
    /// An error of our own that has come by way of the method is the one that it was.
    fn from(error: CaptureError) -> Self {
        match error {
            CaptureError::Host(own) => {
                own.downcast().map_or_else(|other| Self::Capture(CaptureError::Host(other)), |own| *own)
            }
            error => Self::Capture(error),
        }
    }
}

impl SelfBackupError {
    /// The backup of which nobody knows whether it is complete.
    pub fn unsettled(&self) -> Option<&BackupId> {
        match self {
            Self::Job(JobError::Output(OutputError::Unsettled(id, _))) => Some(id),
            _ => None,
        }
    }

    /// Whether the repository is the cause, and cannot be used.
    pub fn is_of_repository(&self) -> bool {
        matches!(self, Self::Job(error) if error.is_of_repository())
    }

    /// What the repository and the metrics are told.
    pub(super) fn failure(&self) -> FailedRun {
        let is_unknown = self.unsettled().is_some() || matches!(self, Self::Hangs(_) | Self::Died);
        let backup = if is_unknown { BackupLeft::Perhaps } else { BackupLeft::No };
        FailedRun { text: self.to_string(), exit_status: crate::exit::FAILED, backup }
    }
}
