//! What a restore has done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::destinations::{Destinations, Stranger};
use super::members::Tables;
use super::options;
use crate::model::{ArchivePath, Manifest, Member};

/// The data directory that was made, and what to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The data directory, without symbolic links.
    pub datadir: PathBuf,
    /// Number of files.
    pub files: u64,
    /// Bytes of them, holes included.
    pub bytes: u64,
    /// Directories outside the target that were filled.
    pub external: BTreeSet<PathBuf>,
    /// Links of the backup that lead to places that the operator has not named, and were not made.
    pub links_left: Vec<ArchivePath>,
    /// Options that a server needs for these files, by name.
    pub needed: BTreeMap<String, String>,
    /// Accounts that the server made for this very transfer.
    pub sst_accounts: Vec<String>,
    /// Owners could not be set: this process is not root.
    pub owner_kept: Option<String>,
    /// Where only some tables were wanted: what to know of them, and the option file for a server that has them.
    pub tables: Option<Tables>,
    /// The owner, where this machine does not know the name.
    pub stranger: Option<Stranger>,
}

impl Restored {
    /// What is known before the first file is written.
    pub(super) fn begun(manifest: &Manifest, places: &Destinations) -> Self {
        Self {
            datadir: places.target().to_path_buf(),
            files: 0,
            bytes: 0,
            external: places.external_roots(),
            links_left: places.unwanted().cloned().collect(),
            needed: options::needed(&manifest.server, places),
            sst_accounts: Vec::new(),
            owner_kept: places.owner_kept(),
            tables: None,
            stranger: places.stranger(),
        }
    }

    /// A file is there. An index can be edited, so that its sizes may say anything.
    pub(super) fn has_file(&mut self, member: &Member) {
        self.files += 1;
        self.bytes = self.bytes.saturating_add(member.size);
    }
}
