//! Which backup an administrator means.

use jiff::Timestamp;

use super::{Catalog, CatalogError, clusters, read_manifest};
use crate::model::{BackupId, Manifest};
use crate::storage::Storage;

/// How a backup is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By its id.
    Id(BackupId),
    /// The newest.
    Latest,
    /// The newest whose data is from this time or before.
    At(Timestamp),
}

impl Selector {
    /// The folder of the cluster and the manifest of the backup.
    pub fn find(
        &self,
        storage: &dyn Storage,
        cluster: Option<&str>,
    ) -> Result<(String, Manifest), CatalogError> {
        match self {
            Self::Id(id) => find_id(storage, cluster, id),
            Self::Latest => newest(storage, cluster, None),
            Self::At(time) => newest(storage, cluster, Some(*time)),
        }
    }
}

fn find_id(
    storage: &dyn Storage,
    cluster: Option<&str>,
    id: &BackupId,
) -> Result<(String, Manifest), CatalogError> {
    let mut attempt = None;
    for cluster in clusters(storage, cluster)? {
        match read_manifest(storage, &cluster, id) {
            Err(CatalogError::NotFound(_)) => {
                if storage.folders(&cluster)?.contains(&id.to_string()) {
                    attempt = super::read_status(storage, &cluster, id).or(attempt);
                }
            }
            found => return found.map(|manifest| (cluster, manifest)),
        }
    }
    let what = match attempt {
        Some(status) => match status.error {
            Some(error) => format!("backup '{id}' has failed: {error}"),
            None => format!("backup '{id}' is not complete: it runs, or its program has died"),
        },
        None => format!("there is no backup '{id}' in {}; 'list' shows them", storage.location()),
    };
    Err(CatalogError::NotFound(what))
}

fn newest(
    storage: &dyn Storage,
    cluster: Option<&str>,
    at: Option<Timestamp>,
) -> Result<(String, Manifest), CatalogError> {
    let candidates = clusters(storage, cluster)?;
    let mut catalog = Catalog::read(storage, cluster)?;
    let mut with_backups: Vec<&str> = catalog.records.iter().map(|record| record.cluster.as_str()).collect();
    with_backups.sort_unstable();
    with_backups.dedup();
    if with_backups.len() > 1 {
        return Err(CatalogError::AmbiguousCluster(with_backups.join(", ")));
    }
    let mut unreadable = None;
    while let Some(record) = catalog.records.pop() {
        match record.manifest {
            Ok(manifest) if at.is_none_or(|time| manifest.frozen_at <= time) => {
                if let Some(error) = unreadable {
                    log::warn!("{error}; the one before it is taken");
                }
                return Ok((record.cluster, manifest));
            }
            Ok(_) => {}
            Err(error) if at.is_none() => {
                // The newest backup cannot be read: an older one in its place would be a silent loss of data.
                return Err(error);
            }
            Err(error) => unreadable = Some(error),
        }
    }
    let place = storage.location();
    let which =
        if candidates.len() == 1 { format!(" of cluster '{}'", candidates[0]) } else { String::new() };
    Err(match (unreadable, at) {
        (Some(error), _) => error,
        (None, Some(time)) => {
            CatalogError::NotFound(format!("there is no backup{which} taken at or before {time} in {place}"))
        }
        (None, None) => CatalogError::NotFound(format!("there is no complete backup{which} in {place}")),
    })
}
