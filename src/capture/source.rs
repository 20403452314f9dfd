//! One file as the archive wants it: its data segments, and whether it changed under the copy.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::sys::statfs::{FsType, fstatfs};
use nix::unistd::{Whence, lseek};

use super::entry::Look;
use crate::archive::{FileContent, Segment};
use crate::regular_file;

/// Segments of one file that are kept: 24 bytes each in the header, and as much in memory. A file with
/// more holes than that is stored with zeros behind the last one; a restore makes holes of them again.
const MAX_SEGMENTS: usize = 1 << 18;

/// ZFS, which is no part of Linux (`ZFS_SUPER_MAGIC` of OpenZFS).
pub(super) const ZFS: FsType = FsType(0x2fc1_2fc1);

/// A file to be read.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: Arc<File>,
    /// Where the content begins in it, bytes.
    pub(super) offset: u64,
    /// Of the server's file.
    pub(super) metadata: Metadata,
    /// Set where this is a copy of it that only this process has.
    pub(super) copy: Option<CopyFacts>,
}

/// What was known when a copy of a file was made: the server's own may have changed, or be gone, since.
#[derive(Debug, Clone, Copy)]
pub(super) struct CopyFacts {
    /// As [`super::tablespaces::Tablespaces::lists`] says.
    pub(super) listed: Option<bool>,
    /// It is in what somebody else says is a snapshot: whether it changes is looked at.
    pub(super) is_mounted: bool,
}

/// Whether a file of a snapshot is what it was: nothing in one ever changes.
pub(super) fn check_unchanged(before: &Metadata, now: &Metadata) -> io::Result<()> {
    let look = |file: &Metadata| {
        let (modified, changed) = ((file.mtime(), file.mtime_nsec()), (file.ctime(), file.ctime_nsec()));
        (file.dev(), file.ino(), file.len(), modified, changed)
    };
    if look(before) == look(now) {
        return Ok(());
    }
    // A subvolume of btrfs that was deleted has no device any more (`btrfs_delete_subvolume`), though who has a file of it open can read it.
    if now.dev() != before.dev() || now.nlink() == 0 {
        return Err(io::Error::other(
            "it is not in the snapshot any more, which was removed while it was read",
        ));
    }
    Err(io::Error::other(
        "it has changed while it was read from where snapshot-command says that the snapshot is: that is no snapshot, or one that is written to",
    ))
}

impl Opened {
    /// The server's file itself.
    pub(super) fn live(path: &Path) -> io::Result<Self> {
        let file = regular_file::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => {
                io::Error::other("it was a file when the files were listed, and is none now")
            }
            _ => error,
        })?;
        let metadata = file.metadata()?;
        Ok(Self { file: Arc::new(file), offset: 0, metadata, copy: None })
    }

    /// An error where this is in a snapshot and has changed since it was opened.
    pub(super) fn check_snapshot(&self) -> io::Result<()> {
        match self.copy {
            Some(CopyFacts { is_mounted: true, .. }) => {
                check_unchanged(&self.metadata, &self.file.metadata()?)
            }
            _ => Ok(()),
        }
    }
}

/// A file being read.
pub(super) struct FileSource<'a> {
    opened: Opened,
    segments: Option<Vec<Segment>>,
    /// Index of the segment being read and bytes taken of it.
    place: (usize, u64),
    position: u64,
    watch: &'a dyn Fn(u64) -> io::Result<()>,
}

impl<'a> FileSource<'a> {
    /// `watch` is told how many bytes were read, and can stop the copy.
    pub(super) fn new(opened: Opened, watch: &'a dyn Fn(u64) -> io::Result<()>) -> io::Result<Self> {
        let bytes = opened.metadata.len();
        let may_have_holes = opened.metadata.blocks().saturating_mul(512) < bytes;
        let told = if may_have_holes { find_segments(&opened.file, opened.offset, bytes)? } else { None };
        let segments =
            believed(told, bytes, fstatfs(&*opened.file).ok().map(|found| found.filesystem_type()));
        let source = Self { opened, segments, place: (0, 0), position: 0, watch };
        let _ = posix_fadvise(&*source.opened.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL);
        Ok(source)
    }

    pub(super) fn metadata(&self) -> &Metadata {
        &self.opened.metadata
    }

