//! Why a backup could not be written.

use std::io;

use thiserror::Error;

use crate::archive::ArchiveError;
use crate::model::BackupId;
use crate::storage::StorageError;

/// Why a backup could not be written.
#[derive(Debug, Error)]
pub enum OutputError {
    /// The stream of the archive or its index.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The repository.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The first member.
    #[error("cannot write the identity: {0}")]
    Identity(#[source] io::Error),
    /// The caller has changed its mind before the manifest was put.
    #[error("the backup was given up before its manifest was stored")]
    Unwanted,
    /// The repository has taken an object and does not have it.
    #[error(
        "'{object}' was stored in '{place}' without an error, and is not what was written: {what}. What this run has stored is taken \
         back, and older backups stay; look at the storage behind the repository (its log, its nodes, its free space) before the next run"
    )]
    NotStored {
        /// Its name.
        object: String,
        /// The repository.
        place: String,
        /// What is wrong with it, in words that follow its name.
        what: String,
    },
    /// The manifest was sent, and the repository has not said whether it has arrived.
    #[error(
        "it is not known whether backup {0} is complete: {1}; 'list' shows it if its manifest has arrived or still does, and \
         else 'prune' removes the rest of it when it is a day old"
    )]
    Unsettled(BackupId, StorageError),
}
