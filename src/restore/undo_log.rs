//! Everything that a restore makes on the disk, so that a restore that fails can remove it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, SFlag, UtimensatFlags, fstat, futimens, mkdirat, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fchownat, symlinkat, unlinkat};

use super::destinations::{Destinations, FileOwner};
use super::error::{RestoreError, SystemError, Undone};
use super::file_systems::{FileSystems, let_go};
use super::no_follow;
use crate::model::{Member, MemberKind};

impl RestoreError {
    /// Removes what was made until then, and says so where there was anything.
    pub(super) fn undo(self, created: &mut UndoLog) -> Self {
        self.with(if created.remove_all() { Undone::Removed } else { Undone::Nothing })
    }
}

/// Everything this restore has created, in order.
#[derive(Default)]
pub(super) struct UndoLog {
    /// The data directory and those outside of it. What has to be made above them is the system's, not the server's.
    bases: Vec<PathBuf>,
    files: Vec<PathBuf>,
    /// Sorted: a directory comes before what is in it.
    directories: BTreeSet<PathBuf>,
    /// Directories that other programs have filled.
    trees: BTreeSet<PathBuf>,
    /// Directories that were there and got another owner, with the one they had.
    given: Vec<(PathBuf, FileOwner)>,
    /// Where all of it is.
    file_systems: FileSystems,
}

impl UndoLog {
    /// Nothing yet; the directories of the server will be these.
    pub(super) fn below(bases: Vec<PathBuf>) -> Self {
        Self { bases, ..Self::default() }
    }

