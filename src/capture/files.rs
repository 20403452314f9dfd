//! The list of what goes into the archive.

use super::entry::Entry;
use super::error::CaptureError;
use super::objection::Objection;
use super::page_lsns::PageLsns;
use super::tablespaces::Tablespaces;
use crate::model::ArchivePath;

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
    /// Of the redo log only what a start reads is stored, where that is understood ([`super::redo_log`]).
    pub(super) trims_redo: bool,
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

#[cfg(test)]
pub(super) mod testing {
    use std::path::Path;

    use super::super::class::FileClass;
    use super::super::entry::{EntryKind, Look};
    use super::*;

    /// Small files of these names in a data directory.
    pub(crate) fn files_named(names: &[&str]) -> FileList {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "x").unwrap();
        let look = Look::of(&file.as_file().metadata().unwrap());
        let entries = names.iter().map(|name| Entry {
            path: ArchivePath::new(name),
            kind: EntryKind::File(look),
            origin: None,
            system_tablespace: false,
            class: FileClass::of(Path::new(name)),
        });
        FileList { entries: entries.collect(), ..FileList::default() }
    }
}
