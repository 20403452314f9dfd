//! How a request has ended.

use std::time::Duration;

use super::follow::BackupPlace;
use crate::model::Manifest;

/// Whether the donor serves its cluster again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncedAgain {
    /// It was seen Synced this long after the backup was complete, or had failed.
    After(Duration),
    /// It was not, within the time that was waited: its state then.
    NotYet(String),
    /// No member answers SQL.
    Unknown(String),
}

/// How a request has ended.
#[derive(Debug)]
pub enum RequestOutcome {
    /// There is a backup; its manifest was read back, and its objects have the sizes that it says.
    Complete {
        /// Where.
        place: BackupPlace,
        /// What.
        manifest: Box<Manifest>,
        /// The donor.
        synced: SyncedAgain,
        /// Why mysqld was not told, where it was not: it takes the transfer for failed.
        untold: Option<String>,
    },
    /// There is none, and there will be none.
    Failed {
        /// Where it was being made, if it has come so far.
        place: Option<BackupPlace>,
        /// Why.
        error: String,
        /// The donor.
        synced: SyncedAgain,
    },
    /// The backup may go on; this command does not follow it any more.
    LeftAlone(String),
}
