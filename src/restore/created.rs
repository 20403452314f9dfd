//! What a restore makes on the disk, remembered so that all of it can be taken back.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;

use super::places::{Owner, Places};
use crate::model::{Member, MemberKind};

/// The system tablespace while the restore goes on.
pub(super) const HIDDEN_SUFFIX: &str = ".wsrep_sst_backup-restoring";

/// What stands in the place of the system tablespace until everything else is there. InnoDB refuses it:
/// it is shorter than a page.
const PLACEHOLDER: &str = "This data directory is being restored by wsrep_sst_backup and is not complete.\n\
    If no restore is running, it was interrupted: empty the directory and restore again.\n";

/// The system did not do what it was asked.
#[derive(Debug)]
pub(super) struct SystemError {
    /// Completes "cannot …".
    pub(super) action: &'static str,
    pub(super) path: PathBuf,
    pub(super) cause: io::Error,
}

impl SystemError {
    /// For `map_err`.
    pub(super) fn of(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |cause| Self { action, path: path.to_path_buf(), cause }
    }
}

/// Everything this restore has created, in order.
#[derive(Default)]
pub(super) struct Created {
    files: Vec<PathBuf>,
    /// Sorted: a directory comes before what is in it.
    directories: BTreeSet<PathBuf>,
    /// Directories that were there and got another owner, with the one they had.
    given: Vec<(PathBuf, Owner)>,
}

impl Created {
    /// Removes it all, newest first. What was there before is not in the list.
    pub(super) fn remove_all(&mut self) {
        let failed = |path: &Path, error: &io::Error| {
            log::warn!("cannot remove '{}': {error}; remove it by hand", path.display());
        };
        for file in self.files.drain(..).rev() {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => failed(&file, &error),
                _ => {}
            }
        }
        while let Some(directory) = self.directories.pop_last() {
            if let Err(error) = fs::remove_dir(&directory) {
                failed(&directory, &error);
            }
        }
        for (directory, (uid, gid)) in self.given.drain(..) {
            if let Err(error) = lchown(&directory, Some(uid), Some(gid)) {
                log::warn!("cannot give '{}' back to its owner: {error}", directory.display());
            }
        }
    }

    /// Makes a directory and those above it; one that is there stays.
    pub(super) fn directory(
        &mut self,
        path: &Path,
        owner: Option<Owner>,
        mode: Option<u32>,
    ) -> Result<(), SystemError> {
        if !path.is_dir() {
            if let Some(parent) = path.parent().filter(|parent| !parent.is_dir()) {
                self.directory(parent, owner, None)?;
            }
            let made = DirBuilder::new().mode(mode.unwrap_or(0o750)).create(path);
            made.map_err(SystemError::of("create", path))?;
            self.directories.insert(path.to_path_buf());
            return give(path, owner);
        }
        let is_foreign = |before: &Owner| before.0 == 0 && owner.is_some_and(|owner| owner != *before);
        if let Some(before) = owner_of_empty(path).filter(is_foreign) {
            // Made by hand for this restore: mysqld must be able to write into it.
            self.given.push((path.to_path_buf(), before));
            give(path, owner)?;
        }
        Ok(())
    }

    /// A new file; one that is there is an error.
    pub(super) fn create(&mut self, path: &Path, mode: u32) -> Result<File, SystemError> {
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
        let file = file.map_err(SystemError::of("create", path))?;
        self.files.push(path.to_path_buf());
        Ok(file)
    }

    /// A symbolic link.
    pub(super) fn link(&mut self, path: &Path, target: &Path) -> Result<(), SystemError> {
        std::os::unix::fs::symlink(target, path).map_err(SystemError::of("create", path))?;
        self.files.push(path.to_path_buf());
        Ok(())
    }

    /// A small file of this program's own.
    pub(super) fn file_of_ours(
        &mut self,
        path: &Path,
        content: &[u8],
        owner: Option<Owner>,
    ) -> Result<(), SystemError> {
        let mut file = self.create(path, 0o660)?;
        let written = file.write_all(content).and_then(|()| file.sync_all());
        written.map_err(SystemError::of("write", path))?;
        give(path, owner)
    }

    /// Mode, owner and time of a member whose content is complete.
    pub(super) fn finish(&self, member: &Member, place: &Path, places: &Places) -> Result<(), SystemError> {
        if member.kind == MemberKind::Directory && !self.directories.contains(place) {
            // It was there before, outside the data directory: it is not ours to change.
            return Ok(());
        }
        give(place, places.owner_of(member))?;
        if member.kind != MemberKind::Symlink {
            let mode = Permissions::from_mode(member.mode & 0o7777);
            fs::set_permissions(place, mode).map_err(SystemError::of("change the mode of", place))?;
        }
        let time = TimeSpec::new(member.mtime, i64::from(member.mtime_nsec));
        utimensat(nix::fcntl::AT_FDCWD, place, &time, &time, UtimensatFlags::NoFollowSymlink)
            .map_err(|errno| SystemError::of("set the time of", place)(errno.into()))
    }

    /// Hides the start file behind the placeholder.
    pub(super) fn guard(&mut self, places: &Places) -> Result<Guard, SystemError> {
        let Some(start) = places.start_file().map(Path::to_path_buf) else {
            return Ok(Guard { place: None });
        };
        if let Some(parent) = start.parent() {
            self.directory(parent, places.owner(), None)?;
        }
        let mut file = self.create(&start, 0o640)?;
        let written = file.write_all(PLACEHOLDER.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(SystemError::of("write", &start))?;
        Ok(Guard { place: Some((hidden(&start), start)) })
    }
}

