//! One file that appears whole or not at all: temporary name, fsync, rename, fsync of the folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{ObjectWriter, StorageError};

/// Tells apart the temporary files of one process.
static SERIAL: AtomicU64 = AtomicU64::new(0);

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
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let temporary = folder.join(format!(".{file_name}.{}.{serial}.tmp", std::process::id()));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&temporary)
            .map_err(|cause| StorageError::new("create", temporary.display().to_string(), cause))?;
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
