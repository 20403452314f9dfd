//! One file that appears whole or not at all: temporary name, fsync, rename, fsync of the folder.

use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{ObjectWriter, StorageError};

/// Names that are tried before a folder is taken to be odd.
const TRIES: usize = 8;

/// A hidden name for what will be `name`: `.<name>.<pid>.<random>.tmp`. The process id is for people. In containers it is
/// that of many processes, one after the other and at once, so what tells names apart is the random number.
pub(super) fn temporary_name(name: &str) -> String {
    // The keys of a new state are the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    format!(".{name}.{}.{random}.tmp", std::process::id())
}

/// The name that a temporary file would have got; none for a file that is none of ours.
pub(super) fn named_by(temporary: &str) -> Option<&str> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let inner = temporary.strip_prefix('.')?.strip_suffix(".tmp")?;
    let (rest, random) = inner.rsplit_once('.')?;
    let (name, pid) = rest.rsplit_once('.')?;
    (is_number(random) && is_number(pid) && !name.is_empty()).then_some(name)
}

/// A file under its temporary name; dropped without commit it is removed.
pub(super) struct LocalWriter {
    pub(super) file: File,
    pub(super) folder: PathBuf,
    /// None once it is renamed.
    temporary: Option<PathBuf>,
    path: PathBuf,
}

impl LocalWriter {
    /// Begins a file beside `path`; the umask takes its bits from `mode`.
    pub(super) fn begin(path: &Path, mode: u32) -> Result<Self, StorageError> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) => Path::new("."),
            None => Path::new("/"),
        };
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let mut tries = 0;
        let (file, temporary) = loop {
            tries += 1;
            let temporary = folder.join(temporary_name(&file_name));
            match OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary) {
                Ok(file) => break (file, temporary),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {}
                Err(cause) => {
                    return Err(StorageError::new("create", temporary.display().to_string(), cause));
                }
            }
        };
        Ok(Self { file, folder: folder.to_owned(), temporary: Some(temporary), path: path.to_owned() })
    }
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

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> Result<(), StorageError> {
    File::open(folder)
        .and_then(|handle| handle.sync_all())
        .map_err(|cause| StorageError::new("fsync", folder.display().to_string(), cause))
}
