//! What the last drill of a backup came to.

use serde::Serialize;

use super::CatalogError;
use super::beside::{put_beside, read_beside};
use crate::model::{BackupId, DrillOutcome, DrillRecord};
use crate::storage::Storage;

/// The outcome of the last `drill`.
pub const DRILL: &str = "drill.json";

/// What is known of the last drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Drilled {
    /// When, by whom, and what came of it.
    By(DrillRecord),
    /// `drill.json` is there and cannot be understood.
    Unreadable {
        /// Why.
        error: String,
    },
}

impl Drilled {
    /// The record, where it can be read.
    pub fn known(&self) -> Option<&DrillRecord> {
        match self {
            Self::By(record) => Some(record),
            Self::Unreadable { .. } => None,
        }
    }

    /// In words that follow the name of the backup.
    pub fn words(&self) -> String {
        match self {
            Self::By(DrillRecord { outcome: DrillOutcome::Proved, drilled, .. }) => {
                format!("drilled {}", drilled.strftime("%Y-%m-%d"))
            }
            Self::By(failed) => {
                let why = failed.reason.as_ref().map_or_else(String::new, |why| format!(": {why}"));
                format!("DRILL FAILED: {}{why}", failed.failure())
            }
            Self::Unreadable { error } => format!("its {DRILL} cannot be read: {error}"),
        }
    }
}

/// The last drill of a backup; nothing where there was none.
pub fn read_drilled(storage: &dyn Storage, cluster: &str, id: &BackupId) -> Option<Drilled> {
    let read = read_beside(storage, cluster, id, DRILL)?;
    Some(read.map_or_else(|error| Drilled::Unreadable { error }, Drilled::By))
}

/// Leaves the outcome of a drill beside the backup; an older one is replaced. Of a backup that `prune` removes at this moment
/// nothing is left behind.
pub fn record_drilled(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
    record: &DrillRecord,
) -> Result<(), CatalogError> {
    put_beside(storage, cluster, id, DRILL, record)
}
