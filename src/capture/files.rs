//! The list of what goes into the archive.

use std::path::{Path, PathBuf};

use super::tablespaces::Tablespaces;
use crate::model::{ArchivePath, Origin};

/// One member to come. There may be a million of them, so nothing stands here twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the archive.
    pub path: ArchivePath,
    /// What it is.
    pub kind: EntryKind,
    /// Set for what lives outside the data directory.
    pub origin: Option<Box<Origin>>,
    /// A file of `innodb_data_file_path`.
    pub system_tablespace: bool,
}

impl Entry {
    /// Where it is on disk.
    pub fn disk(&self, datadir: &Path) -> PathBuf {
        match &self.origin {
            Some(origin) => origin.path.as_path().to_path_buf(),
            None => self.path.below(datadir),
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file of this many bytes when it was listed.
    File(u64),
    /// A directory.
    Directory,
    /// A symbolic link with this target.
    Symlink(Box<Path>),
    /// Content that this program writes in place of the file.
    Generated(Box<[u8]>),
}

/// Everything, in the order of the archive.
#[derive(Debug, Default)]
pub struct FileList {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Bytes of all files when they were listed.
    pub bytes: u64,
    /// What the administrator should know.
    pub warnings: Vec<String>,
    /// The tablespaces that the server has, where it was asked.
    pub tablespaces: Option<Tablespaces>,
}
