//! The list of what goes into the archive.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::class::{self, FileClass};
use super::error::CaptureError;
use super::page_lsns::PageLsns;
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
}

/// Everything, in the order of the archive.
#[derive(Debug, Default)]
pub struct FileList {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Bytes of all files when they were listed.
    pub bytes: u64,
    /// The same without holes.
    pub stored: u64,
    /// What the administrator should know.
    pub warnings: Vec<String>,
    /// The tablespaces that the server has, where it was asked.
    pub tablespaces: Option<Tablespaces>,
    /// What makes a backup of these files none.
    pub objections: Vec<Objection>,
    /// The time was over before everything was seen.
    pub is_cut: bool,
    /// The first file of the system tablespace, when the server had come to rest.
    pub(super) at_rest: Option<(ArchivePath, PageLsns)>,
}

impl FileList {
    /// An error where there are objections.
    pub fn refuse(&mut self) -> Result<(), CaptureError> {
        match std::mem::take(&mut self.objections) {
            none if none.is_empty() => Ok(()),
            objections => Err(CaptureError::Incomplete(objections)),
        }
    }
}

/// Something of the server that cannot be read or is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Objection {
    /// Which.
    pub path: PathBuf,
    /// The whole sentence, with what to do.
    pub text: String,
}

/// A path for a message: names may hold newlines, and a message is one line of the error log.
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text.into_owned() }
}

/// For a file that is none of the server's and that its user may not read.
pub(super) fn left_out(path: &Path, cause: &io::Error) -> String {
    format!("'{}' cannot be read ({cause}) and is no file of the server's: it is left out", shown(path))
}
