//! One restore at a time into one directory.
//!
//! The directory itself is locked (`flock`), so that the lock ends with its process and leaves nothing. Where a file system has no such
//! locks there is none: each file is made anew or not at all, so that of two at once one still fails.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::RestoreError;
use super::file_id::FileId;
use super::no_follow;

/// A directory into which no other restore writes. Dropping it lets others.
pub(super) struct TargetLock(Flock<File>);

impl TargetLock {
    /// Nothing where the directory is not there yet, or cannot be locked.
    pub(super) fn take(target: &Path) -> Result<Option<Self>, RestoreError> {
        let Ok(folder) = no_follow::readable_directory(target) else { return Ok(None) };
        match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => Ok(Some(Self(lock))),
            Err((folder, Errno::EWOULDBLOCK)) => {
                let who = holder(&folder).map_or_else(String::new, |pid| format!(" (pid {pid})"));
                Err(RestoreError::Refused(format!(
                    "another restore{who} is writing into '{}'; wait for its end, or name another directory",
                    target.display()
                )))
            }
            Err(_) => Ok(None),
        }
    }

    /// Whether the directory of this name is still the one that is locked.
    pub(super) fn is_of(&self, target: &Path) -> bool {
        let is_it = |now: File| Ok(FileId::of(&now)? == FileId::of(&self.0)?);
        no_follow::readable_directory(target).and_then(is_it).unwrap_or(false)
    }
}

/// The process that holds the lock, where the system tells it to this user.
fn holder(folder: &File) -> Option<u32> {
    let inode = folder.metadata().ok()?.ino().to_string();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    // `1: FLOCK  ADVISORY  WRITE 4711 fd:00:1234 0 EOF`
    locks.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, "WRITE", pid, place, ..] = words[..] else { return None };
        (place.rsplit(':').next() == Some(&inode)).then(|| pid.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_one_restores_and_its_process_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().canonicalize().unwrap();
        assert!(TargetLock::take(&target.join("none")).unwrap().is_none());
        let lock = TargetLock::take(&target).unwrap();
        assert!(lock.as_ref().unwrap().is_of(&target) && !lock.as_ref().unwrap().is_of(&target.join("none")));
        let why = TargetLock::take(&target).err().unwrap().to_string();
        let own =
            format!("another restore (pid {}) is writing into '{}'", std::process::id(), target.display());
        assert!(why.starts_with(&own), "{why}");
        drop(lock);
        assert!(TargetLock::take(&target).unwrap().is_some());
    }
}
