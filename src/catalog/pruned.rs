//! `pruned.<cluster>.json` at the root of a repository: which backups `prune` has removed from it, so that `copy --all`
//! does not bring them back from a repository that keeps them for longer.
//!
//! It is written before the backups go: who is stopped in between leaves names of backups that are still there, which
//! mean nothing. Two at once may lose names of each other; such a backup comes back once, and goes again.

use std::io;

use serde::{Deserialize, Serialize};

use super::SMALL;
use crate::model::{BackupId, not_understood, to_record};
use crate::storage::{Storage, StorageError};

/// Names take up to so many bytes, far below what is read; the oldest make room.
const LARGEST: usize = 512 << 10;

/// What `prune` has removed of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The names, oldest first.
    ids: Vec<BackupId>,
    /// This one and everything that is older counts as removed: there were too many names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    up_to: Option<BackupId>,
}

impl Pruned {
    /// Whether it has removed this one.
    pub fn has(&self, id: &BackupId) -> bool {
        self.up_to.as_ref().is_some_and(|last| id <= last) || self.ids.binary_search(id).is_ok()
    }

    fn add(&mut self, ids: impl Iterator<Item = BackupId>, largest: usize) {
        self.ids.extend(ids);
        self.ids.sort();
        self.ids.dedup();
        // As a line of the document.
        let size = |id: &BackupId| id.as_str().len() + 8;
        let mut bytes: usize = self.ids.iter().map(size).sum();
        let mut dropped = 0;
        while bytes > largest {
            bytes -= size(&self.ids[dropped]);
            dropped += 1;
        }
        self.up_to = self.ids.drain(..dropped).next_back().or(self.up_to.take());
    }
}

fn name(cluster: &str) -> String {
    format!("pruned.{cluster}.json")
}

/// What `prune` has removed of a cluster; nothing where nothing is known.
pub fn read_pruned(storage: &dyn Storage, cluster: &str) -> Result<Pruned, StorageError> {
    let name = name(cluster);
    let bytes = match storage.read_small(&name, SMALL) {
        Err(error) if error.is_not_found() => return Ok(Pruned::default()),
        bytes => bytes?,
    };
    let mut pruned: Pruned = serde_json::from_slice(&bytes).map_err(|error| {
        let cause = io::Error::new(io::ErrorKind::InvalidData, not_understood(&error));
        StorageError::new("understand", format!("{}/{name}", storage.location()), cause)
    })?;
    pruned.ids.sort();
    Ok(pruned)
}

/// Adds the names of backups that go. What cannot be understood is replaced.
pub fn add_pruned(
    storage: &dyn Storage,
    cluster: &str,
    ids: impl Iterator<Item = BackupId>,
) -> Result<(), StorageError> {
    let mut pruned = read_pruned(storage, cluster).unwrap_or_else(|error| {
        log::warn!("{error}; it is written anew");
        Pruned::default()
    });
    pruned.add(ids, LARGEST);
    let name = name(cluster);
    let bytes = to_record(&pruned).map_err(|error| StorageError::new("write", &name, error.into()))?;
    storage.put(&name, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LocalStorage;

    fn id(day: usize) -> BackupId {
        format!("202611{day:02}T000000Z_n1").parse().unwrap()
    }

    #[test]
    fn names_are_kept_and_the_oldest_make_room() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(folder.path());
        assert_eq!(read_pruned(&storage, "c").unwrap(), Pruned::default());
        add_pruned(&storage, "c", [id(5), id(3)].into_iter()).unwrap();
        add_pruned(&storage, "c", [id(4), id(3)].into_iter()).unwrap();
        let pruned = read_pruned(&storage, "c").unwrap();
        let has = |pruned: &Pruned| (1..=9).filter(|day| pruned.has(&id(*day))).collect::<Vec<_>>();
        assert_eq!(has(&pruned), [3, 4, 5]);
        assert_eq!(has(&read_pruned(&storage, "d").unwrap()), [0; 0]);

        let mut small = pruned;
        small.add([id(7)].into_iter(), 2 * (id(7).as_str().len() + 8));
        assert_eq!((has(&small), small.ids.len()), (vec![1, 2, 3, 4, 5, 7], 2));
        let again: Pruned = serde_json::from_slice(&serde_json::to_vec(&small).unwrap()).unwrap();
        assert_eq!(again, small);

        storage.put("pruned.c.json", b"garbage").unwrap();
        let error = read_pruned(&storage, "c").unwrap_err().to_string();
        assert!(error.contains("cannot understand") && error.contains("/pruned.c.json'"), "{error}");
        add_pruned(&storage, "c", [id(1)].into_iter()).unwrap();
        assert_eq!(has(&read_pruned(&storage, "c").unwrap()), [1]);
    }
}
