//! One file that appears whole or not at all: temporary name, fsync, rename, fsync of the folder.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};

use super::early_writeback::{EarlyWriteback, WrittenPages};
use super::open_folder::OpenFolder;
use super::{ObjectWriter, StorageError};

/// Names that are tried before a folder is taken to be odd.
const TRIES: usize = 8;

/// A hidden name for what will be `name`: `.<name>.<pid>.<random>.tmp`. The process id is for people. In containers it is
/// that of many processes, one after the other and at once, so what tells names apart is the random number.
pub(super) fn temporary_name(name: &OsStr) -> OsString {
    // The keys of a new state are the system's random numbers.
    let random = RandomState::new().build_hasher().finish();
    format!(".{}.{}.{random}.tmp", name.to_string_lossy(), std::process::id()).into()
}

/// The name that a temporary file would have got; none for a file that is none of ours.
pub(super) fn named_by(temporary: &str) -> Option<&str> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let inner = temporary.strip_prefix('.')?.strip_suffix(".tmp")?;
    let (rest, random) = inner.rsplit_once('.')?;
    let (name, pid) = rest.rsplit_once('.')?;
    (is_number(random) && is_number(pid) && !name.is_empty()).then_some(name)
}

/// Whose the file is when it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Belongs {
    /// To whoever writes it.
    ToWriter,
    /// Where root writes it, to the owner of the folder: no other user has it open before it is whole.
    ToFolder,
}

/// A file under its temporary name; dropped without commit it is removed.
pub(super) struct LocalWriter {
    pub(super) file: File,
    folder: OpenFolder,
    /// None once it is renamed.
    temporary: Option<OsString>,
    name: OsString,
    belongs: Belongs,
    early: EarlyWriteback,
}

impl LocalWriter {
    /// Begins a file that will have this name in the folder; the umask takes its bits from `mode`.
    pub(super) fn begin(
        folder: OpenFolder,
        name: &OsStr,
        mode: u32,
        belongs: Belongs,
    ) -> Result<Self, StorageError> {
        let mut tries = 0;
        let (file, temporary) = loop {
            tries += 1;
            let temporary = temporary_name(name);
            match folder.new_file(&temporary, mode) {
                Ok(file) => break (file, temporary),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && tries < TRIES => {}
                Err(cause) => {
                    let place = folder.path_of(&temporary).display().to_string();
                    return Err(StorageError::new("create", place, cause));
                }
            }
        };
        let early = EarlyWriteback::new(WrittenPages::Dropped);
        Ok(Self { file, folder, temporary: Some(temporary), name: name.to_owned(), belongs, early })
    }

    /// The folder in which it is.
    pub(super) fn folder(&self) -> &OpenFolder {
        &self.folder
    }

    fn place(&self) -> String {
        self.folder.path_of(&self.name).display().to_string()
    }

    /// Lets it have its name, durably.
    pub(super) fn publish(&mut self) -> Result<(), StorageError> {
        let failed = |action, cause| StorageError::new(action, self.place(), cause);
        if self.belongs == Belongs::ToFolder {
            self.folder.give_to_owner(&self.file);
        }
        self.file.sync_all().map_err(|cause| failed("fsync", cause))?;
        if let Some(temporary) = &self.temporary {
            self.folder.rename(temporary, &self.name).map_err(|cause| failed("rename to", cause))?;
        }
        self.temporary = None;
        self.folder.sync()
    }
}

impl Write for LocalWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self
            .file
            .write(buffer)
            .map_err(|cause| io::Error::new(cause.kind(), StorageError::new("write", self.place(), cause)))?;
        self.early.wrote(&self.file, written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ObjectWriter for LocalWriter {
    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        self.publish()
    }
}

impl Drop for LocalWriter {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary
            && let Err(error) = self.folder.remove(temporary)
        {
            log::warn!("cannot remove '{}': {error}", self.folder.path_of(temporary).display());
        }
    }
}
