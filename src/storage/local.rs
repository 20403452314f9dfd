//! A repository in a directory.
//!
//! An object is written as `.<name>.<pid>.<random>.tmp` beside its place, then: fsync of the file, rename,
//! fsync of the folder. A crash before the rename leaves a hidden temporary file, which no listing
//! shows; after it the object is whole. Folders are made durable the same way, from the root down.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::local_writer::{LocalWriter, named_by, sync_folder};
use super::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageError, Unfinished};

/// Backups hold everything that the server knows: nobody but owner and group reads them.
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

    fn path(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.root.clone() } else { self.root.join(name) }
    }

    /// The place of an object, of which no folder below the root is a symbolic link: whoever may write to the
    /// repository could lead what root does here to any place of the machine.
    fn place(&self, name: &str) -> Result<PathBuf, StorageError> {
        let path = self.path(name);
        let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.root));
        folders.filter(|folder| *folder != self.root).try_for_each(refuse_link)?;
        Ok(path)
    }

    /// The place of a folder, which is no link either.
    fn folder(&self, name: &str) -> Result<PathBuf, StorageError> {
        let path = self.place(name)?;
        if path != self.root {
            refuse_link(&path)?;
        }
        Ok(path)
    }

    /// Creates a folder and those above it up to the root, each durable before the next. The place of
    /// the root must be there: a mistyped path or a missing mount is not filled with backups.
    fn create_folders(&self, folder: &Path) -> Result<(), StorageError> {
        if folder.is_dir() {
            return if folder == self.root { Ok(()) } else { refuse_link(folder) };
        }
        let parent = folder.parent().unwrap_or(Path::new("/"));
        if folder != self.root {
            self.create_folders(parent)?;
        }
        make_folder(folder).map(|_| ())
    }
}

fn refuse_link(path: &Path) -> Result<(), StorageError> {
    match fs::symlink_metadata(path) {
        Ok(data) if data.is_symlink() => {
            let cause = io::Error::other("it is a symbolic link, and nothing in a repository is one");
            Err(StorageError::new("use", path.display().to_string(), cause))
        }
        _ => Ok(()),
    }
}

/// Makes one folder; false if it is there.
fn make_folder(folder: &Path) -> Result<bool, StorageError> {
    let fail = |cause| StorageError::new("create", folder.display().to_string(), cause);
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => {
            sync_folder(folder.parent().unwrap_or(Path::new("/")))?;
            Ok(true)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => {
            refuse_link(folder).map(|()| false)
        }
        Err(error) => Err(fail(error)),
    }
}

/// What root writes belongs to the owner of the folder: a donor, which is not root, reads and replaces what the
/// commands of an administrator leave beside its backups. Where that is refused (NFS) it stays as it is.
fn give_to_owner(file: &File, folder: &Path) {
    if nix::unistd::geteuid().is_root()
        && let Ok(owner) = fs::symlink_metadata(folder)
        && owner.is_dir()
    {
        let _ = std::os::unix::fs::fchown(file, Some(owner.uid()), Some(owner.gid()));
    }
}

