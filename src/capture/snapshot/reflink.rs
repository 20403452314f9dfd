//! One clone: a file without a name that shares its blocks with another one until either is written to (`FICLONE`).
//!
//! A clone has no name ([`nameless_file`]), so whatever ends this process ends the clone, and nothing is to be swept; and nobody finds
//! it in a directory of the server's, where a file or a folder more would show as a table or a database.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use rustix::fs::{IFlags, copy_file_range, ioctl_ficlone, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use super::super::nameless::nameless_file;
use super::super::objection::shown;
use super::mount::Mount;
use crate::regular_file;

/// What is cloned to see whether it works; no file system has larger blocks.
const TRIAL: usize = 64 << 10;

/// A directory in which files of its file system can be cloned.
#[derive(Debug)]
pub(super) struct ClonePlace {
    directory: File,
    /// Its path.
    pub(super) path: PathBuf,
    /// In which it lies.
    pub(super) mount: Mount,
    /// Bytes of a block there.
    pub(super) block: u64,
}

impl ClonePlace {
    /// Clones a block there, which is gone when this returns; an error where that does not work.
    pub(super) fn try_at(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NONBLOCK;
        let directory = OpenOptions::new().read(true).custom_flags(flags.bits()).open(path)?;
        let metadata = directory.metadata()?;
        let block = nix::sys::statvfs::fstatvfs(&directory)?.fragment_size();
        let mount = Mount::of(&directory, metadata.dev());
        let place = Self { directory, path: path.to_path_buf(), mount, block };
        let source = place.nameless()?;
        let written = vec![0x5a; TRIAL];
        source.write_all_at(&written, 0)?;
        let mut read = vec![0; TRIAL];
        place.clone_of(&source)?.read_exact_at(&mut read, 0)?;
        if read == written { Ok(place) } else { Err(io::Error::other("a clone has another content")) }
    }

    /// An empty file that nobody can give a name.
    pub(super) fn nameless(&self) -> io::Result<File> {
        nameless_file(&self.directory)
    }

    /// Clones this file of the server, which is gone when this returns; an error where that does not work. One that is gone meanwhile says nothing.
    pub(super) fn try_clone_of(&self, path: &Path) -> io::Result<()> {
        let source = match regular_file::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        self.clone_of(&source).map(drop).map_err(|error| match error.kind() {
            io::ErrorKind::CrossesDevices => io::Error::other(format!(
                "{error}: before Linux 5.18 files are cloned only within one mount, and in that of '{}' no file can be made",
                shown(path)
            )),
            _ => error,
        })
    }

    /// A clone of all of a file.
    pub(super) fn clone_of(&self, source: &File) -> io::Result<File> {
        let clone = self.nameless()?;
        match ioctl_ficlone(&clone, source) {
            // btrfs shares blocks only between files of which both, or neither, are `chattr +C`; a directory may hand it down.
            Err(Errno::INVAL) if is_aligned(&clone, source)? => ioctl_ficlone(&clone, source)?,
            outcome => outcome?,
        }
        Ok(clone)
    }
}

/// Gives the empty file `clone` the flag of `source`; false where it has it already.
fn is_aligned(clone: &File, source: &File) -> io::Result<bool> {
    let (own, wanted) = (ioctl_getflags(clone)?, ioctl_getflags(source)? & IFlags::NOCOW);
    if own & IFlags::NOCOW == wanted {
        return Ok(false);
    }
    ioctl_setflags(clone, (own - IFlags::NOCOW) | wanted)?;
    Ok(true)
}

/// Many files in one: where there are more of them than this process may hold open.
#[derive(Debug)]
pub(super) struct Pack {
    /// They lie behind each other, those that are cloned each from a block's beginning on.
    pub(super) file: File,
    /// Of the file, and behind it of what is still in memory.
    end: u64,
    block: u64,
    waiting: Vec<u8>,
}

/// What is written at once, bytes: a call for each small file takes longer than to read it.
const AT_ONCE: usize = 256 << 10;

impl Pack {
    /// With nothing in it.
    pub(super) fn new(place: &ClonePlace) -> io::Result<Self> {
        Ok(Self { file: place.nameless()?, end: 0, block: place.block.max(1), waiting: Vec::new() })
    }

    /// Adds this content; where it begins. It is there after [`Pack::flush`].
    pub(super) fn write(&mut self, content: &[u8]) -> io::Result<u64> {
        let begin = self.end;
        self.end += content.len() as u64;
        self.waiting.extend_from_slice(content);
        if self.waiting.len() >= AT_ONCE {
            self.flush()?;
        }
        Ok(begin)
    }

    /// Writes what is in memory.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let begin = self.end - self.waiting.len() as u64;
        self.file.write_all_at(&self.waiting, begin)?;
        self.waiting.clear();
        Ok(())
    }

    /// Adds `bytes` of a file; where they begin. The kernel clones them where it can, and else copies.
    pub(super) fn add(&mut self, source: &File, bytes: u64) -> io::Result<u64> {
        self.flush()?;
        let begin = self.end.next_multiple_of(self.block);
        self.end = begin.saturating_add(bytes);
        let (mut from, mut to) = (0, begin);
        while to < self.end {
            let wanted = usize::try_from(self.end - to).unwrap_or(usize::MAX);
            if copy_file_range(source, Some(&mut from), &self.file, Some(&mut to), wanted)? == 0 {
                // It is shorter now: that is found where it must not be.
                self.file.set_len(self.end)?;
                break;
            }
        }
        Ok(begin)
    }
}
