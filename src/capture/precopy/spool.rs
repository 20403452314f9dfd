//! What is read while the server stands still, kept until it runs again: a slow repository takes it at leisure.
//!
//! First memory, then a file without a name in the file system of the data directory, up to `spool-limit`, and never so much that the server's file system
//! becomes full. What has no room any more goes into the archive while the server stands still.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;
use rustix::fs::{MemfdFlags, memfd_create};

use super::super::nameless::nameless_file;
use super::super::room::free_space;
use crate::archive::Segment;

/// Bytes that are kept in memory.
const IN_MEMORY: u64 = 8 << 20;
/// Bytes that stay free in the file system of the data directory.
const RESERVE: u64 = 512 << 20;
/// Places are multiples of this: holes survive.
const GRAIN: u64 = 4096;
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// A place in one of the two files.
#[derive(Debug, Clone)]
pub(super) struct SpoolPlace {
    pub(super) file: Arc<File>,
    /// Where it begins.
    pub(super) offset: u64,
}

/// One of the two files.
#[derive(Debug, Default)]
struct SpoolFile {
    file: Option<Arc<File>>,
    /// Where the next place begins.
    end: u64,
    /// Bytes that it holds, without holes.
    used: u64,
    limit: u64,
    /// Why it takes nothing more.
    closed: Option<String>,
}

impl SpoolFile {
    fn has_room(&self, bytes: u64) -> bool {
        self.used.checked_add(bytes).is_some_and(|used| used <= self.limit)
    }

    fn place(&mut self, (bytes, stored): (u64, u64), file: Arc<File>) -> SpoolPlace {
        let offset = self.end;
        self.end = (offset + bytes).next_multiple_of(GRAIN);
        self.used = (self.used + stored).next_multiple_of(GRAIN);
        self.file = Some(Arc::clone(&file));
        SpoolPlace { file, offset }
    }

    /// It takes nothing more, which is said once.
    fn close(&mut self, error: &io::Error) {
        if self.limit > 0 {
            log::info!(
                "what is read while the server stands still cannot be put aside ({error}): what has no room otherwise goes into the archive at once"
            );
            self.closed = Some(error.to_string());
        }
        self.limit = 0;
    }
}

/// The spool.
pub(super) struct Spool {
    memory: SpoolFile,
    disk: SpoolFile,
    buffer: Vec<u8>,
}

impl Spool {
    /// In the file system of this directory, for so many bytes at most.
    pub(super) fn new(directory: &Path, limit: u64) -> Self {
        let room = free_space(directory).unwrap_or(0).saturating_sub(RESERVE);
        let memory = SpoolFile { limit: IN_MEMORY.min(limit), ..SpoolFile::default() };
        let mut disk = SpoolFile { limit: limit.min(room), ..SpoolFile::default() };
        if disk.limit > 0 {
            match open_directory(directory).and_then(|directory| nameless_file(&directory)) {
                Ok(file) => disk.file = Some(Arc::new(file)),
                Err(error) => disk.close(&error),
            }
        }
        Self { memory, disk, buffer: Vec::new() }
    }

    /// Bytes that it may hold.
    pub(super) fn room(&self) -> u64 {
        self.memory.limit.saturating_add(self.disk.limit)
    }

    /// Why there is no room beside the data directory, where something else than its size is the reason.
    pub(super) fn why_no_room(&self) -> Option<&str> {
        self.disk.closed.as_deref()
    }

    /// Bytes that it holds in memory, and on the disk.
    pub(super) fn used(&self) -> (u64, u64) {
        (self.memory.used, self.disk.used)
    }

    /// A place for so many bytes, of which so many are no holes; none where there is no room.
    pub(super) fn place(&mut self, bytes: u64, stored: u64) -> Option<SpoolPlace> {
        if self.memory.has_room(stored) {
            match self.memory.file.clone().map_or_else(|| in_memory().map(Arc::new), Ok) {
                Ok(file) => return Some(self.memory.place((bytes, stored), file)),
                Err(error) => self.memory.close(&error),
            }
        }
        let file = self.disk.file.clone().filter(|_| self.disk.has_room(stored))?;
        Some(self.disk.place((bytes, stored), file))
    }

    /// Copies a part of a file to `at` bytes behind a place. False where the disk is full: then nothing of that place is of use.
    pub(super) fn copy(
        &mut self,
        from: &File,
        part: Segment,
        (place, at): (&SpoolPlace, u64),
        count: &dyn Fn(u64) -> io::Result<()>,
    ) -> io::Result<bool> {
        self.buffer.resize(CHUNK, 0);
        let mut done = 0;
        while done < part.len {
            let wanted = CHUNK.min(usize::try_from(part.len - done).unwrap_or(CHUNK));
            let got = from.read_at(&mut self.buffer[..wanted], part.offset + done)?;
            if got == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Err(error) = place.file.write_all_at(&self.buffer[..got], place.offset + at + done) {
                let is_memory = self.memory.file.as_ref().is_some_and(|file| Arc::ptr_eq(file, &place.file));
                if is_memory {
                    self.memory.close(&error);
                } else {
                    self.disk.close(&error);
                }
                return Ok(false);
            }
            done += got as u64;
            count(got as u64)?;
        }
        Ok(true)
    }
}

fn in_memory() -> io::Result<File> {
    Ok(memfd_create(c"wsrep_sst_backup", MemfdFlags::CLOEXEC)?.into())
}

fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_first_then_the_disk_then_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(folder.path(), IN_MEMORY + 8192);
        let source = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..20_000_u32).map(|byte| (byte % 251) as u8).collect();
        source.write_all_at(&content, 0).unwrap();
        let small = spool.place(100, 100).unwrap();
        let large = spool.place(IN_MEMORY, IN_MEMORY).unwrap();
        assert!(!Arc::ptr_eq(&small.file, &large.file), "memory, and the disk");
        assert!(spool.place(2 * IN_MEMORY, 2 * IN_MEMORY).is_none());
        let place = spool.place(20_000, 12_712).unwrap();
        assert_eq!(place.offset, GRAIN, "behind the first one");
        assert_eq!(spool.used(), (GRAIN + 16_384, IN_MEMORY), "a hole takes no room");
        assert!(spool.place(3 * IN_MEMORY, 4096).is_some(), "however large");
        for (offset, len) in [(0, 5000), (12_288, 7712)] {
            let part = Segment { offset, len };
            assert!(spool.copy(&source, part, (&place, offset), &|_| Ok(())).unwrap());
        }
        let mut read = vec![1; 20_000];
        place.file.read_exact_at(&mut read, place.offset).unwrap();
        assert_eq!((&read[..5000], &read[12_288..]), (&content[..5000], &content[12_288..]));
        assert!(read[5000..12_288].iter().all(|byte| *byte == 0));
        let part = Segment { offset: 0, len: 1 };
        assert!(spool.copy(&source, part, (&place, 0), &|_| Err(io::Error::other("given up"))).is_err());
        assert!(Spool::new(folder.path(), 0).place(1, 1).is_none());
        assert_eq!(spool.room(), 2 * IN_MEMORY + 8192);
        assert_eq!(spool.why_no_room(), None);
        // Where no file without a name can be made only memory is left, and that is known before anything is put there, and why.
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut nowhere = Spool::new(file.path(), 1 << 30);
        assert!(nowhere.room() <= IN_MEMORY && nowhere.place(IN_MEMORY + 1, IN_MEMORY + 1).is_none());
        assert!(nowhere.place(100, 100).is_some());
        assert!(nowhere.why_no_room().is_some_and(|why| why.contains("Not a directory")));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it has no name");
    }
}
