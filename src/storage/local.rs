//! A repository in a directory.
//!
//! An object is written as `.<name>.<pid>.<random>.tmp` beside its place, then: fsync of the file, rename,
//! fsync of the folder. A crash before the rename leaves a hidden temporary file, which no listing
//! shows; after it the object is whole. Folders are made durable the same way, from the root down.
//!
//! Whoever may write to the repository could lead what root does here to any place of the machine by a link in place of a
//! folder. So everything is done from the descriptor of a folder that was opened from the root down ([`open_folder`](super::open_folder)).

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;

use super::local_writer::{Belongs, LocalWriter, named_by};
use super::open_folder::{FolderEntry, ListedEntry, OpenFolder, UnknownEntry};
use super::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageError, Unfinished, missing_mount};

/// Backups hold everything that the server knows: only owner and group read them.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// Objects as files below one directory.
#[derive(Debug, Clone)]
pub struct LocalStorage {
    root: PathBuf,
}

impl LocalStorage {
    /// The repository below `root`, which is not touched yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where it is.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }

    /// Opens a folder, from the root down. `action` and `object` are what an error speaks of.
    fn folder(&self, name: &str, action: &'static str, object: &Path) -> Result<OpenFolder, StorageError> {
        let root = OpenFolder::open(&self.root)
            .map_err(|cause| StorageError::new(action, object.display().to_string(), cause))?;
        names(name).try_fold(root, |folder, name| folder.enter(name, action, object))
    }

