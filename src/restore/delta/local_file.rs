//! Files of a data directory that is there: opened without following anything, and known again.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::restore::file_id::FileId;
use crate::restore::no_follow;

/// What a regular file looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalLook {
    id: FileId,
    modified: (i64, i64),
    /// Its size, bytes.
    pub(super) size: u64,
    /// Bytes of it that the disk holds.
    pub(super) allocated: u64,
}

impl LocalLook {
    /// None of what is no regular file, or has another name besides: what is written into it would change that, too.
    pub(super) fn of(file: &File) -> io::Result<Option<Self>> {
        let data = file.metadata()?;
        if !data.is_file() || data.nlink() != 1 {
            return Ok(None);
        }
        let modified = (data.mtime(), data.mtime_nsec());
        let allocated = data.blocks().saturating_mul(512);
        Ok(Some(Self { id: FileId::of(file)?, modified, size: data.len(), allocated }))
    }

    /// Which file it is.
    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Opens the file, to write to it, if it is the same and unchanged.
    pub(super) fn reopen(&self, place: &Path) -> io::Result<File> {
        self.open_if(place, |now| (now.modified, now.size) == (self.modified, self.size))
    }

    /// The same when this restore has written to it.
    pub(super) fn reopen_written(&self, place: &Path) -> io::Result<File> {
        self.open_if(place, |_| true)
    }

    fn open_if(&self, place: &Path, is_unchanged: impl FnOnce(&Self) -> bool) -> io::Result<File> {
        let file = open(place, OFlag::O_RDWR)?;
        let now = Self::of(&file)?;
        if now.is_some_and(|now| now.id == self.id && is_unchanged(&now)) {
            return Ok(file);
        }
        Err(io::Error::other("somebody else has changed it, or put something else there"))
    }
}

/// A file of the data directory. Whoever owns that may have put anything into its place: no link is followed, no pipe waited for.
pub(super) fn open(place: &Path, access: OFlag) -> io::Result<File> {
    let (folder, name) = no_follow::parent(place)?;
    let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    Ok(openat(&folder, name, flags, Mode::empty())?.into())
}
