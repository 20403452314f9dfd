//! The backups of a repository: which there are, and which one is meant.
//!
//! A backup exists if and only if its `manifest.json` exists. What else lies in a folder (a
//! `status.json`, whatever it says, the archive of a run that has died) is not a backup and is never offered as one.
//!
//! | while … runs | another `donate` | `list`, `show` | `verify`, `restore`, `ls` | `prune` |
//! |---|---|---|---|---|
//! | `donate` | own folder each ([`Storage::claim`]) | see it once its manifest is renamed into place | as `list` | leaves its folder alone, and what is younger |
//! | `verify`, `restore`, `ls` | independent | independent | read only, independent | may remove what they read: see below |
//! | `prune` | as above | do not see what has lost its manifest | see below | remove the same; what is gone is no error |
//! | `copy` from here | independent | independent | independent | may remove what it reads: see below |
//! | `copy` to here | own folder each | see it once its manifest is there | as `list` | leaves its folder alone, and what is younger |
//! | `hold` | independent | see it at once | independent | stays, unless the hold comes a system call too late |
//!
//! `verify` leaves its outcome in `verify.json` when it has read everything; of two at once the later one stays. So does
//! `drill` in `drill.json`.
//!
//! `prune` removes the manifest before anything else. So a reader that misses something, or finds it wrong, looks for the
//! manifest again ([`BackupReader::is_removed`]): without it the backup was removed under the reader, which says that (no such
//! backup, exit status 3) and never speaks of damage. One that has everything open already may get to its end. Who reads
//! the whole repository ([`Catalog::read`]) takes such a backup for what it is, the rest of one, or for nothing where that has
//! gone too.

mod attempt;
mod backup_classes;
mod backup_reader;
mod beside;
mod doubt;
mod drilled;
mod evidence;
mod history;
mod history_lines;
mod hold;
mod identity;
mod place;
mod pruned;
mod read;
mod select;
mod verified;

use std::collections::BTreeMap;

use jiff::Timestamp;
use thiserror::Error;

pub use attempt::{Attempt, AttemptState, SILENCE};
pub use backup_classes::{WantedClass, usual_class};
pub use backup_reader::{BackupReadError, BackupReader};
pub use doubt::{BackupFacts, DataMoment, Doubt, TOLERANCE, doubts, newest};
pub use drilled::{DRILL, Drilled, read_drilled, record_drilled};
pub use evidence::{Evidence, ObjectDamage, check_sizes, misses_by_name};
pub use history::{History, further, later_but_lower};
pub use history_lines::{Lines, two_lines};
pub use hold::{HOLD, HoldState, find_hold, hold, read_hold};
pub use identity::{Contradiction, Identity};
pub use place::TooDeep;
pub use pruned::{Pruned, add_pruned, read_pruned};
pub use read::clusters;
pub use select::Selector;
pub use verified::{VERIFY, Verified, read_verified, record_verified};

use crate::model::{BackupClass, BackupId, Manifest, ManifestError, Status};
use crate::storage::{Storage, StorageError};

/// The commit mark.
pub const MANIFEST: &str = "manifest.json";
/// How a run gets on and how it ended; it says nothing about whether there is a backup.
pub const STATUS: &str = "status.json";
/// The index object.
pub const INDEX: &str = "index.json.zst";
/// What the names of archive and index end with where they are encrypted.
pub const SEALED: &str = ".age";
/// Largest manifest or status that is read, bytes.
const SMALL: u64 = 1 << 20;

/// Why a backup cannot be had.
#[derive(Debug, Error)]
pub enum CatalogError {
    /// Nothing by that name.
    #[error("{0}")]
    NotFound(String),
    /// Its manifest cannot be used.
    #[error("backup '{id}': {cause}")]
    Manifest {
        /// The backup.
        id: String,
        /// Why.
        cause: ManifestError,
    },
    /// The manifest belongs to another backup.
    #[error("backup '{id}': its manifest is that of '{found}'; a folder was renamed, or a file copied")]
    Misplaced {
        /// The folder.
        id: String,
        /// The id in the manifest.
        found: BackupId,
    },
    /// The newest backup, or the newest of the time that is asked for. An older one in its place would be
    /// a silent loss of data.
    #[error("the newest backup cannot be used: {0}; to use an older one, name its ID")]
    Newest(Box<CatalogError>),
    /// Something speaks against the newest backup, and nobody has said that it, or an older one, will do.
    #[error("the newest backup {}{cure}", words(.id, .doubt))]
    Doubtful {
        /// The backup.
        id: BackupId,
        /// What.
        doubt: Doubt,
        /// What to do, in words that follow.
        cure: String,
    },
    /// A folder that may be that of the cluster cannot be looked into.
    #[error("{0}")]
    Unknown(String),
    /// Several clusters, none named.
    #[error("the repository holds backups of the clusters {0}: name one with --cluster")]
    AmbiguousCluster(String),
    /// The storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// The newest backup and what speaks against it.
fn words(id: &BackupId, doubt: &Doubt) -> String {
    match doubt {
        Doubt::Damaged(what) => format!("'{id}' is damaged: {what}"),
        other => format!("cannot be told, because of '{id}': {other}"),
    }
}

impl CatalogError {
    /// What is wrong, where the backup is named beside it.
    pub fn of_itself(&self) -> String {
        match self {
            Self::Manifest { cause, .. } => cause.to_string(),
            Self::Misplaced { found, .. } => format!("the manifest is that of '{found}'"),
            other => other.to_string(),
        }
    }
}

/// One backup's folder as it was found.
#[derive(Debug)]
pub struct Record {
    /// Folder of the cluster.
    pub cluster: String,
    /// Folder of the backup.
    pub id: BackupId,
    /// Its manifest, or why it is none.
    pub manifest: Result<Manifest, CatalogError>,
    /// What speaks for or against it.
    pub evidence: Evidence,
}

/// Everything in a repository.
#[derive(Debug, Default)]
pub struct Catalog {
    /// Complete backups (also those with a manifest that cannot be used), oldest first.
    pub records: Vec<Record>,
    /// Backups that run or have failed, oldest first.
    pub attempts: Vec<Attempt>,
    /// Folders of clusters that could not be looked into, in words. They may hold backups.
    pub unknown: Vec<String>,
}

/// Name of an object of a backup.
pub fn object_name(cluster: &str, id: &BackupId, object: &str) -> String {
    format!("{cluster}/{id}/{object}")
}

impl Catalog {
    /// For each record what speaks against it. Each cluster is looked at on its own.
    pub fn doubts(&self, now: Timestamp) -> Vec<Option<Doubt>> {
        let known: Vec<BackupFacts> = self.records.iter().map(BackupFacts::of).collect();
        let mut clusters: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, record) in self.records.iter().enumerate() {
            clusters.entry(&record.cluster).or_default().push(place);
        }
        let mut found = vec![None; known.len()];
        for places in clusters.into_values() {
            let of_one: Vec<&BackupFacts> = places.iter().map(|place| &known[*place]).collect();
            for (place, doubt) in places.into_iter().zip(doubts(&of_one, now)) {
                found[place] = doubt;
            }
        }
        found
    }

