//! Records that lie beside a manifest: read, and put there.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{CatalogError, SMALL, object_name, read_manifest};
use crate::model::{BackupId, not_understood, to_record};
use crate::storage::{Storage, StorageError};

/// The record of that name; nothing where there is none, and why where it is there and cannot be understood. An error is one of
/// the storage: whether there is a record is not known then.
pub(super) fn find_beside<T: DeserializeOwned>(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
    object: &str,
) -> Result<Option<Result<T, String>>, StorageError> {
    match storage.read_small(&object_name(cluster, id, object), SMALL) {
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes).map_err(|error| not_understood(&error)))),
    }
}

/// The same where a record that the storage does not give is one that cannot be understood.
pub(super) fn read_beside<T: DeserializeOwned>(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
    object: &str,
) -> Option<Result<T, String>> {
    find_beside(storage, cluster, id, object).unwrap_or_else(|error| Some(Err(error.to_string())))
}

/// Puts a record beside a backup; an older one is replaced. A backup that `prune` removes at this moment is reported as
/// not there, and no record is left behind: `prune` removes the manifest first, so that one of the two sees the other.
pub(super) fn put_beside(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
    object: &str,
    record: &impl Serialize,
) -> Result<(), CatalogError> {
    let name = object_name(cluster, id, object);
    let bytes = to_record(record).map_err(|error| StorageError::new("write", &name, error.into()))?;
    storage.put(&name, &bytes)?;
    match read_manifest(storage, cluster, id) {
        Err(error @ CatalogError::NotFound(_)) => {
            storage.remove(&name)?;
            Err(error)
        }
        _ => Ok(()),
    }
}
