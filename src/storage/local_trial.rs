//! What a backup does in a directory, tried by `check`: nothing is left of it.

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;

use super::{LocalStorage, Storage, StorageError, missing_mount};

/// What is written.
const CONTENT: &[u8] = b"wsrep_sst_backup check\n";

impl LocalStorage {
    /// The mount point of `/etc/fstab` that the repository should lie on, and at which nothing is mounted: each backup is refused.
    pub fn missing_mount(&self) -> Option<PathBuf> {
        missing_mount::find(self.root())
    }

    /// Makes a hidden folder in `folder` (`""` is the root), which is there, writes an object into it, gives that its name, and
    /// removes both, each durably: what a file system refuses of it, it refuses to a backup.
    pub fn try_backup(&self, folder: &str) -> Result<(), StorageError> {
        // In a container process ids come again, and with them what a check that was killed has left.
        let number = RandomState::new().hash_one(0);
        let hidden = format!(".check.{}.{number}", std::process::id());
        let place = if folder.is_empty() { hidden } else { format!("{folder}/{hidden}") };
        let name = format!("{place}/object");
        let tried = self.claim(&place).and_then(|_| self.put(&name, CONTENT));
        // Whatever has come of it: what is not there is no error.
        let (object, made) = (self.remove(&name), self.remove_folder(&place));
        tried.and(object).and(made)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_trial_leaves_nothing_and_says_what_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("c")).unwrap();
        let storage = LocalStorage::new(root);
        for place in ["", "c"] {
            storage.try_backup(place).unwrap();
        }
        assert_eq!(fs::read_dir(root).unwrap().count(), 1);
        assert_eq!(fs::read_dir(root.join("c")).unwrap().count(), 0);
        fs::write(root.join("file"), "").unwrap();
        let refused = storage.try_backup("file").unwrap_err();
        assert!(refused.is_no_folder(), "{refused}");
    }
}