/// The system tablespace under its hidden name.
pub(super) struct Guard {
    /// Hidden and final.
    place: Option<(PathBuf, PathBuf)>,
}

impl Guard {
    /// Where this file is written for now.
    pub(super) fn hidden_place(&self, place: &Path) -> PathBuf {
        match &self.place {
            Some((hidden, start)) if start == place => hidden.clone(),
            _ => place.to_path_buf(),
        }
    }

    /// Puts the file into its place: from here on mysqld can start.
    pub(super) fn publish(&self, created: &mut Created) -> Result<(), SystemError> {
        let Some((hidden, start)) = &self.place else { return Ok(()) };
        fs::rename(hidden, start).map_err(SystemError::of("put into place", start))?;
        created.files.retain(|file| file != hidden);
        let folder = start.parent().unwrap_or(Path::new("/"));
        let synced = File::open(folder).and_then(|handle| handle.sync_all());
        synced.map_err(SystemError::of("sync the folder of", start))
    }
}

fn hidden(start: &Path) -> PathBuf {
    let mut hidden = start.as_os_str().to_owned();
    hidden.push(HIDDEN_SUFFIX);
    hidden.into()
}

/// Whether an unfinished restore has left its mark in the place of this system tablespace.
pub(super) fn is_unfinished(start: &Path) -> bool {
    is_placeholder(start) || fs::symlink_metadata(hidden(start)).is_ok()
}

/// The placeholder is there before anything hidden is. It is cut short where the restore ended within its first
/// write.
fn is_placeholder(start: &Path) -> bool {
    let short =
        fs::metadata(start).is_ok_and(|data| data.is_file() && data.len() <= PLACEHOLDER.len() as u64);
    short && fs::read(start).is_ok_and(|content| PLACEHOLDER.as_bytes().starts_with(&content))
}

/// Everything on the file systems involved is durable after this.
pub(super) fn sync(external: &BTreeSet<PathBuf>, target: &Path) -> Result<(), SystemError> {
    for directory in external.iter().map(PathBuf::as_path).chain([target]) {
        let synced = File::open(directory).and_then(|handle| Ok(nix::unistd::syncfs(&handle)?));
        synced.map_err(SystemError::of("sync", directory))?;
    }
    Ok(())
}

/// The owner of a directory in which there is nothing.
fn owner_of_empty(path: &Path) -> Option<Owner> {
    let data = fs::metadata(path).ok()?;
    super::is_empty(path).unwrap_or(false).then(|| (data.uid(), data.gid()))
}

fn give(path: &Path, owner: Option<Owner>) -> Result<(), SystemError> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    lchown(path, Some(uid), Some(gid)).map_err(SystemError::of("change the owner of", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_placeholder_is_known_however_much_of_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ibdata1");
        for (content, known) in [
            (PLACEHOLDER, true),
            (&PLACEHOLDER[..20], true),
            ("", true),
            ("x", false),
            (&format!("{PLACEHOLDER}x"), false),
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(is_placeholder(&file), known, "{content:?}");
        }
        assert!(!is_placeholder(folder.path()) && !is_placeholder(&folder.path().join("missing")));
    }
}
