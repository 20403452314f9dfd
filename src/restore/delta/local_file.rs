//! Files of a data directory that is there: opened without following anything, and known again.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, renameat};

use crate::restore::destinations::Destinations;
use crate::restore::file_id::FileId;
use crate::restore::no_follow;
use crate::restore::start_file::real_place;

/// What a regular file looked like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LocalLook {
    id: FileId,
    modified: (i64, i64),
    /// When anything of it was changed last, its name or its mode as well: nobody can set that.
    changed: (i64, i64),
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
        let changed = (data.ctime(), data.ctime_nsec());
        let allocated = data.blocks().saturating_mul(512);
        Ok(Some(Self { id: FileId::of(file)?, modified, changed, size: data.len(), allocated }))
    }

    /// Which file it is.
    pub(super) fn id(&self) -> FileId {
        self.id
    }

    /// Whether this is the file, and unchanged.
    pub(super) fn is_of(&self, file: &File) -> bool {
        let unchanged = |now: &Self| (now.id, now.changed, now.size) == (self.id, self.changed, self.size);
        matches!(Self::of(file), Ok(Some(now)) if unchanged(&now))
    }

    /// Opens the file, to write to it, if it is the same and unchanged.
    pub(super) fn reopen(&self, place: &Path) -> io::Result<File> {
        self.open_if(place, |now| (now.changed, now.size) == (self.changed, self.size))
    }

    /// The same where this restore has renamed it.
    pub(super) fn reopen_renamed(&self, place: &Path) -> io::Result<File> {
        self.open_if(place, |now| (now.modified, now.size) == (self.modified, self.size))
    }

    /// The same when this restore has written to it.
    pub(super) fn reopen_written(&self, place: &Path) -> io::Result<File> {
        self.open_if(place, |_| true)
    }

    fn open_if(&self, place: &Path, is_unchanged: impl FnOnce(&Self) -> bool) -> io::Result<File> {
        let file = no_follow::file(place, OFlag::O_RDWR)?;
        let now = Self::of(&file)?;
        if now.is_some_and(|now| now.id == self.id && is_unchanged(&now)) {
            return Ok(file);
        }
        Err(io::Error::other(
            "somebody else has changed it since it was compared, or put something else there",
        ))
    }
}

/// Where the file of this place is before anything is changed: an interrupted restore may have left the system tablespace under its hidden name.
pub(super) fn place_now(places: &Destinations, place: &Path) -> Option<PathBuf> {
    if places.start_file() == Some(place) { real_place(place) } else { Some(place.to_path_buf()) }
}

/// Gives an entry another name in its directory.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (folder, name) = no_follow::parent(from)?;
    Ok(renameat(&folder, name, &folder, to.file_name().unwrap_or_default())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, FileTimes};

    #[test]
    fn what_was_written_to_since_is_another_file_whatever_its_time_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("file");
        fs::write(&path, "one").unwrap();
        let file = no_follow::file(&path, OFlag::O_RDWR).unwrap();
        let look = LocalLook::of(&file).unwrap().unwrap();
        assert!(look.reopen(&path).is_ok());
        let time = file.metadata().unwrap().modified().unwrap();
        // The clock of a file system goes by steps.
        while LocalLook::of(&file).unwrap().unwrap() == look {
            fs::write(&path, "two").unwrap();
            file.set_times(FileTimes::new().set_modified(time)).unwrap();
        }
        assert!(look.reopen(&path).is_err() && look.reopen_renamed(&path).is_ok());
        assert!(look.reopen_written(&path).is_ok());
    }
}
