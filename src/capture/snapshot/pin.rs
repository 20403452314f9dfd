//! The redo log of a server that writes on while its files are cloned.
//!
//! Under a lock by SQL no statement writes, and InnoDB does: pages, and checkpoints. The clones are those of a crashed server, and recover from
//! the log, which is cloned last. It has to begin at the checkpoint that there was before the first clone ([`pin_checkpoint`]).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::objection::shown;
use super::super::redo_file::{head, the_steady_log};
use super::clones::Clones;
use crate::innodb::redo::{LogHead, RedoError, pin_checkpoint};

/// The log as it was before the first clone.
pub(super) struct Pin {
    number: usize,
    path: PathBuf,
    head: LogHead,
    redo_end: u64,
}

impl Pin {
    /// Reads its head. `redo_end` is an LSN up to which it is on the disk.
    pub(super) fn before(list: &FileList, datadir: &Path, redo_end: u64) -> Result<Self, CaptureError> {
        let (number, path) = the_steady_log(list, datadir).map_err(refused)?;
        let (_, head) = head(&path).map_err(|error| refused(format!("'{}': {error}", shown(&path))))?;
        Ok(Self { number, path, head, redo_end })
    }

    /// Sees to it that its clone begins there, and holds everything since.
    pub(super) fn after(&self, clones: &Clones) -> Result<(), CaptureError> {
        let failed = |error: RedoError| refused(format!("'{}': {error}", shown(&self.path)));
        let clone = clones.file(self.number).ok_or_else(|| refused("the redo log was not cloned".into()))?;
        let pinned = pin_checkpoint(&self.head, &clone, self.redo_end).map_err(failed)?;
        if let Some(later) = pinned.taken_out {
            log::info!(
                "the server has made a checkpoint at LSN {} meanwhile: the clone of its redo log begins at the one before, {}",
                later.lsn,
                pinned.checkpoint.lsn
            );
        }
        Ok(())
    }
}

/// Sees to it that the log in an atomic snapshot, which `open` opens, holds everything up to `redo_end`: one that was taken before the server was locked does not.
/// Nothing is pinned: data and log are of one moment, as after a loss of power, and for its newest checkpoint every page had been written.
pub(super) fn reaches(
    list: &FileList,
    datadir: &Path,
    redo_end: u64,
    open: impl FnOnce(usize) -> io::Result<Arc<File>>,
) -> Result<(), CaptureError> {
    let (number, path) = the_steady_log(list, datadir).map_err(refused)?;
    let failed = |why: String| {
        refused(format!(
            "'{}': {why}: the snapshot is not of the moment in which the server was locked",
            shown(&path)
        ))
    };
    let file = open(number).map_err(|error| failed(error.to_string()))?;
    let found = LogHead::read(&*file).and_then(|head| pin_checkpoint(&head, &file, redo_end));
    found.map(drop).map_err(|error| failed(error.to_string()))
}

/// Why the redo log of this server is none that could be pinned.
pub(super) fn objection(list: &FileList, datadir: &Path) -> Option<String> {
    let (_, path) = match the_steady_log(list, datadir) {
        Ok(found) => found,
        Err(why) => return Some(why),
    };
    head(&path).err().map(|error| format!("its redo log '{}' cannot be used: {error}", shown(&path)))
}

fn refused(why: String) -> CaptureError {
    CaptureError::Clone(io::Error::other(why))
}
