//! The scratch folder: everything of a drill is in it, and it goes with everything.
//!
//! It is locked (`flock`) while its drill or the guard of a server of that lives, so that of two drills one waits for nobody and is refused, and so that what is found in an
//! unlocked one was left by a drill that was killed. Its place is where everybody may write, as a rule: nothing is made in a folder of somebody else's.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::geteuid;

use super::error::DrillError;
use crate::ui::bytes;

/// Where the folder is made unless another place is named: a place for large things that a restart may remove.
pub const SCRATCH: &str = "/var/tmp";
/// Its name.
const NAME: &str = "wsrep_sst_backup-drill";
/// The server's user must come through; nobody needs to list it.
const MODE: u32 = 0o711;
/// What a server makes beside its files: a redo log, temporary tables, undo, system tables.
const BESIDE: u64 = 512 << 20;
/// A file system with less than that is full: servers extend their files by 4 or 8 MiB at a time.
const FULL: u64 = 8 << 20;
/// Tries to remove it, and the time between two of them: a server that was killed may make a last file meanwhile.
const TRIES: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(100);
/// Tries to lock it: a server that was killed with its drill has no command line any more before it lets go of its files.
const LOCK_TRIES: u32 = 20;

/// A scratch folder that is ours, and empty at first. It goes with everything when this is dropped.
#[derive(Debug)]
pub(super) struct ScratchFolder {
    path: PathBuf,
    /// Held as long as it is there. Where this process is killed, the guards of servers that were started in it still hold it, until these have ended.
    /// Where this is dropped it is given up for all of them (`flock` with `LOCK_UN`): no server runs any more then.
    lock: Flock<File>,
}

impl ScratchFolder {
    /// Makes it, or takes over what a drill that was killed has left, which is removed.
    pub(super) fn take(parent: &Path) -> Result<Self, DrillError> {
        let path = std::path::absolute(parent).map_err(DrillError::system("name", parent))?.join(NAME);
        loop {
            make(&path)?;
            let lock = lock(&path)?;
            // Another drill may have removed it between the two.
            let is_there = fs::symlink_metadata(&path).is_ok_and(|there| {
                lock.metadata().is_ok_and(|locked| (there.dev(), there.ino()) == (locked.dev(), locked.ino()))
            });
            if !is_there {
                continue;
            }
            let scratch = Self { path, lock };
            if scratch.sweep().map_err(DrillError::system("empty", &scratch.path))? {
                log::warn!(
                    "'{}' had what a drill that was killed has left: it is removed",
                    scratch.path.display()
                );
            }
            return Ok(scratch);
        }
    }

    /// A name in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new folder in it, for folders of the server's user.
    pub(super) fn make_folder(&self, name: &str) -> Result<PathBuf, DrillError> {
        let path = self.join(name);
        passable(&path).map_err(DrillError::system("make", &path))?;
        Ok(path)
    }

    /// The lock once more, for a server that has its files here.
    pub(super) fn share_lock(&self) -> Result<File, DrillError> {
        self.lock.try_clone().map_err(DrillError::system("share the lock of", &self.path))
    }

    /// Whether nothing more can be written here, or next to nothing.
    pub(super) fn is_full(&self) -> bool {
        self.has_less_than(FULL)
    }

    /// Whether its file system is known to have less than that free, bytes.
    pub(super) fn has_less_than(&self, reserve: u64) -> bool {
        self.free().is_ok_and(|free| free < reserve)
    }