    /// The newest backup of the usual class that can be relied on: nothing speaks against it but that its objects cannot be looked at now.
    pub fn newest(&self, now: Timestamp) -> Option<&Manifest> {
        self.newest_in(None, now)
    }

    /// The same of one history, where one is named.
    pub fn newest_in(&self, history: Option<&str>, now: Timestamp) -> Option<&Manifest> {
        self.newest_of(&usual_class(&self.records), history, now)
    }

    /// The same of one class.
    pub fn newest_of(&self, class: &BackupClass, history: Option<&str>, now: Timestamp) -> Option<&Manifest> {
        let mut doubts = self.doubts(now);
        for (record, doubt) in self.records.iter().zip(&mut doubts) {
            let uuid = record.manifest.as_ref().map(|manifest| manifest.lineage().uuid).unwrap_or_default();
            if history.is_some_and(|history| history != uuid) {
                *doubt = Some(Doubt::Unusable("it is of another history".into()));
            }
            if record.manifest.as_ref().is_ok_and(|manifest| manifest.class() != *class) {
                *doubt = Some(Doubt::Unusable("it is of another class".into()));
            }
        }
        newest_of(&self.records, &doubts, |_| false)
            .and_then(|place| self.records[place].manifest.as_ref().ok())
    }

    /// Everything of one cluster after the other, by the names of their folders.
    pub fn by_cluster(self) -> BTreeMap<String, Self> {
        let mut clusters: BTreeMap<String, Self> = BTreeMap::new();
        for record in self.records {
            clusters.entry(record.cluster.clone()).or_default().records.push(record);
        }
        for attempt in self.attempts {
            clusters.entry(attempt.cluster.clone()).or_default().attempts.push(attempt);
        }
        clusters
    }
}

/// The place of the newest record that can be relied on, or that has no other doubt than one of these.
fn newest_of(
    records: &[Record],
    doubts: &[Option<Doubt>],
    is_passed: impl Fn(&Doubt) -> bool,
) -> Option<usize> {
    let is_sound = |doubt: &Option<Doubt>| {
        doubt.as_ref().is_none_or(|doubt| matches!(doubt, Doubt::Unknown(_)) || is_passed(doubt))
    };
    let known: Vec<(usize, BackupFacts)> = records
        .iter()
        .zip(doubts)
        .enumerate()
        .filter(|(_, (_, doubt))| is_sound(doubt))
        .map(|(place, (record, _))| (place, BackupFacts::of(record)))
        .collect();
    let sound = known.iter().filter_map(|(place, one)| Some((*place, &one.id, one.taken.as_ref().ok()?)));
    newest(sound).map(|(place, _)| place)
}

/// The manifest of one backup.
pub fn read_manifest(storage: &dyn Storage, cluster: &str, id: &BackupId) -> Result<Manifest, CatalogError> {
    let bytes = match storage.read_small(&object_name(cluster, id, MANIFEST), SMALL) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => {
            return Err(CatalogError::NotFound(format!(
                "there is no complete backup '{id}' of cluster '{cluster}'"
            )));
        }
        Err(error) => return Err(error.into()),
    };
    let manifest =
        Manifest::parse(&bytes).map_err(|cause| CatalogError::Manifest { id: id.to_string(), cause })?;
    if manifest.id == *id {
        Ok(manifest)
    } else {
        Err(CatalogError::Misplaced { id: id.to_string(), found: manifest.id })
    }
}

/// The status of one run, where it can be read.
pub fn read_status(storage: &dyn Storage, cluster: &str, id: &BackupId) -> Option<Status> {
    let bytes = storage.read_small(&object_name(cluster, id, STATUS), SMALL).ok()?;
    serde_json::from_slice(&bytes).ok()
}
