//! Which backups are held.
//!
//! What holds a backup is that there is a `hold.json`: one that cannot be read holds it too.

use serde::Serialize;

use super::CatalogError;
use super::beside::{find_beside, put_beside};
use crate::model::{BackupId, Hold};
use crate::storage::{Storage, StorageError};

/// Keeps a backup from being removed by `prune`.
pub const HOLD: &str = "hold.json";

/// How a backup is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum HoldState {
    /// By whom and why.
    By(Hold),
    /// `hold.json` is there and cannot be understood.
    Unreadable {
        /// Why.
        error: String,
    },
}

impl HoldState {
    /// In words that follow the name of the backup.
    pub fn words(&self) -> String {
        match self {
            Self::By(Hold { by, held, note }) => {
                let note = note.as_deref().map_or_else(String::new, |note| format!(": {note}"));
                format!("held by {by} since {}{note}", held.strftime("%Y-%m-%d"))
            }
            Self::Unreadable { error } => format!("held, as its {HOLD} cannot be read: {error}"),
        }
    }
}

/// Whether a backup is held. Nothing but a `hold.json` that is not there says no.
pub fn read_hold(storage: &dyn Storage, cluster: &str, id: &BackupId) -> Option<HoldState> {
    let unreadable = |error: StorageError| Some(HoldState::Unreadable { error: error.to_string() });
    find_hold(storage, cluster, id).unwrap_or_else(unreadable)
}

/// The same where a storage that fails is an error, and no hold.
pub fn find_hold(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
) -> Result<Option<HoldState>, StorageError> {
    let found = find_beside(storage, cluster, id, HOLD)?;
    Ok(found.map(|read| read.map_or_else(|error| HoldState::Unreadable { error }, HoldState::By)))
}

/// Holds a backup; an older hold is replaced. A backup that `prune` removes at this moment is reported as not there,
/// and no hold is left behind.
pub fn hold(storage: &dyn Storage, cluster: &str, id: &BackupId, hold: &Hold) -> Result<(), CatalogError> {
    // `prune` looks for the hold, then removes the manifest.
    put_beside(storage, cluster, id, HOLD, hold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::object_name;
    use crate::storage::LocalStorage;

    #[test]
    fn a_backup_that_is_removed_at_this_moment_is_not_held() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(folder.path());
        let id: BackupId = "20261120T113452Z_n1".parse().unwrap();
        storage.claim(&format!("c/{id}")).unwrap();
        let wanted = Hold { held: jiff::Timestamp::UNIX_EPOCH, by: "root@db1".into(), note: None };
        let outcome = hold(&storage, "c", &id, &wanted);
        assert!(matches!(outcome, Err(CatalogError::NotFound(_))), "{outcome:?}");
        assert_eq!(read_hold(&storage, "c", &id), None);
        storage.put(&object_name("c", &id, super::super::MANIFEST), b"garbage").unwrap();
        hold(&storage, "c", &id, &wanted).unwrap();
        assert_eq!(read_hold(&storage, "c", &id), Some(HoldState::By(wanted)));
    }
}
