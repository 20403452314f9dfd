//! One file, directory or link of the server that goes into the archive.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::class::{self, FileClass};
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
    /// What it is to the server.
    pub class: FileClass,
}

impl Entry {
    /// Where it belongs, and where the server has it. Its content may be read elsewhere ([`super::copy::Contents`]).
    pub fn belongs(&self, datadir: &Path) -> PathBuf {
        match &self.origin {
            Some(origin) => origin.path.as_path().to_path_buf(),
            None => self.path.below(datadir),
        }
    }

    /// A file of InnoDB's redo log.
    pub fn is_redo_log(&self) -> bool {
        matches!(self.kind, EntryKind::File(_)) && class::is_redo_log(self.path.as_path())
    }

    /// A file of Aria's log, and not the one that says where its last checkpoint is.
    pub(super) fn is_aria_log(&self) -> bool {
        matches!(self.kind, EntryKind::File(_)) && class::is_aria_log(self.path.as_path())
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file, and what it looked like when it was listed.
    File(Look),
    /// A directory.
    Directory,
    /// A symbolic link with this target.
    Symlink(Box<Path>),
    /// Content that this program writes in place of the file.
    Generated(Box<[u8]>),
}

/// What shows that a file has been written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its length.
    pub bytes: u64,
    /// Nanoseconds since 1970 of its last change.
    modified: i64,
}

impl Look {
    /// From what the system tells.
    pub fn of(metadata: &Metadata) -> Self {
        let modified = metadata.mtime().wrapping_mul(1_000_000_000).wrapping_add(metadata.mtime_nsec());
        Self { bytes: metadata.len(), modified }
    }

    /// Nanoseconds since 1970 of its last change.
    pub(super) fn modified(&self) -> i64 {
        self.modified
    }
}
