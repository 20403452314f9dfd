//! What the page is about, as values: nothing here reads a repository.

use jiff::Timestamp;

use crate::catalog::{AttemptState, Doubt, Drilled, Verified};
use crate::model::{BackupClass, BackupId, Manifest, Status};

/// What the page is about.
#[derive(Debug)]
pub struct ReportData {
    /// How the configuration names the repository.
    pub repository: String,
    /// When it was looked at.
    pub now: Timestamp,
    /// The program that did.
    pub version: &'static str,
    /// Each cluster that has anything there, by the names of their folders.
    pub clusters: Vec<Cluster>,
    /// Folders of clusters that could not be looked into, in words.
    pub unknown: Vec<String>,
}

/// One cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its folder.
    pub folder: String,
    /// What has a manifest, oldest first.
    pub backups: Vec<Backup>,
    /// Runs that go on or have made no backup, oldest first.
    pub runs: Vec<AttemptRow>,
}

/// One backup.
#[derive(Debug)]
pub struct Backup {
    /// Its name.
    pub id: BackupId,
    /// Its manifest, or why it cannot be used.
    pub manifest: Result<Manifest, String>,
    /// In which words it is held, where it is.
    pub held: Option<String>,
    /// Its last verification.
    pub verified: Option<Verified>,
    /// Its last drill.
    pub drilled: Option<Drilled>,
    /// What speaks against it, beside its manifest.
    pub doubt: Option<Doubt>,
    /// What the policy says, where there is one.
    pub fate: Option<PruneForecast>,
}

/// A run that is no backup.
#[derive(Debug)]
pub struct AttemptRow {
    /// Its name.
    pub id: BackupId,
    /// What has become of it.
    pub standing: AttemptState,
    /// Its status, where it can be read.
    pub status: Option<Status>,
    /// What the policy says, where there is one.
    pub fate: Option<PruneForecast>,
}

/// What `prune` would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneForecast {
    /// Whether it goes.
    pub goes: bool,
    /// Why, or why not.
    pub reasons: Vec<String>,
    /// Whether its time is in doubt.
    pub is_doubtful: bool,
}

impl Cluster {
    /// The newest backup that can be relied on.
    pub(super) fn newest(&self) -> Option<(&Backup, &Manifest)> {
        let is_sound =
            |backup: &Backup| backup.doubt.as_ref().is_none_or(|doubt| matches!(doubt, Doubt::Unknown(_)));
        // A dump is no newer version of a physical backup.
        let has_physical = self.usable().any(|(_, manifest)| manifest.class() == BackupClass::Physical);
        let class = if has_physical { BackupClass::Physical } else { BackupClass::Sql };
        self.usable()
            .filter(|(backup, manifest)| is_sound(backup) && manifest.class() == class)
            .max_by_key(|(backup, manifest)| (manifest.frozen_at, &backup.id))
    }

    /// All that can be used, oldest first.
    pub(super) fn usable(&self) -> impl DoubleEndedIterator<Item = (&Backup, &Manifest)> {
        self.backups.iter().filter_map(|backup| Some((backup, backup.manifest.as_ref().ok()?)))
    }
}
