//! How a run of the donor role can fail, and the number that mysqld logs for it.

use std::error::Error;
use std::io;
use std::time::Duration;

use thiserror::Error as ThisError;

use crate::capture::{Abort, CaptureError, LayoutError};
use crate::config::{ConfigError, OptionFileError};
use crate::exit;
use crate::job::{BackupLeft, FailedRun, JobError};
use crate::model::BackupId;
use crate::output::OutputError;
use crate::quiesce::QuiesceError;
use crate::sst::{ArgsError, LockError};
use crate::storage::StorageError;

/// Why a run has failed.
#[derive(Debug, ThisError)]
pub enum DonateError {
    /// mysqld's command line.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// Not a role of ours.
    #[error("Unsupported role: 'joiner'")]
    Joiner,
    /// Option files.
    #[error(transparent)]
    OptionFiles(#[from] OptionFileError),
    /// Settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server's directories.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// Another transfer.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The freeze.
    #[error(transparent)]
    Freeze(#[from] QuiesceError),
    /// The copy.
    #[error(transparent)]
    Capture(CaptureError),
    /// The repository.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Given up from outside.
    #[error(transparent)]
    Aborted(#[from] Abort),
    /// Another session holds the lock that the freeze needs: mysqld was not asked for it.
    #[error(
        "the server was not frozen, because FLUSH TABLES WITH READ LOCK was not to be had for {} s (flush-timeout): {who}; end what \
         holds it (KILL its thread), or back up at another hour; mysqld was not asked, and the server runs on",
        waited.as_secs()
    )]
    Blocked {
        /// As far as that is known.
        who: String,
        /// `flush-timeout`.
        waited: Duration,
    },
    /// Another session holds that lock, and mysqld waits for it.
    #[error("{0}; seen just now: {1}")]
    StillBlocked(QuiesceError, String),
    /// The whole cluster would stand still.
    #[error(
        "gcs.sync_donor is on in wsrep_provider_options: a freeze of this node would stop the writes of the whole cluster; set it \
         to 'no', or allow it with allow-sync-donor or 'backup --force'"
    )]
    SyncDonor,
    /// The repository among the server's files.
    #[error(
        "{0}. Set 'repository' to a directory of its own outside of the server's, better on another file system, and move the backups that are \
         there; the server was not frozen"
    )]
    Overlap(String),
    /// Two members would stand still.
    #[error(
        "another donor of this cluster stands still, or is about to ({who}), and has not ended within {} s; whether a third member is \
         there for the clients is not known, so this server was not frozen and runs on. Take this backup behind that one \
         ('backup --unless-newer-than' waits for its turn), or with 'backup --force' (garbd: '--sst backup:NAME.force'); the other \
         one's sign is '{lease}' in the repository, which counts for nothing when its owner has been silent for a minute",
        waited.as_secs()
    )]
    OtherDonor {
        /// As far as that is known.
        who: String,
        /// The object's name.
        lease: String,
        /// How long that was waited for.
        waited: Duration,
    },
    /// No Synced member would be left for the clients.
    #[error(
        "no other member is Synced ({0}): frozen, this node would leave none for the clients, so it was not frozen and runs on. Take the \
         backup when another member is Synced, or with 'backup --force' (garbd: '--sst backup:NAME.force')"
    )]
    LastSynced(String),
    /// A freeze that would be given up for certain.
    #[error("{0}")]
    TooSlow(String),
    /// A repository that is full for certain before the backup is complete.
    #[error(
        "{0}. Free space there ('wsrep_sst_backup prune', 'list'), or set 'repository' to a larger file system; the server was not frozen \
         ('backup --force' tries it all the same)"
    )]
    NoRoom(String),
    /// The backup is there, and mysqld takes it for a failure.
    #[error("backup {0} is complete, but mysqld could not be told: {1}")]
    Untold(BackupId, io::Error),
    /// The sink of the backup.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// No method works here.
    #[error("{0}")]
    NoMethod(String),
    /// Anything of the system.
    #[error("{0}: {1}")]
    System(&'static str, #[source] io::Error),
}

impl From<CaptureError> for DonateError {
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

impl From<JobError> for DonateError {
    fn from(error: JobError) -> Self {
        match error {
            JobError::Storage(error) => error.into(),
            JobError::Aborted(abort) => abort.into(),
            JobError::Claim(cause) => Self::System("cannot take a folder in the repository", cause),
            JobError::NoRoom(text) => Self::NoRoom(text),
            JobError::Overlap(text) => Self::Overlap(text),
            JobError::NoMethod(text) => Self::NoMethod(text),
            JobError::Output(error) => error.into(),
        }
    }
}

impl DonateError {
    /// The number for mysqld's log.
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Args(_)
            | Self::Joiner
            | Self::OptionFiles(_)
            | Self::Config(_)
            | Self::Layout(_)
            | Self::TooSlow(_)
            | Self::SyncDonor
            | Self::Overlap(_)
            | Self::NoMethod(_)
            | Self::Capture(CaptureError::Unfrozen { .. } | CaptureError::Incomplete(_)) => exit::EINVAL,
            Self::Freeze(QuiesceError::Timeout(_)) | Self::Blocked { .. } | Self::StillBlocked(..) => {
                exit::ETIMEDOUT
            }
            Self::Aborted(abort) | Self::Capture(CaptureError::Aborted(abort)) => abort_status(abort),
            Self::Lock(LockError::Busy { .. }) | Self::OtherDonor { .. } | Self::LastSynced(_) => {
                exit::EALREADY
            }
            Self::NoRoom(_) => exit::ENOSPC,
            Self::Untold(..) => exit::EPIPE,
            Self::Freeze(_) => exit::NOT_FROZEN,
            _ if self.is_full() => exit::ENOSPC,
            Self::Output(_) | Self::Capture(_) | Self::Storage(_) | Self::Lock(_) | Self::System(..) => {
                exit::EIO
            }
        }
    }

    /// Whether the cause of it all is a full disk.
    fn is_full(&self) -> bool {
        let mut cause: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = cause {
            if error
                .downcast_ref::<io::Error>()
                .is_some_and(|error| error.kind() == io::ErrorKind::StorageFull)
            {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// Whether the repository is as it was before.
    pub(super) fn leaves_no_backup(&self) -> bool {
        !matches!(self, Self::Untold(..) | Self::Output(OutputError::Unsettled(..)))
    }

    /// What the repository and the metrics are told.
    pub(super) fn failure(&self) -> FailedRun {
        let backup = match (self.leaves_a_backup(), self.leaves_no_backup()) {
            (true, _) => BackupLeft::Yes,
            (false, true) => BackupLeft::No,
            (false, false) => BackupLeft::Perhaps,
        };
        FailedRun { text: self.to_string(), exit_status: self.exit_status(), backup }
    }

    /// Whether there is a backup for certain.
    pub(super) fn leaves_a_backup(&self) -> bool {
        matches!(self, Self::Untold(..))
    }
}

pub(super) fn abort_status(abort: &Abort) -> u8 {
    match abort {
        Abort::Signal(_) => exit::EINTR,
        Abort::FreezeTimeout(_) | Abort::Stalled { .. } => exit::ETIMEDOUT,
        Abort::NoRoom { .. } | Abort::NoRoomForClones { .. } => exit::ENOSPC,
        Abort::FlowControl | Abort::GivenUp(_) => exit::EINVAL,
        Abort::MysqldGone(_) => exit::EPIPE,
    }
}