impl Storage for LocalStorage {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn probe(&self) -> Result<(), StorageError> {
        fs::read_dir(&self.root)
            .map(|_| ())
            .map_err(|cause| StorageError::new("read the repository", self.location(), cause))
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        let folder = self.place(folder)?;
        self.create_folders(folder.parent().unwrap_or(&self.root))?;
        make_folder(&folder)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        Ok(entries(&self.folder(folder)?)?
            .into_iter()
            .filter(|(_, data)| data.is_dir())
            .map(|(name, _)| name)
            .collect())
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        Ok(entries(&self.folder(folder)?)?
            .into_iter()
            .filter(|(_, data)| data.is_file())
            .map(|(name, data)| ObjectInfo { name, bytes: data.len(), modified: time_of(&data) })
            .collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        let path = self.place(name)?;
        let fail = |cause| StorageError::new("open", path.display().to_string(), cause);
        // A pipe would be waited for, and a device may do anything when it is opened.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
            .open(&path)
            .map_err(fail)?;
        let data = file.metadata().map_err(fail)?;
        if !data.is_file() && !data.is_dir() {
            return Err(fail(io::Error::other("it is not a file")));
        }
        Ok(Box::new(file))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StorageError> {
        let path = self.place(name)?;
        let fail = |cause| StorageError::new("read", path.display().to_string(), cause);
        let data = fs::symlink_metadata(&path).map_err(fail)?;
        if data.is_dir() {
            return Err(fail(Errno::EISDIR.into()));
        }
        // To open a pipe would wait for somebody who writes into it.
        Ok(data.is_file().then_some(data.len()))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let writer = LocalWriter::begin(&self.place(name)?, FILE_MODE)?;
        give_to_owner(&writer.file, &writer.folder);
        Ok(Box::new(writer))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.place(name)?;
        match fs::remove_file(&path) {
            // Somebody else may remove the folder itself meanwhile.
            Ok(()) => match sync_folder(path.parent().unwrap_or(&self.root)) {
                Err(error) if error.is_not_found() => Ok(()),
                outcome => outcome,
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(StorageError::new("remove", path.display().to_string(), cause)),
        }
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        let path = self.folder(folder)?;
        match fs::remove_dir(&path) {
            Ok(()) => sync_folder(path.parent().unwrap_or(&self.root)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(StorageError::new("remove the folder", path.display().to_string(), cause)),
        }
    }

    fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        let mut found = Vec::new();
        for (name, data) in all_entries(&self.folder(folder)?)? {
            if data.is_file() && named_by(&name).is_some() {
                found.push(Unfinished { name, upload: None, bytes: data.len(), modified: modified(&data) });
            }
        }
        Ok(found)
    }

    fn last_written(&self, folder: &str) -> Result<Option<Timestamp>, StorageError> {
        let entries = all_entries(&self.folder(folder)?)?;
        Ok(entries.iter().filter(|(_, data)| data.is_file()).map(|(_, data)| modified(data)).max())
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        let existing = self.root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let stat = nix::sys::statvfs::statvfs(existing)
            .map_err(|errno| StorageError::new("look at", existing.display().to_string(), errno.into()))?;
        Ok(Some(stat.blocks_available().saturating_mul(stat.fragment_size())))
    }
}

/// When a file was last written, where that can be told.
fn time_of(data: &fs::Metadata) -> Option<Timestamp> {
    data.modified().ok().and_then(|time| Timestamp::try_from(time).ok())
}

/// The same. A time that cannot be told is the latest there is: nothing is removed for it.
fn modified(data: &fs::Metadata) -> Timestamp {
    time_of(data).unwrap_or(Timestamp::MAX)
}

/// Names and kinds in a folder, without hidden ones (ours are temporary), sorted.
fn entries(folder: &Path) -> Result<Vec<(String, fs::Metadata)>, StorageError> {
    let mut found = all_entries(folder)?;
    found.retain(|(name, _)| !name.starts_with('.'));
    Ok(found)
}

/// The same with hidden ones. A link is neither file nor folder.
fn all_entries(folder: &Path) -> Result<Vec<(String, fs::Metadata)>, StorageError> {
    let fail = |cause| StorageError::new("list", folder.display().to_string(), cause);
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut found = Vec::new();
    for entry in listing {
        let entry = entry.map_err(fail)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        // Another process may remove it between the two calls.
        if let Ok(data) = entry.metadata() {
            found.push((name, data));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn hidden(folder: &Path) -> usize {
        fs::read_dir(folder)
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'))
            .count()
    }

    #[test]
    fn an_object_appears_at_commit_and_an_abandoned_one_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(folder.path().join("a"));
        assert!(storage.create("c/id/x").err().unwrap().is_not_found());
        storage.claim("c/id").unwrap();
        let mut object = storage.create("c/id/x").unwrap();
        object.write_all(b"half").unwrap();
        assert_eq!(storage.objects("c/id").unwrap(), []);
        drop(object);
        assert_eq!(hidden(&folder.path().join("a/c/id")), 0);
        storage.put("c/id/x", b"whole").unwrap();
        storage.put("c/id/x", b"again").unwrap();
        let found = storage.objects("c/id").unwrap();
        assert_eq!((found.len(), found[0].name.as_str(), found[0].bytes), (1, "x", 5));
        assert_eq!(storage.read_small("c/id/x", 5).unwrap(), b"again");
        assert!(storage.read_small("c/id/x", 4).unwrap_err().to_string().contains("larger than 4"));
        let mode = fs::metadata(folder.path().join("a/c/id/x")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, FILE_MODE);
        storage.remove("c/id/x").unwrap();
        storage.remove("c/id/x").unwrap();
        assert!(storage.open("c/id/x").err().unwrap().is_not_found());
    }

    #[test]
    fn what_is_not_committed_is_found_and_a_folder_goes_when_it_is_empty() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(folder.path());
        storage.claim("c/id").unwrap();
        assert_eq!(storage.last_written("c/id").unwrap(), None);
        let mut object = storage.create("c/id/backup.tar").unwrap();
        object.write_all(b"half").unwrap();
        for other in [".tmp", "..1.2.tmp", ".x.1.tmp", ".x.1.b.tmp", "x.1.2.tmp", ".nfs0001", ".x.1..tmp"] {
            fs::write(folder.path().join("c/id").join(other), "").unwrap();
        }
        fs::create_dir(folder.path().join("c/id/.x.1.2.tmp")).unwrap();
        let found = storage.unfinished("c/id").unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].name.starts_with(".backup.tar."), found[0].bytes), (true, 4));
        assert!(storage.last_written("c/id").unwrap().is_some_and(|time| time >= found[0].modified));
        assert!(storage.remove_folder("c/id").unwrap_err().to_string().contains("cannot remove the folder"));
        assert_eq!(storage.unfinished_below("").unwrap(), None);
        storage.discard("c/id", &found[0]).unwrap();
        assert_eq!(storage.unfinished("c/id").unwrap(), []);
        assert_eq!(storage.unfinished("c/none").unwrap(), []);
        drop(object);
        storage.claim("c/empty").unwrap();
        storage.remove_folder("c/empty").unwrap();
        storage.remove_folder("c/empty").unwrap();
        assert_eq!(storage.folders("c").unwrap(), ["id"]);
    }

