//! A repository in a directory.
//!
//! An object is written as `.<name>.<pid>.<n>.tmp` beside its place, then: fsync of the file, rename,
//! fsync of the folder. A crash before the rename leaves a hidden temporary file, which no listing
//! shows; after it the object is whole. Folders are made durable the same way, from the root down.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ObjectInfo, ObjectWriter, Storage, StorageError};

/// Backups hold everything that the server knows: nobody but owner and group reads them.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;

/// Tells apart the temporary files of one process.
static SERIAL: AtomicU64 = AtomicU64::new(0);

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

    /// Creates a folder and those above it up to the root, each durable before the next. The place of
    /// the root must be there: a mistyped path or a missing mount is not filled with backups.
    fn create_folders(&self, folder: &Path) -> Result<(), StorageError> {
        if folder.is_dir() {
            return Ok(());
        }
        let parent = folder.parent().unwrap_or(Path::new("/"));
        if folder != self.root {
            self.create_folders(parent)?;
        }
        make_folder(folder).map(|_| ())
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
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(false),
        Err(error) => Err(fail(error)),
    }
}

fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|cause| StorageError::new("fsync", folder.display().to_string(), cause))
}

impl Storage for LocalStorage {
    fn location(&self) -> String {
        self.root.display().to_string()
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        let folder = self.path(folder);
        self.create_folders(folder.parent().unwrap_or(&self.root))?;
        make_folder(&folder)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        Ok(entries(&self.path(folder))?
            .into_iter()
            .filter(|(_, data)| data.is_dir())
            .map(|(name, _)| name)
            .collect())
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        Ok(entries(&self.path(folder))?
            .into_iter()
            .filter(|(_, data)| data.is_file())
            .map(|(name, data)| ObjectInfo { name, bytes: data.len() })
            .collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read + Send>, StorageError> {
        let path = self.path(name);
        let file = File::open(&path)
            .map_err(|cause| StorageError::new("open", path.display().to_string(), cause))?;
        Ok(Box::new(file))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let path = self.path(name);
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        self.create_folders(&folder)?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".{file_name}.{}.{serial}.tmp", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&temporary)
            .map_err(|cause| StorageError::new("create", temporary.display().to_string(), cause))?;
        Ok(Box::new(LocalWriter { file, folder, temporary: Some(temporary), path }))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(path.parent().unwrap_or(&self.root)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(StorageError::new("remove", path.display().to_string(), cause)),
        }
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        let existing = self.root.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let stat = nix::sys::statvfs::statvfs(existing)
            .map_err(|errno| StorageError::new("look at", existing.display().to_string(), errno.into()))?;
        Ok(Some(stat.blocks_available().saturating_mul(stat.fragment_size())))
    }
}

/// Names and kinds in a folder, without hidden ones (ours are temporary), sorted.
fn entries(folder: &Path) -> Result<Vec<(String, fs::Metadata)>, StorageError> {
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
        if name.starts_with('.') {
            continue;
        }
        // Another process may remove it between the two calls.
        if let Ok(data) = fs::metadata(entry.path()) {
            found.push((name, data));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}

struct LocalWriter {
    file: File,
    folder: PathBuf,
    /// None once it is renamed.
    temporary: Option<PathBuf>,
    path: PathBuf,
}

impl Write for LocalWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer).map_err(|cause| {
            io::Error::new(cause.kind(), StorageError::new("write", self.path.display().to_string(), cause))
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ObjectWriter for LocalWriter {
    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        let name = self.path.display().to_string();
        self.file.sync_all().map_err(|cause| StorageError::new("fsync", &name, cause))?;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.path)
                .map_err(|cause| StorageError::new("rename to", &name, cause))?;
        }
        self.temporary = None;
        sync_folder(&self.folder)
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary
            && let Err(error) = fs::remove_file(temporary)
        {
            log::warn!("cannot remove '{}': {error}", temporary.display());
        }
    }
}

#[cfg(test)]
mod tests {
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
        let mut object = storage.create("c/id/x").unwrap();
        object.write_all(b"half").unwrap();
        assert_eq!(storage.objects("c/id").unwrap(), []);
        drop(object);
        assert_eq!(hidden(&folder.path().join("a/c/id")), 0);
        storage.put("c/id/x", b"whole").unwrap();
        storage.put("c/id/x", b"again").unwrap();
        assert_eq!(storage.objects("c/id").unwrap(), [ObjectInfo { name: "x".into(), bytes: 5 }]);
        assert_eq!(storage.read_small("c/id/x", 5).unwrap(), b"again");
        assert!(storage.read_small("c/id/x", 4).unwrap_err().to_string().contains("larger than 4"));
        let mode = fs::metadata(folder.path().join("a/c/id/x")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, FILE_MODE);
        storage.remove("c/id/x").unwrap();
        storage.remove("c/id/x").unwrap();
        assert!(storage.open("c/id/x").err().unwrap().is_not_found());
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
    fn errors_name_the_thing_and_the_cause() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let storage = LocalStorage::new(folder.path().join("file"));
        let error = storage.claim("c/id").unwrap_err().to_string();
        assert!(error.contains("/file") && error.contains("cannot create"), "{error}");
    }
}
