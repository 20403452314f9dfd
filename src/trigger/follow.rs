//! A request on its way through the repository.
//!
//! The donor's program writes `status.json` at least every two seconds (or as often as the status itself says, where each
//! time leaves an old version in a bucket), and `manifest.json` when all is durable: the repository alone tells what becomes of a request, to whoever looks. A status that stands still is told by our own
//! clock, never by the difference between two machines' clocks.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::catalog::{self, CatalogError};
use crate::model::{BackupId, Manifest, Status};
use crate::storage::Storage;

/// Where a backup lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BackupPlace {
    /// Folder of the cluster.
    pub cluster: String,
    /// Folder of the backup.
    pub id: BackupId,
}

/// What the repository says of a request.
#[derive(Debug, Clone)]
pub enum RequestProgress {
    /// Nothing yet.
    Nothing,
    /// It is being made, or has failed.
    Status(BackupPlace, Box<Status>),
    /// It is there.
    Complete(BackupPlace, Box<Manifest>),
}

/// Looks for one request.
pub struct Follower<'a> {
    storage: &'a dyn Storage,
    request: String,
    /// Folders of other requests.
    others: BTreeSet<BackupPlace>,
    found: Option<BackupPlace>,
    /// The last status that was read, and when it was seen to change.
    last: Option<(Status, Instant)>,
}

impl<'a> Follower<'a> {
    /// A follower that knows nothing yet: it looks at every folder once.
    pub fn new(storage: &'a dyn Storage, request: &str) -> Self {
        Self { storage, request: request.to_owned(), others: BTreeSet::new(), found: None, last: None }
    }

    /// Passes over what is there already: a request that is not made yet is none of these.
    pub fn pass_over_present(&mut self) -> Result<(), CatalogError> {
        self.others.extend(places(self.storage)?);
        Ok(())
    }

    /// Looks.
    pub fn look(&mut self) -> Result<RequestProgress, CatalogError> {
        if self.found.is_none() {
            self.search()?;
        }
        let Some(place) = self.found.clone() else { return Ok(RequestProgress::Nothing) };
        match catalog::read_manifest(self.storage, &place.cluster, &place.id) {
            Ok(manifest) => return Ok(RequestProgress::Complete(place, Box::new(manifest))),
            Err(CatalogError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        if let Some(status) = self.status(&place) {
            return Ok(RequestProgress::Status(place, Box::new(status)));
        }
        Ok(RequestProgress::Nothing)
    }

    /// A folder that this node's program has made since, and that has neither status nor manifest.
    pub fn claimed_by(&self, node: &str) -> Option<String> {
        let places = places(self.storage).ok()?;
        let mut unseen = places.iter().filter(|place| {
            !self.others.contains(place)
                && place.id == BackupId::new(place.id.started().unwrap_or_default(), node)
                && matches!(self.owner(place), FolderOwner::Unknown)
        });
        unseen.next().map(|place| format!("{}/{}", place.cluster, place.id))
    }

    /// The status, which may be missing for a moment or be of an older program.
    pub fn status(&mut self, place: &BackupPlace) -> Option<Status> {
        let status = catalog::read_status(self.storage, &place.cluster, &place.id)?;
        let has_changed = self.last.as_ref().is_none_or(|(last, _)| *last != status);
        if has_changed {
            self.last = Some((status.clone(), Instant::now()));
        }
        Some(status)
    }

    /// How long the status has stood still; nothing while there is none.
    pub fn silence(&self) -> Option<Duration> {
        self.last.as_ref().map(|(_, since)| since.elapsed())
    }

    /// Reads the folders that it has not seen, the newest first.
    fn search(&mut self) -> Result<(), CatalogError> {
        let mut unseen: Vec<BackupPlace> =
            places(self.storage)?.into_iter().filter(|place| !self.others.contains(place)).collect();
        unseen.sort_by(|a, b| b.id.cmp(&a.id));
        for place in unseen {
            match self.owner(&place) {
                FolderOwner::Ours => {
                    self.found = Some(place);
                    return Ok(());
                }
                FolderOwner::Another => {
                    self.others.insert(place);
                }
                FolderOwner::Unknown => {}
            }
        }
        Ok(())
    }

    /// Which request a folder belongs to.
    fn owner(&self, place: &BackupPlace) -> FolderOwner {
        let status = catalog::read_status(self.storage, &place.cluster, &place.id);
        let request = match status {
            Some(status) => status.request,
            None => match catalog::read_manifest(self.storage, &place.cluster, &place.id) {
                Ok(manifest) => manifest.request,
                Err(_) => return FolderOwner::Unknown,
            },
        };
        if request.as_deref() == Some(self.request.as_str()) {
            FolderOwner::Ours
        } else {
            FolderOwner::Another
        }
    }
}

/// Whose folder it is.
enum FolderOwner {
    Ours,
    Another,
    /// It was claimed, and nothing is written yet, or what is there cannot be read.
    Unknown,
}

/// Every folder that has the name of a backup. No program has made one behind a link.
fn places(storage: &dyn Storage) -> Result<Vec<BackupPlace>, CatalogError> {
    let mut places = Vec::new();
    for cluster in catalog::clusters(storage, None)? {
        let folders = match storage.folders(&cluster) {
            Err(error) if error.is_no_folder() => continue,
            folders => folders?,
        };
        for folder in folders {
            if let Ok(id) = folder.parse() {
                places.push(BackupPlace { cluster: cluster.clone(), id });
            }
        }
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LocalStorage;

    #[test]
    fn a_link_beside_the_clusters_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(folder.path());
        std::os::unix::fs::symlink("c", folder.path().join("another")).unwrap();
        let mut follower = Follower::new(&storage, "r");
        follower.pass_over_present().unwrap();
        storage.claim("c/20261120T113452Z_n1").unwrap();
        assert!(matches!(follower.look(), Ok(RequestProgress::Nothing)));
        assert_eq!(follower.claimed_by("n1").as_deref(), Some("c/20261120T113452Z_n1"));
    }
}