    #[test]
    fn a_folder_is_claimed_once() {
        let folder = tempfile::tempdir().unwrap();
        let storage = LocalStorage::new(folder.path().join("repository"));
        assert_eq!(storage.folders("").unwrap(), Vec::<String>::new());
        assert!(storage.claim("c/one").unwrap());
        assert!(!storage.claim("c/one").unwrap());
        assert!(storage.claim("c/two").unwrap());
        assert_eq!(storage.folders("c").unwrap(), ["one", "two"]);
    }

    #[test]
    fn nothing_is_read_written_or_removed_through_a_link_and_no_pipe_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (root, other) = (folder.path().join("repository"), folder.path().join("other"));
        for place in [&root, &other, &root.join("c"), &root.join("c/id")] {
            fs::create_dir(place).unwrap();
        }
        fs::write(other.join("secret"), "x").unwrap();
        std::os::unix::fs::symlink(&other, root.join("link")).unwrap();
        std::os::unix::fs::symlink(&other, root.join("c/link")).unwrap();
        std::os::unix::fs::symlink(other.join("secret"), root.join("c/id/status.json")).unwrap();
        nix::unistd::mkfifo(&root.join("c/id/hold.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let storage = LocalStorage::new(&root);
        assert_eq!(storage.folders("").unwrap(), ["c"]);
        assert_eq!(storage.folders("c").unwrap(), ["id"]);
        assert_eq!(storage.objects("c/id").unwrap(), []);
        for name in ["link/secret", "c/link/secret", "c/id/status.json", "c/id/hold.json"] {
            assert!(storage.read_small(name, 10).is_err(), "{name}");
        }
        assert!(storage.put("c/link/new", b"x").is_err() && storage.put("link/new", b"x").is_err());
        assert!(storage.claim("c/link").is_err() && storage.claim("link/id").is_err());
        assert!(storage.remove("c/link/secret").is_err() && storage.remove("link/secret").is_err());
        assert!(storage.remove_folder("c/link").is_err() && storage.objects("c/link").is_err());
        assert_eq!(fs::read_dir(&other).unwrap().count(), 1);
        assert_eq!(fs::read(other.join("secret")).unwrap(), b"x");
    }

    #[test]
    fn errors_name_the_thing_and_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let storage = LocalStorage::new(folder.path().join("file"));
        let error = storage.claim("c/id").unwrap_err().to_string();
        assert!(error.contains("/file") && error.contains("cannot create"), "{error}");
    }
}
