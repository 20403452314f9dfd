//! The folder in which a backup is prepared before it becomes a data directory.

use std::fs::{self, DirEntry, FileType};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::destinations::Destinations;
use super::error::SystemError;
use super::file_systems::let_go;
use super::no_follow;
use super::start_file::HIDDEN_SUFFIX;
use super::undo_log::UndoLog;
use crate::archive::is_about_the_backup;

/// Endings of files whose content decides where something is.
const DECIDES: [&str; 4] = ["ren", "del", "isl", "cnf"];
/// The most that is looked at of one, bytes.
const LONGEST: u64 = 64 << 10;

/// The word by which a file that decides about places leads out of the folder.
fn leads(path: &Path, content: &str) -> Option<String> {
    let is_out = |word: &str| Path::new(word).is_absolute() || word.split('/').any(|part| part == "..");
    let find = |mut words: Box<dyn Iterator<Item = String> + '_>| words.find(|word| is_out(word));
    match path.extension()?.to_str()? {
        "ren" | "del" => find(Box::new(content.lines().map(str::to_owned))),
        // Where a tablespace has such a file it is elsewhere, and no backup of this kind has one.
        "isl" => Some(content.trim().to_owned()),
        "cnf" => find(Box::new(content.lines().filter_map(|line| {
            let (name, value) = line.split_once('=')?;
            // Key files and plugins may be anywhere, and are only read.
            let is_place = ["innodb", "datadir", "tmpdir", "aria"].iter().any(|word| name.contains(word));
            is_place.then(|| value.trim().trim_matches(['"', '\'']).to_owned())
        }))),
        _ => None,
    }
}

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

    /// How many files are in it and below, and their lengths, bytes.
    pub(super) fn measure(&self) -> Result<(u64, u64), SystemError> {
        let (mut files, mut bytes) = (0, 0);
        self.find(|entry, _| {
            files += 1;
            bytes += entry.metadata().map_err(SystemError::of("look at", &entry.path()))?.len();
            Ok(None::<()>)
        })?;
        Ok((files, bytes))
    }

    /// What other programs have written here is on the disk after this and the sync of its file system.
    pub(super) fn sync(&self) -> Result<(), SystemError> {
        let sync_one = |entry: &DirEntry, kind: FileType| {
            let place = entry.path();
            if kind.is_file() {
                let file =
                    no_follow::file(&place, OFlag::O_RDONLY).map_err(SystemError::of("open", &place))?;
                let_go(file, &place)?;
            }
            Ok(None::<()>)
        };
        self.find(sync_one).map(drop)
    }

    /// The first answer to what is in it and below, and is no directory.
    fn find<T>(
        &self,
        mut ask: impl FnMut(&DirEntry, FileType) -> Result<Option<T>, SystemError>,
    ) -> Result<Option<T>, SystemError> {
        let mut folders = vec![self.path.clone()];
        while let Some(folder) = folders.pop() {
            let failed = SystemError::of("list", &folder);
            for entry in fs::read_dir(&folder).map_err(&failed)? {
                let entry = entry.map_err(&failed)?;
                let kind = entry.file_type().map_err(&failed)?;
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if let Some(answer) = ask(&entry, kind)? {
                    return Ok(Some(answer));
                }
            }
        }
        Ok(None)
    }

    /// What in it would lead a program that prepares it to a place outside: `mariadb-backup --prepare` renames and removes tablespaces by the content
    /// of files that end with `.ren` and `.del` (`prep_renames`, `prep_deletes` in `xtrabackup.cc`), opens tablespaces where a `.isl` says that
    /// they are, and InnoDB's directories by an option file. Whoever can write to the repository writes these files.
    pub(super) fn leads_out(&self) -> Result<Option<String>, SystemError> {
        self.find(|entry, kind| {
            let path = entry.path();
            let inside = path.strip_prefix(&self.path).unwrap_or(&path);
            let name = inside.display();
            if !kind.is_file() {
                return Ok(Some(format!("'{name}' in it is no regular file")));
            }
            let word = leads(inside, &Self::content(&path)?);
            Ok(word.map(|word| format!("'{name}' in it leads to '{}'", word.escape_debug())))
        })
    }

    /// Of a file that decides about places; nothing of others.
    fn content(path: &Path) -> Result<String, SystemError> {
        let decides = path.extension().is_some_and(|ending| DECIDES.iter().any(|one| ending == *one));
        if !decides {
            return Ok(String::new());
        }
        let failed = SystemError::of("read", path);
        let content = no_follow::read_file(path, LONGEST).map_err(&failed)?;
        Ok(String::from_utf8_lossy(&content).into_owned())
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
