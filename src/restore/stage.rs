//! The folder in which a backup is prepared before it becomes a data directory.

use std::fs;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::destinations::Destinations;
use super::error::SystemError;
use super::no_follow;
use super::start_file::HIDDEN_SUFFIX;
use super::undo_log::UndoLog;
use crate::archive::is_about_the_backup;

/// It exists, and is held open.
pub(super) struct StagingFolder {
    path: PathBuf,
    folder: OwnedFd,
}

impl StagingFolder {
    /// Makes it below the target, of the data's owner.
    pub(super) fn make(created: &mut UndoLog, places: &Destinations) -> Result<Self, SystemError> {
        let path = places.target().join(HIDDEN_SUFFIX);
        created.tree(&path, places.owner())?;
        let folder = no_follow::directory(&path).map_err(SystemError::of("open", &path))?;
        Ok(Self { path, folder })
    }

    /// The folder.
    pub(super) fn handle(&self) -> &OwnedFd {
        &self.folder
    }

    /// Removes a file that need not be there.
    pub(super) fn remove(&self, name: &str) -> Result<(), SystemError> {
        match unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(nix::errno::Errno::ENOENT) => Ok(()),
            Err(errno) => Err(SystemError::of("remove", &self.path.join(name))(errno.into())),
        }
    }

    /// The beginning of a small file.
    pub(super) fn read(&self, name: &str, limit: u64) -> Option<String> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = fs::File::from(openat(&self.folder, name, flags, Mode::empty()).ok()?);
        let mut text = String::new();
        file.metadata().ok()?.is_file().then(|| file.take(limit).read_to_string(&mut text).ok())??;
        Some(text)
    }

    /// What is in it: names, and whether each is a directory.
    fn entries(&self) -> Result<Vec<(PathBuf, bool)>, SystemError> {
        let failed = SystemError::of("list", &self.path);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            entries.push((entry.file_name().into(), entry.file_type().map_err(&failed)?.is_dir()));
        }
        entries.sort();
        Ok(entries)
    }

    /// What mariadb-backup has written for itself is no part of a server.
    pub(super) fn remove_what_is_about_the_backup(&self) -> Result<(), SystemError> {
        for (name, is_directory) in self.entries()? {
            if !is_directory && is_about_the_backup(name.as_os_str().as_bytes()) {
                self.remove(&name.to_string_lossy())?;
            }
        }
        Ok(())
    }

    /// The index of the binary logs that came along, which it leaves out: without one the server would not know of them, nor of
    /// the GTIDs in them. `base` is the donor's `log_bin_basename`.
    pub(super) fn binlogs(&self, base: Option<&str>) -> Result<Option<(String, String)>, SystemError> {
        let Some(base) = base.and_then(|base| Path::new(base).file_name()).and_then(|base| base.to_str())
        else {
            return Ok(None);
        };
        let is_log = |name: &Path| {
            let rest = name.to_str().and_then(|name| name.strip_prefix(base)?.strip_prefix('.'));
            rest.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let logs: Vec<String> = self
            .entries()?
            .into_iter()
            .filter(|(name, is_directory)| !is_directory && is_log(name))
            .map(|(name, _)| format!("./{}\n", name.display()))
            .collect();
        Ok((!logs.is_empty()).then(|| (format!("{base}.index"), logs.concat())))
    }

    /// Moves everything to the target, the start file to its hidden place; false where there is none. The folder goes.
    pub(super) fn become_datadir(
        self,
        created: &mut UndoLog,
        places: &Destinations,
        start: &Path,
        hidden: &Path,
    ) -> Result<bool, SystemError> {
        let target = places.target();
        let into = no_follow::directory(target).map_err(SystemError::of("open", target))?;
        let mut has_start = false;
        for (name, is_directory) in self.entries()? {
            let place = target.join(&name);
            let place = if place == start {
                has_start = true;
                hidden.to_path_buf()
            } else {
                place
            };
            let failed = SystemError::of("put into place", &place);
            if fs::symlink_metadata(&place).is_ok() {
                return Err(failed(io::ErrorKind::AlreadyExists.into()));
            }
            renameat(&self.folder, &name, &into, place.file_name().unwrap_or_default())
                .map_err(|errno| failed(errno.into()))?;
            created.has_come(&place, is_directory);
        }
        unlinkat(&into, HIDDEN_SUFFIX, UnlinkatFlags::RemoveDir)
            .map_err(|errno| SystemError::of("remove", &self.path)(errno.into()))?;
        created.has_moved(&self.path);
        Ok(has_start)
    }
}