    /// Its place.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn free(&self) -> Result<u64, DrillError> {
        let stat = nix::sys::statvfs::statvfs(&self.path)
            .map_err(|errno| DrillError::system("look at", &self.path)(errno.into()))?;
        Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
    }

    /// Refuses what has no room here, with what a server makes beside it.
    pub(super) fn refuse_without_room(&self, needed: u64) -> Result<(), DrillError> {
        let free = self.free()?;
        let needed = needed.saturating_add(BESIDE);
        if free >= needed {
            return Ok(());
        }
        Err(DrillError::Undone(format!(
            "'{}' has {} free, and the drill needs {} there: name a place with more room (--scratch DIR)",
            self.path.display(),
            bytes(free),
            bytes(needed)
        )))
    }

    /// Removes what is in it; whether there was anything.
    fn sweep(&self) -> io::Result<bool> {
        let mut tries = 0;
        let mut any = false;
        loop {
            match remove_content(&self.path) {
                Ok(0) => return Ok(any),
                Ok(_) => any = true,
                Err(error) if tries >= TRIES => return Err(error),
                Err(_) => std::thread::sleep(BETWEEN),
            }
            tries += 1;
        }
    }
}

impl Drop for ScratchFolder {
    fn drop(&mut self) {
        if let Err(error) = self.sweep().and_then(|_| fs::remove_dir(&self.path)) {
            log::warn!("cannot remove '{}': {error}; the next drill does", self.path.display());
        }
    }
}

/// How many entries were removed.
fn remove_content(folder: &Path) -> io::Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let removed =
            if entry.file_type()?.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => count += 1,
        }
    }
    Ok(count)
}

fn make(path: &Path) -> Result<(), DrillError> {
    match passable(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => refuse_foreign(path),
        Err(error) => Err(DrillError::system("make", path)(error)),
    }
}

/// A new folder that the server's user comes through, whatever the umask of this process.
fn passable(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))
}

/// Whoever owns the folder, or may write to it, could put a link where root writes next.
fn refuse_foreign(path: &Path) -> Result<(), DrillError> {
    let data = fs::symlink_metadata(path).map_err(DrillError::system("look at", path))?;
    if data.is_dir() && data.uid() == geteuid().as_raw() && data.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(DrillError::Undone(format!(
        "'{}' is there and is not a folder of this user's alone: remove it, or name another place (--scratch DIR)",
        path.display()
    )))
}

fn lock(path: &Path) -> Result<Flock<File>, DrillError> {
    let flags = (OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW).bits();
    let open = fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    let mut folder = open.map_err(DrillError::system("open", path))?;
    for _ in 0..LOCK_TRIES {
        folder = match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((folder, Errno::EWOULDBLOCK)) => folder,
            Err((_, errno)) => return Err(DrillError::system("lock", path)(errno.into())),
        };
        std::thread::sleep(BETWEEN);
    }
    Err(DrillError::Undone(format!(
        "another drill works in '{}', or a server of one that was killed is about to end: wait for that, or name another place (--scratch DIR)",
        path.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_drills_at_a_time_and_goes_with_everything() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(NAME);
        let scratch = ScratchFolder::take(parent.path()).unwrap();
        fs::create_dir_all(scratch.join("data/mysql")).unwrap();
        fs::write(scratch.join("data/ibdata1"), "x").unwrap();
        let why = ScratchFolder::take(parent.path()).unwrap_err().to_string();
        assert!(why.contains("another drill works in"), "{why}");
        drop(scratch);
        assert!(!folder.exists());
        // What a killed one has left.
        fs::create_dir_all(folder.join("data")).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(MODE)).unwrap();
        let scratch = ScratchFolder::take(parent.path()).unwrap();
        assert!(!scratch.join("data").exists());
        drop(scratch);
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_of_others_is_not_used() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join(NAME);
        let elsewhere = parent.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &folder).unwrap();
        let refused = || ScratchFolder::take(parent.path()).unwrap_err().to_string();
        assert!(refused().contains("not a folder of this user's alone"), "{}", refused());
        fs::remove_file(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(refused().contains("not a folder of this user's alone"), "{}", refused());
        assert!(elsewhere.exists());
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = ScratchFolder::take(parent.path()).unwrap();
        scratch.refuse_without_room(0).unwrap();
        assert!(scratch.has_less_than(1 << 60) && !scratch.is_full());
        let why = scratch.refuse_without_room(1 << 60).unwrap_err().to_string();
        assert!(why.contains("1.00 EiB there"), "{why}");
    }
}
