//! Which backup an administrator means.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Catalog, CatalogError, clusters, read_manifest};
use crate::model::{BackupId, Manifest, State, Status};
use crate::storage::Storage;

/// Length of the time in an id: `20261120T113452Z`.
const SECOND_LENGTH: usize = 16;

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
    let mut found = Vec::new();
    let mut attempt = None;
    for cluster in clusters(storage, cluster)? {
        match read_manifest(storage, &cluster, id) {
            Err(CatalogError::NotFound(_)) => {
                if storage.folders(&cluster)?.contains(&id.to_string()) {
                    attempt = Some(super::read_status(storage, &cluster, id));
                }
            }
            manifest => found.push((cluster, manifest)),
        }
    }
    if found.len() > 1 {
        return Err(ambiguous(found.iter().map(|(cluster, _)| cluster.as_str())));
    }
    if let Some((cluster, manifest)) = found.pop() {
        return manifest.map(|manifest| (cluster, manifest));
    }
    Err(CatalogError::NotFound(match attempt {
        Some(Some(Status { state: State::Done, .. })) => {
            format!("backup '{id}' is no more: it was complete, and its manifest was removed")
        }
        Some(Some(Status { error: Some(error), .. })) => format!("backup '{id}' has failed: {error}"),
        Some(Some(_)) => format!("backup '{id}' is not complete: it runs, or its program has died"),
        Some(None) => format!("backup '{id}' is not complete: it has no manifest, its program has died"),
        None => format!("there is no backup '{id}'{}; 'list' shows them", place(storage, cluster)),
    }))
}

fn newest(
    storage: &dyn Storage,
    cluster: Option<&str>,
    at: Option<Timestamp>,
) -> Result<(String, Manifest), CatalogError> {
    let mut with_backups = BTreeSet::new();
    let mut newest: Option<(String, Manifest)> = None;
    let mut unusable: Option<(BackupId, CatalogError)> = None;
    for record in Catalog::read(storage, cluster)?.records {
        with_backups.insert(record.cluster.clone());
        match record.manifest {
            Ok(manifest) if at.is_some_and(|time| manifest.frozen_at > time) => {}
            Ok(manifest) => {
                let order = |manifest: &Manifest| (manifest.frozen_at, manifest.id.clone());
                if newest.as_ref().is_none_or(|(_, best)| order(best) < order(&manifest)) {
                    newest = Some((record.cluster, manifest));
                }
            }
            // Records are sorted: the last one counts. What began later cannot be from that time.
            Err(error) if at.is_none_or(|time| began(&record.id) <= second(time)) => {
                unusable = Some((record.id, error));
            }
            Err(_) => {}
        }
    }
    if with_backups.len() > 1 {
        return Err(ambiguous(with_backups.iter().map(String::as_str)));
    }
    match (newest, unusable) {
        (Some((_, best)), Some((id, error))) if began(&id) >= began(&best.id) => {
            Err(CatalogError::Newest(Box::new(error)))
        }
        // Nothing older is there to be named.
        (None, Some((_, error))) => Err(error),
        (Some(best), _) => Ok(best),
        (None, None) => {
            let when = at.map_or_else(String::new, |time| format!(" taken at or before {time}"));
            let place = place(storage, cluster);
            Err(CatalogError::NotFound(format!(
                "there is no complete backup{when}{place}; 'list' shows what there is"
            )))
        }
    }
}

/// The second in which a backup began, in the form that sorts by time.
fn began(id: &BackupId) -> String {
    id.as_str().chars().take(SECOND_LENGTH).collect()
}

/// The same of any moment.
fn second(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn place(storage: &dyn Storage, cluster: Option<&str>) -> String {
    let which = cluster.map_or_else(String::new, |name| format!(" of cluster '{name}'"));
    format!("{which} in '{}'", storage.location())
}

fn ambiguous<'a>(clusters: impl Iterator<Item = &'a str>) -> CatalogError {
    CatalogError::AmbiguousCluster(clusters.collect::<Vec<_>>().join(", "))
}