    /// Removes it all, newest first; whether there was anything. What was there before is not in the list.
    pub(super) fn remove_all(&mut self) -> bool {
        let any = !(self.files.is_empty() && self.directories.is_empty() && self.trees.is_empty());
        let failed = |path: &Path, error: &io::Error| {
            log::warn!("cannot remove '{}': {error}; remove it by hand", path.display());
        };
        for file in self.files.drain(..).rev() {
            match remove(&file, UnlinkatFlags::NoRemoveDir) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => failed(&file, &error),
                _ => {}
            }
        }
        while let Some(tree) = self.trees.pop_last() {
            match std::fs::remove_dir_all(&tree) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => failed(&tree, &error),
                _ => {}
            }
        }
        while let Some(directory) = self.directories.pop_last() {
            if let Err(error) = remove(&directory, UnlinkatFlags::RemoveDir) {
                failed(&directory, &error);
            }
        }
        for (directory, owner) in self.given.drain(..) {
            let back = no_follow::directory(&directory).and_then(|folder| give_step(&folder, owner));
            if let Err(error) = back {
                log::warn!("cannot give '{}' back to its owner: {error}", directory.display());
            }
        }
        any
    }

    /// Makes a directory and those above it; one that is there stays.
    pub(super) fn directory(
        &mut self,
        path: &Path,
        owner: Option<FileOwner>,
        mode: Option<u32>,
    ) -> Result<(), SystemError> {
        match no_follow::directory(path) {
            Ok(folder) => self.adopt(path, &folder, owner),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    self.missing_parent(parent, owner)?;
                }
                self.make(path, owner, mode.unwrap_or(0o750))
            }
            Err(error) => Err(SystemError::of("create", path)(error)),
        }
    }

    /// One that was there before and is not ours is not touched.
    fn missing_parent(&mut self, parent: &Path, owner: Option<FileOwner>) -> Result<(), SystemError> {
        if !matches!(no_follow::directory(parent), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            return Ok(());
        }
        if self.bases.is_empty() || self.bases.iter().any(|base| parent.starts_with(base)) {
            return self.directory(parent, owner, None);
        }
        if let Some(above) = parent.parent() {
            self.missing_parent(above, None)?;
        }
        self.make(parent, None, 0o755)
    }

    fn make(&mut self, path: &Path, owner: Option<FileOwner>, mode: u32) -> Result<(), SystemError> {
        let failed = SystemError::of("create", path);
        let (folder, name) = no_follow::parent(path).map_err(&failed)?;
        mkdirat(&folder, name, Mode::from_bits_truncate(mode)).map_err(|errno| failed(errno.into()))?;
        self.directories.insert(path.to_path_buf());
        self.file_systems.hold_at(&folder, name, path)?;
        let Some(owner) = owner else { return Ok(()) };
        let made = no_follow::directory(path).and_then(|made| give_step(&made, owner));
        made.map_err(SystemError::of("change the owner of", path))
    }

    /// An empty directory of root was made by hand for this restore: mysqld must be able to write into it.
    fn adopt(&mut self, path: &Path, folder: &OwnedFd, owner: Option<FileOwner>) -> Result<(), SystemError> {
        let is_foreign = |before: &FileOwner| before.0 == 0 && owner.is_some_and(|owner| owner != *before);
        if self.directories.contains(path) {
            return Ok(());
        }
        if let (Some(before), Some(owner)) = (owner_of_empty(folder).filter(is_foreign), owner) {
            self.given.push((path.to_path_buf(), before));
            give_step(folder, owner).map_err(SystemError::of("change the owner of", path))?;
        }
        Ok(())
    }

    /// This file, or directory of another program, has got another name: it is not removed by the old one.
    pub(super) fn has_moved(&mut self, old: &Path) {
        self.files.retain(|file| file != old);
        self.trees.remove(old);
    }

    /// A new directory that other programs fill: it goes with everything that is in it.
    pub(super) fn tree(&mut self, path: &Path, owner: Option<FileOwner>) -> Result<(), SystemError> {
        self.directory(path, owner, Some(0o700))?;
        self.directories.remove(path);
        self.trees.insert(path.to_path_buf());
        Ok(())
    }

    /// What another program has made was moved to this place.
    pub(super) fn has_come(&mut self, path: &Path, is_directory: bool) {
        if is_directory {
            self.trees.insert(path.to_path_buf());
        } else {
            self.files.push(path.to_path_buf());
        }
    }

    /// A new file, to write and to read back; one that is there is an error.
    pub(super) fn create(&mut self, path: &Path, mode: u32) -> Result<File, SystemError> {
        let failed = SystemError::of("create", path);
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let (folder, name) = no_follow::parent(path).map_err(&failed)?;
        self.file_systems.hold_at(&folder, OsStr::new("."), path.parent().unwrap_or(path))?;
        let file = openat(&folder, name, flags, Mode::from_bits_truncate(mode));
        let file = file.map_err(|errno| failed(errno.into()))?;
        self.files.push(path.to_path_buf());
        Ok(file.into())
    }

    /// A symbolic link, with owner and time of its member.
    pub(super) fn link(
        &mut self,
        path: &Path,
        target: &Path,
        owner: Option<FileOwner>,
        member: &Member,
    ) -> Result<(), SystemError> {
        let failed = SystemError::of("create", path);
        let (folder, name) = no_follow::parent(path).map_err(&failed)?;
        symlinkat(target, &folder, name).map_err(|errno| failed(errno.into()))?;
        self.files.push(path.to_path_buf());
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let made = openat(&folder, name, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
        // Who owns the directory may have put another file into its place since.
        let data = fstat(&made).map_err(|errno| failed(errno.into()))?;
        if SFlag::from_bits_truncate(data.st_mode) & SFlag::S_IFMT != SFlag::S_IFLNK {
            return Err(failed(io::Error::other("somebody else has put something else there")));
        }
        if let Some(owner) = owner {
            give_step(&made, owner).map_err(SystemError::of("change the owner of", path))?;
        }
        let time = time_of(member);
        utimensat(&folder, name, &time, &time, UtimensatFlags::NoFollowSymlink)
            .map_err(|errno| SystemError::of("set the time of", path)(errno.into()))
    }

    /// A small file of this program's own.
    pub(super) fn file_of_ours(
        &mut self,
        path: &Path,
        content: &[u8],
        owner: Option<FileOwner>,
    ) -> Result<(), SystemError> {
        let mut file = self.create(path, 0o660)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(SystemError::of("write", path))?;
        give(&file, path, owner)?;
        let_go(file, path)
    }

    /// Before anything is written to files in this directory that are there.
    pub(super) fn writes_below(&mut self, directory: &Path) -> Result<(), SystemError> {
        self.file_systems.hold(directory)
    }

    /// Everything is durable after this, if each file was [let go](let_go).
    pub(super) fn sync(&self) -> Result<(), SystemError> {
        self.file_systems.sync()
    }

    /// Mode, owner and time of a directory in which everything is. Files and links have theirs since they were written.
    pub(super) fn finish(
        &self,
        member: &Member,
        place: &Path,
        places: &Destinations,
    ) -> Result<(), SystemError> {
        // One that was there before, outside the data directory, is not ours to change.
        if member.kind != MemberKind::Directory || !self.directories.contains(place) {
            return Ok(());
        }
        finish_directory(member, place, places)
    }
}

