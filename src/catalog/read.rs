//! What a repository holds, read while others write to it and remove from it.

use super::{Attempt, Catalog, CatalogError, Evidence, Record, Verified, read_manifest, read_status};
use crate::model::{BackupId, safe_component};
use crate::storage::{FolderList, Storage, StorageError, at_once};

/// The clusters to look at: the one that is named, else all.
pub fn clusters(storage: &dyn Storage, cluster: Option<&str>) -> Result<Vec<String>, StorageError> {
    match cluster {
        Some(name) => Ok(vec![safe_component(name)]),
        // A file system has a folder of its own at its root, which only root may look into.
        None => Ok(storage.folders("")?.into_iter().filter(|name| name != "lost+found").collect()),
    }
}

impl Catalog {
    /// Reads one manifest (or status) per backup, and looks at what lies beside it. One that cannot be read does not hide the
    /// others: it is a record with its error. Where no cluster is named, a folder that cannot be listed does not hide the other
    /// clusters: it is told in [`Catalog::unknown`].
    pub fn read(storage: &dyn Storage, cluster: Option<&str>) -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        for folder in clusters(storage, cluster)? {
            match catalog.add(storage, &folder) {
                Err(error) if cluster.is_none() => catalog.unknown.push(error.to_string()),
                outcome => outcome?,
            }
        }
        catalog.sort();
        Ok(catalog)
    }

    /// The same of the folder of one cluster, which is named as [`clusters`] does.
    pub fn read_folder(storage: &dyn Storage, cluster: &str) -> Result<Self, CatalogError> {
        let mut catalog = Self::default();
        catalog.add(storage, cluster)?;
        catalog.sort();
        Ok(catalog)
    }

    fn sort(&mut self) {
        self.records.sort_by(|a, b| a.id.cmp(&b.id));
        self.attempts.sort_by(|a, b| a.id.cmp(&b.id));
    }

    fn add(&mut self, storage: &dyn Storage, cluster: &str) -> Result<(), StorageError> {
        let mut names = storage.folders(cluster)?;
        names.retain(|name| name.parse::<BackupId>().is_ok());
        let listed = storage.objects_of(cluster, &names)?;
        let folders: Vec<(BackupId, FolderList)> =
            names.iter().filter_map(|name| name.parse().ok()).zip(listed).collect();
        let found = at_once(storage, &folders, |(id, listed)| look(storage, cluster, id, listed));
        let without: Vec<&BackupId> =
            folders.iter().zip(&found).filter(|(_, found)| found.is_none()).map(|((id, _), _)| id).collect();
        let statuses = at_once(storage, &without, |id| read_status(storage, cluster, id));
        let attempt = |(id, status): (&&BackupId, _)| Attempt {
            cluster: cluster.to_owned(),
            id: (*id).clone(),
            status,
        };
        let mut attempts: Vec<Attempt> = without.iter().zip(statuses).map(attempt).collect();
        self.records.extend(found.into_iter().flatten());
        // Of a run that has died at once there is a folder and nothing in it; of a backup that was removed since the folders
        // were listed there is nothing at all.
        if attempts.iter().any(|attempt| attempt.status.is_none()) {
            let there = storage.folders(cluster)?;
            attempts.retain(|attempt| {
                attempt.status.is_some() || there.iter().any(|it| it == attempt.id.as_str())
            });
        }
        self.attempts.append(&mut attempts);
        Ok(())
    }
}

/// A backup and what lies beside its manifest; nothing where it has none, or has lost it while it was looked at: `prune` removes
/// the manifest first, so that what is missed behind it is no damage.
fn look(storage: &dyn Storage, cluster: &str, id: &BackupId, listed: &FolderList) -> Option<Record> {
    let is_gone = |manifest: &Result<_, CatalogError>| matches!(manifest, Err(CatalogError::NotFound(_)));
    let manifest = read_manifest(storage, cluster, id);
    if is_gone(&manifest) {
        return None;
    }
    let evidence = Evidence::of_listed(storage, cluster, id, manifest.as_ref().ok(), listed);
    let is_suspect = manifest.is_err()
        || evidence.damage.is_some()
        || evidence.unknown.is_some()
        || matches!(evidence.verified, Some(Verified::Unreadable { .. }));
    if is_suspect && is_gone(&read_manifest(storage, cluster, id)) {
        return None;
    }
    Some(Record { cluster: cluster.to_owned(), id: id.clone(), manifest, evidence })
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