    /// Opens the folder in which something is; and its name there.
    fn place<'a>(
        &self,
        name: &'a str,
        action: &'static str,
    ) -> Result<(OpenFolder, &'a OsStr), StorageError> {
        let (folder, last) = parent_and_last(name);
        let object = self.path(name);
        if matches!(last, "" | "." | "..") {
            return Err(StorageError::new(action, object.display().to_string(), Errno::EINVAL.into()));
        }
        Ok((self.folder(folder, action, &object)?, OsStr::new(last)))
    }

    /// Opens a folder that is made where it is not there, and so are those above it up to the root, each durable before
    /// the next. The place of the root must be there: a mistyped path or a missing mount is not filled with backups.
    fn made_folder(&self, name: &str) -> Result<OpenFolder, StorageError> {
        let failed = |path: &Path, cause| StorageError::new("create", path.display().to_string(), cause);
        missing_mount::check(&self.root).map_err(|cause| failed(&self.root, cause))?;
        let root = match OpenFolder::open(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match DirBuilder::new().mode(FOLDER_MODE).create(&self.root) {
                    Ok(()) => sync_above(&self.root)?,
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(cause) => return Err(failed(&self.root, cause)),
                }
                OpenFolder::open(&self.root)
            }
            root => root,
        };
        let root = root.map_err(|cause| failed(&self.root, cause))?;
        names(name).try_fold(root, |folder, name| {
            make(&folder, name)?;
            folder.enter(name, "create", &folder.path_of(OsStr::new(name)))
        })
    }

    /// Everything in a folder, with hidden ones; nothing where it is not there.
    fn all_entries(&self, name: &str) -> Result<Vec<ListedEntry>, StorageError> {
        let path = self.path(name);
        let listed = self.folder(name, "list", &path).and_then(|folder| {
            folder.entries().map_err(|cause| StorageError::new("list", path.display().to_string(), cause))
        });
        match listed {
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            listed => listed,
        }
    }

    /// The same without hidden ones: ours are temporary.
    fn entries(&self, name: &str) -> Result<Vec<ListedEntry>, StorageError> {
        let mut found = self.all_entries(name)?;
        found.retain(|(name, _)| !name.starts_with('.'));
        Ok(found)
    }

    /// The files among the entries of a folder. Where one of them may be a file and cannot be looked at, the answer would not be all.
    fn files(
        &self,
        folder: &str,
        entries: Vec<ListedEntry>,
    ) -> Result<Vec<(String, FolderEntry)>, StorageError> {
        let mut files = Vec::new();
        for (name, entry) in entries {
            match entry {
                Ok(entry) if entry.is_file => files.push((name, entry)),
                Err(unknown) if unknown.may_be_file() => {
                    let place = self.path(folder).join(&name).display().to_string();
                    return Err(StorageError::new("look at", place, unknown.cause));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(files)
    }
}

/// The names on the way to a folder.
fn names(folder: &str) -> impl Iterator<Item = &str> {
    folder.split('/').filter(|name| !name.is_empty())
}

/// The folder of a name, and the last part of it.
fn parent_and_last(name: &str) -> (&str, &str) {
    name.rsplit_once('/').unwrap_or(("", name))
}

/// Makes one folder, durably; false if it is there.
fn make(folder: &OpenFolder, name: &str) -> Result<bool, StorageError> {
    let path = folder.path_of(OsStr::new(name));
    match folder.new_folder(name, FOLDER_MODE) {
        Ok(true) => folder.sync().map(|()| true),
        Ok(false) => Ok(false),
        // A link is refused by its name.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            folder.enter(name, "create", &path).map(|_| false)
        }
        Err(cause) => Err(StorageError::new("create", path.display().to_string(), cause)),
    }
}

/// Makes the name of the root durable, in the folder that the administrator has chosen for it.
fn sync_above(root: &Path) -> Result<(), StorageError> {
    let above = match root.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    File::open(above)
        .and_then(|handle| handle.sync_all())
        .map_err(|cause| StorageError::new("fsync", above.display().to_string(), cause))
}

impl Storage for LocalStorage {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn probe(&self) -> Result<(), StorageError> {
        // Where a mount is missing, a directory that is not there is none that should be made.
        missing_mount::check(&self.root)
            .and_then(|()| fs::read_dir(&self.root))
            .map(drop)
            .map_err(|cause| StorageError::new("read the repository", self.location(), cause))
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        let (above, last) = parent_and_last(folder);
        make(&self.made_folder(above)?, last)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let entries = self.entries(folder)?.into_iter();
        // A link in place of a folder is one that cannot be read, and so may be what cannot be looked at: it is refused by its
        // name where somebody goes on, and is not a backup that nobody sees.
        let may_be = |entry: Result<FolderEntry, UnknownEntry>| match entry {
            Ok(entry) => entry.is_folder || entry.is_link,
            Err(unknown) => unknown.may_be_folder(),
        };
        Ok(entries.filter_map(|(name, entry)| may_be(entry).then_some(name)).collect())
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let files = self.files(folder, self.entries(folder)?)?;
        Ok(files
            .into_iter()
            .map(|(name, FolderEntry { bytes, written, .. })| ObjectInfo { name, bytes, modified: written })
            .collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        let fail = |cause| StorageError::new("open", self.path(name).display().to_string(), cause);
        let (folder, last) = self.place(name, "open")?;
        let file = folder.file(last).map_err(fail)?;
        let data = file.metadata().map_err(fail)?;
        if !data.is_file() && !data.is_dir() {
            return Err(fail(io::Error::other("it is not a file")));
        }
        Ok(Box::new(file))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StorageError> {
        let fail = |cause| StorageError::new("read", self.path(name).display().to_string(), cause);
        let (folder, last) = self.place(name, "read")?;
        let entry = folder.look(last).map_err(fail)?;
        if entry.is_folder {
            return Err(fail(Errno::EISDIR.into()));
        }
        // To open a pipe would wait for a process that writes into it.
        Ok(entry.is_file.then_some(entry.bytes))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let (folder, last) = self.place(name, "create")?;
        Ok(Box::new(LocalWriter::begin(folder, last, FILE_MODE, Belongs::ToFolder)?))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let removed = self.place(name, "remove").and_then(|(folder, last)| {
            folder
                .remove(last)
                .map_err(|cause| StorageError::new("remove", self.path(name).display().to_string(), cause))?;
            // Another process may remove the folder itself meanwhile.
            folder.sync()
        });
        match removed {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome,
        }
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        let removed = self.place(folder, "remove the folder").and_then(|(above, last)| {
            above.remove_folder(last)?;
            above.sync()
        });
        match removed {
            Err(error) if error.is_not_found() => Ok(()),
            outcome => outcome,
        }
    }

    fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        let mut entries = self.all_entries(folder)?;
        entries.retain(|(name, _)| named_by(name).is_some());
        Ok(self
            .files(folder, entries)?
            .into_iter()
            .map(|(name, entry)| Unfinished {
                name,
                upload: None,
                bytes: entry.bytes,
                modified: modified(&entry),
            })
            .collect())
    }

    fn last_written(&self, folder: &str) -> Result<Option<Timestamp>, StorageError> {
        let files = self.files(folder, self.all_entries(folder)?)?;
        Ok(files.iter().map(|(_, entry)| modified(entry)).max())
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        let existing = self.root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let stat = nix::sys::statvfs::statvfs(existing)
            .map_err(|errno| StorageError::new("look at", existing.display().to_string(), errno.into()))?;
        Ok(Some(stat.blocks_available().saturating_mul(stat.fragment_size())))
    }
}

/// When a file was last written. A time that cannot be told is the latest there is: nothing is removed for it.
fn modified(entry: &FolderEntry) -> Timestamp {
    entry.written.unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
#[path = "local_race_tests.rs"]
mod race_tests;
#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