/// Mode, owner and time of a directory, whoever has made it.
pub(super) fn finish_directory(
    member: &Member,
    place: &Path,
    places: &Destinations,
) -> Result<(), SystemError> {
    let made = no_follow::readable_directory(place).map_err(SystemError::of("open", place))?;
    finish_open(&made, member, place, places)
}

/// The owner of a directory in which there is nothing: of the one that is open, whatever has its name meanwhile.
fn owner_of_empty(folder: &OwnedFd) -> Option<FileOwner> {
    let data = fstat(folder).ok()?;
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut names = Dir::openat(folder, ".", flags, Mode::empty()).ok()?;
    let is_free = |name: &[u8]| matches!(name, b"." | b".." | b"lost+found");
    let is_empty = names.iter().all(|entry| entry.is_ok_and(|entry| is_free(entry.file_name().to_bytes())));
    is_empty.then_some((data.st_uid, data.st_gid))
}

/// Mode, owner and time of a file or directory that this restore has made and holds open. The bits that lend rights
/// (set-uid, set-gid, sticky) are nothing that a data directory needs.
pub(super) fn finish_open(
    file: &File,
    member: &Member,
    place: &Path,
    places: &Destinations,
) -> Result<(), SystemError> {
    give(file, place, places.owner_of(member))?;
    let mode = Permissions::from_mode(member.mode & 0o777);
    file.set_permissions(mode).map_err(SystemError::of("change the mode of", place))?;
    let time = time_of(member);
    futimens(file, &time, &time).map_err(|errno| SystemError::of("set the time of", place)(errno.into()))
}

fn time_of(member: &Member) -> TimeSpec {
    TimeSpec::new(member.mtime, i64::from(member.mtime_nsec))
}

fn give(file: &File, path: &Path, owner: Option<FileOwner>) -> Result<(), SystemError> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .map_err(|errno| SystemError::of("change the owner of", path)(errno.into()))
}

/// The same for what is open only to go on from.
fn give_step(step: impl AsFd, (uid, gid): FileOwner) -> io::Result<()> {
    let flags = AtFlags::AT_EMPTY_PATH | AtFlags::AT_SYMLINK_NOFOLLOW;
    Ok(fchownat(step, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), flags)?)
}

/// Removes one entry of a directory, and follows no link to it.
pub(super) fn remove(path: &Path, what: UnlinkatFlags) -> io::Result<()> {
    let (folder, name) = no_follow::parent(path)?;
    Ok(unlinkat(&folder, name, what)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_is_told_only_where_something_was_made() {
        let interrupted = |log: &mut UndoLog| RestoreError::interrupted().undo(log).to_string();
        assert_eq!(interrupted(&mut UndoLog::default()), "interrupted");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ibdata1");
        let mut log = UndoLog::below(vec![folder.path().to_path_buf()]);
        log.create(&file, 0o600).unwrap();
        assert_eq!(interrupted(&mut log), "interrupted; what had been restored is removed");
        assert!(!file.exists());
    }
}
