//! What differs, kept from the reading of the archive that comes before the first change until it is written: in a file without a name in the data
//! directory, as far as there is room. So an archive is read once, and what is to be written cannot go missing any more when the directory is half
//! replaced. What has found no room is read again.
//!
//! It is written over good files, so it is compared with its digests when it is read back: nobody has asked the disk whether it has taken it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use blake3::Hash;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use super::differences::differing;
use crate::model::Member;
use crate::restore::error::{RestoreError, SystemError};
use crate::restore::no_follow;

/// Bytes that it has at most, however much is free.
const MOST: u64 = 16 << 30;
/// Stretches that it has at most: they are listed in memory, 56 bytes each.
const MOST_RUNS: usize = 200_000;

/// A stretch of a file, which lies behind the one before.
struct StashedRun<'a> {
    member: &'a Member,
    at: u64,
    length: usize,
    digest: Hash,
}

/// The file, and what is in it.
pub(super) struct Stash<'a> {
    /// None: there is no room for anything.
    file: Option<File>,
    folder: PathBuf,
    room: u64,
    bytes: u64,
    runs: Vec<StashedRun<'a>>,
}

impl<'a> Stash<'a> {
    /// In this directory, of which so many bytes are not needed otherwise: it takes half of them. Where the file system cannot make a file without a
    /// name there is none, since nothing may become visible yet.
    pub(super) fn create(folder: &Path, spare: u64) -> Self {
        let room = (spare / 2).min(MOST);
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let make = || {
            let folder = no_follow::directory(folder).ok()?;
            openat(&folder, ".", flags, Mode::S_IRUSR | Mode::S_IWUSR).ok().map(File::from)
        };
        let file = make().filter(|_| room > 0);
        Self { file, folder: folder.to_path_buf(), room, bytes: 0, runs: Vec::new() }
    }

    /// Whether it takes anything more.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some() && self.runs.len() < MOST_RUNS
    }

    /// Keeps what a file has not from this byte on, of which it has `old`; whether there was room for all of it. Where the disk fails or is full
    /// everything is given up: it has to be read again.
    pub(super) fn take(&mut self, member: &'a Member, from: u64, old: &[u8], new: &[u8]) -> io::Result<bool> {
        if !self.is_open() {
            return Ok(false);
        }
        let Some(file) = &mut self.file else { return Ok(false) };
        for range in differing(old, new) {
            let length = range.len();
            if self.bytes + length as u64 > self.room || self.runs.len() >= MOST_RUNS {
                return Ok(false);
            }
            let (at, bytes) = (from + range.start as u64, &new[range]);
            file.write_all(bytes)?;
            self.runs.push(StashedRun { member, at, length, digest: blake3::hash(bytes) });
            self.bytes += length as u64;
        }
        Ok(true)
    }

    /// Whether nothing is left of what it has taken.
    pub(super) fn is_given_up(&self) -> bool {
        self.file.is_none()
    }

    /// Gives its room back.
    pub(super) fn give_up(&mut self) {
        (self.file, self.bytes) = (None, 0);
        self.runs.clear();
    }

    /// Tells each stretch, in the order in which they came: its file, its first byte in that, its bytes. One that is not what was kept is
    /// an error, and not told.
    pub(super) fn each(
        &self,
        mut tell: impl FnMut(&'a Member, u64, &[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        let failed = SystemError::of("read back what was kept of the archive in", &self.folder);
        let (mut place, mut bytes) = (0, Vec::new());
        for run in &self.runs {
            bytes.resize(run.length, 0);
            file.read_exact_at(&mut bytes, place).map_err(&failed)?;
            if blake3::hash(&bytes) != run.digest {
                let cause = "what the disk gives back is not what was written: see that it is sound";
                return Err(failed(io::Error::other(cause)).into());
            }
            place += run.length as u64;
            tell(run.member, run.at, &bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restore::patch::HOLE;

    fn member() -> Member {
        let line = r#"{"path":"db/t.MYD","kind":"file","mode":416,"uid":1,"gid":1,"mtime":0,"size":0,"stored":0,
            "header_offset":0,"end_offset":512}"#;
        serde_json::from_str(line).unwrap()
    }

    fn told(stash: &Stash<'_>) -> Vec<(u64, Vec<u8>)> {
        let mut told = Vec::new();
        let outcome = stash.each(|_, at, bytes| {
            told.push((at, bytes.to_vec()));
            Ok(())
        });
        outcome.unwrap();
        told
    }

    #[test]
    fn what_differs_is_kept_without_a_name_as_far_as_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let member = member();
        let mut stash = Stash::create(&root, 8 * HOLE as u64);
        let old: Vec<u8> = (0..=250).cycle().take(4 * HOLE).collect();
        let mut new = old.clone();
        (new[HOLE], new[3 * HOLE]) = (new[HOLE] ^ 1, new[3 * HOLE] ^ 1);
        assert!(stash.take(&member, 100, &old, &new).unwrap());
        assert!(stash.take(&member, 9, &old, &old).unwrap());
        // What a file has not at all.
        assert!(stash.take(&member, 7, &[], &new[..HOLE]).unwrap());
        let kept = [
            (100 + HOLE as u64, new[HOLE..2 * HOLE].to_vec()),
            (100 + 3 * HOLE as u64, new[3 * HOLE..].to_vec()),
            (7, new[..HOLE].to_vec()),
        ];
        assert_eq!(told(&stash), kept);
        assert!(!stash.take(&member, 0, &[], &new[..2 * HOLE]).unwrap(), "there is room for one");
        assert_eq!(told(&stash)[..3], kept);
        assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0, "it has a name");
        stash.give_up();
        assert!(told(&stash).is_empty() && !stash.is_open());
        assert!(!Stash::create(&root, 1).is_open(), "where nothing is spare there is none");
    }

    #[test]
    fn what_the_disk_does_not_give_back_as_it_was_is_no_part_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let member = member();
        let whole: Vec<u8> = (0..=250).cycle().take(HOLE).collect();
        for at in [0, HOLE as u64 - 1, HOLE as u64, 2 * HOLE as u64 - 1] {
            let mut stash = Stash::create(&root, 8 * HOLE as u64);
            assert!(stash.take(&member, 0, &[], &whole).unwrap());
            assert!(stash.take(&member, HOLE as u64, &[], &whole).unwrap());
            stash.file.as_ref().unwrap().write_all_at(&[0xff], at).unwrap();
            let mut told = Vec::new();
            let outcome = stash.each(|_, at, bytes| {
                told.push((at, bytes.to_vec()));
                Ok(())
            });
            let error = outcome.unwrap_err().to_string();
            assert!(
                error.contains("cannot read back what was kept of the archive in")
                    && error.contains("is not what was written"),
                "{error}"
            );
            // What is before it is right, and nothing behind it is told.
            let before = usize::try_from(at).unwrap() / HOLE;
            assert_eq!(told, vec![(0, whole.clone()); before], "{at}");
        }
    }
}
