//! Why there is no copy, and how much one takes.

use thiserror::Error;

use crate::catalog::{BackupReadError, ObjectDamage};
use crate::model::{BackupId, Manifest};
use crate::storage::StorageError;

/// Why there is no copy.
#[derive(Debug, Error)]
pub enum CopyError {
    /// The backup cannot be read, or is damaged.
    #[error(transparent)]
    Source(#[from] BackupReadError),
    /// The other storage.
    #[error(transparent)]
    Target(StorageError),
    /// A backup of this name is there, and is another one.
    #[error(
        "there is another backup '{id}' in '{place}': {what}; move one of the two to a repository of its own"
    )]
    Other {
        /// The name of both.
        id: BackupId,
        /// The other repository.
        place: String,
        /// In what they differ.
        what: String,
    },
    /// It is there already, and damaged.
    #[error(
        "the copy of backup '{id}' in '{place}' is damaged: {}: {}; remove its folder there, and copy it again",
        .damage.object, .damage.what
    )]
    DamagedThere {
        /// The backup.
        id: BackupId,
        /// The other repository.
        place: String,
        /// What is wrong.
        damage: ObjectDamage,
    },
    /// It was there already, and was removed while it was looked at.
    #[error(
        "backup '{id}' was in '{place}' already, and was removed from there at this moment, so it was not copied; a copy that \
         is wanted there comes with the next 'copy {id}'"
    )]
    RemovedThere {
        /// The backup.
        id: BackupId,
        /// The other repository.
        place: String,
    },
    /// Another program may be at work in the same folder.
    #[error(
        "somebody is at work on backup '{id}' in '{place}', and was last heard of {ago} s ago; where that program was \
         killed, try again in a minute"
    )]
    Busy {
        /// The backup.
        id: BackupId,
        /// The other repository.
        place: String,
        /// Seconds since it was heard of; negative for a clock that is ahead.
        ago: i64,
    },
    /// It would not fit.
    #[error(
        "'{place}' has {} MiB free, backup '{id}' needs {} MiB there; nothing was written", .free >> 20, .needed >> 20
    )]
    NoRoom {
        /// The backup.
        id: BackupId,
        /// The other repository.
        place: String,
        /// Bytes of its objects.
        needed: u64,
        /// Bytes that can be stored.
        free: u64,
    },
    /// What was copied was not there any more when the manifest was.
    #[error(
        "backup '{id}' was removed from '{place}' while it was copied: {what}; what is left of it there is no backup: copy \
         it again"
    )]
    Vanished {
        /// The backup.
        id: BackupId,
        /// The other repository.
        place: String,
        /// What was missed.
        what: String,
    },
    /// Ctrl-C or SIGTERM.
    #[error("interrupted: nothing of backup '{id}' is left in '{place}'")]
    Interrupted {
        /// The backup.
        id: BackupId,
        /// The other repository.
        place: String,
    },
}

impl CopyError {
    /// Whether a backup, here or there, is not what was written.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Source(error) => error.is_damage(),
            Self::DamagedThere { .. } => true,
            _ => false,
        }
    }

    /// Whether it can come from a backup that is removed meanwhile ([`BackupReader::is_removed`]).
    pub fn may_be_removal(&self) -> bool {
        matches!(self, Self::Source(_))
    }

    /// Whether another program has removed the backup from the other storage at this moment.
    pub fn is_removal_there(&self) -> bool {
        matches!(self, Self::RemovedThere { .. })
    }

    /// Whether the next backup may fare better.
    pub fn is_of_one_backup(&self) -> bool {
        self.is_damage()
            || self.is_removal_there()
            || matches!(self, Self::Other { .. } | Self::Busy { .. } | Self::Vanished { .. })
    }
}

/// Bytes of a backup's objects.
pub fn stored_bytes(manifest: &Manifest) -> u64 {
    manifest.objects().iter().fold(0, |sum, object| sum.saturating_add(object.bytes))
}
