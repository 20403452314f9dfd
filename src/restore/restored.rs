//! What a restore has done.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::destinations::Stranger;
use super::members::Tables;
use crate::model::ArchivePath;

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