    /// See [`Opened::check_snapshot`].
    pub(super) fn check_snapshot(&self) -> io::Result<()> {
        self.opened.check_snapshot()
    }

    /// Set where a copy is read that does not change any more.
    pub(super) fn of_copy(&self) -> Option<CopyFacts> {
        self.opened.copy
    }

    pub(super) fn segments(&self) -> Option<Vec<Segment>> {
        self.segments.clone()
    }

    /// Bytes that may be read at once, from `position` on.
    fn next_stretch(&mut self) -> u64 {
        let Some(segments) = &self.segments else {
            return self.opened.metadata.len().saturating_sub(self.position);
        };
        while let Some(segment) = segments.get(self.place.0) {
            if self.place.1 < segment.len {
                self.position = segment.offset + self.place.1;
                return segment.len - self.place.1;
            }
            self.place = (self.place.0 + 1, 0);
        }
        0
    }
}

impl Read for FileSource<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let stretch = self.next_stretch();
        let wanted = usize::try_from(stretch).unwrap_or(usize::MAX).min(buffer.len());
        let from = self.opened.offset + self.position;
        let got = self.opened.file.read_at(&mut buffer[..wanted], from)?;
        self.position += got as u64;
        self.place.1 += got as u64;
        (self.watch)(got as u64)?;
        Ok(got)
    }
}

impl FileContent for FileSource<'_> {
    fn changed(&mut self) -> bool {
        self.opened.copy.is_none()
            && self
                .opened
                .file
                .metadata()
                .map_or(true, |now| Look::of(&now) != Look::of(&self.opened.metadata))
    }
}

/// What is read of a file of which its file system tells these segments. OpenZFS before 2.1.14 and 2.2.2 may tell of a hole where data is that is not written out yet (openzfs #15526): there all of a
/// file with holes is read and stored, and a restore makes holes of its zeros.
fn believed(told: Option<Vec<Segment>>, bytes: u64, file_system: Option<FsType>) -> Option<Vec<Segment>> {
    match told {
        Some(_) if file_system == Some(ZFS) => Some(vec![Segment { offset: 0, len: bytes }]),
        told => told,
    }
}

/// The data between the holes (`lseek(2)`, `SEEK_DATA` and `SEEK_HOLE`); none where the file system
/// does not tell. The content begins at `offset`.
fn find_segments(file: &File, offset: u64, size: u64) -> io::Result<Option<Vec<Segment>>> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut position = 0u64;
    let seek = |from: u64, whence| {
        let from = i64::try_from(offset + from).map_err(|_| io::Error::other("the file is too large"))?;
        match lseek(file, from, whence) {
            Ok(found) => Ok(u64::try_from(found).ok().map(|found| found.saturating_sub(offset))),
            Err(nix::errno::Errno::ENXIO) => Ok(None),
            Err(errno) => Err(io::Error::from(errno)),
        }
    };
    while position < size {
        let start = match seek(position, Whence::SeekData) {
            Ok(Some(start)) if start < size => start,
            Ok(_) => break,
            Err(_) => return Ok(None),
        };
        let end = seek(start, Whence::SeekHole)?.unwrap_or(size).min(size);
        if segments.len() + 1 == MAX_SEGMENTS {
            segments.push(Segment { offset: start, len: size - start });
            break;
        }
        segments.push(Segment { offset: start, len: end - start });
        position = end.max(start + 1);
    }
    let whole = segments.len() == 1 && segments[0] == Segment { offset: 0, len: size };
    Ok((!whole).then_some(segments))
}

#[cfg(test)]
mod tests {
    use nix::sys::statfs::EXT4_SUPER_MAGIC;

    use super::*;

    #[test]
    fn holes_are_believed_but_of_zfs() {
        let told = || Some(vec![Segment { offset: 4096, len: 4096 }]);
        for file_system in [Some(EXT4_SUPER_MAGIC), None] {
            assert_eq!(believed(told(), 1 << 20, file_system), told());
        }
        // As `statfs` gives it.
        let zfs = Some(FsType(801_189_825));
        assert_eq!(believed(told(), 1 << 20, zfs), Some(vec![Segment { offset: 0, len: 1 << 20 }]));
        assert_eq!(believed(None, 1 << 20, zfs), None, "it has no holes");
    }
}
