//! A directory for tests in which something else happens than what was asked for: it fails, somebody else is at work, or it
//! has properties that a directory has not.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::{LocalStorage, ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageError, Unfinished};

/// What is about to be done with an object, a folder, or the storage itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Claim,
    List,
    Open,
    Read,
    Create,
    Write,
    Commit,
    Remove,
    FreeBytes,
}

/// What a test has its storage do besides.
pub(crate) trait Whims: Send + Sync {
    /// Called before each operation, with the name of the object or the folder (nothing where bytes are read or written);
    /// one that gives an error is not done.
    fn before(&self, operation: Operation, name: &str) -> io::Result<()>;

    /// See [`Storage::keeps_versions`].
    fn keeps_versions(&self) -> bool {
        false
    }

    /// See [`Storage::at_once`].
    fn at_once(&self) -> usize {
        1
    }

    /// Whether a writer that is dropped leaves what it has written, as one that was killed.
    fn leaves_remains(&self) -> bool {
        false
    }
}

/// A directory with the whims of a test, shared by its clones.
pub(crate) struct Whimsical<W> {
    inner: Arc<LocalStorage>,
    pub(crate) whims: Arc<W>,
}

impl<W> Clone for Whimsical<W> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), whims: Arc::clone(&self.whims) }
    }
}

impl<W: Whims> Whimsical<W> {
    pub(crate) fn new(root: impl AsRef<Path>, whims: W) -> Self {
        Self { inner: Arc::new(LocalStorage::new(root.as_ref())), whims: Arc::new(whims) }
    }

    fn before(&self, operation: Operation, name: &str) -> Result<(), StorageError> {
        let action = match operation {
            Operation::Claim | Operation::Create => "create",
            Operation::List => "list",
            Operation::Open => "open",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Commit => "sync",
            Operation::Remove => "remove",
            Operation::FreeBytes => "look at",
        };
        self.whims.before(operation, name).map_err(|cause| StorageError::new(action, name, cause))
    }
}

impl<W: Whims + 'static> Storage for Whimsical<W> {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.inner.probe()
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        self.before(Operation::Claim, folder)?;
        self.inner.claim(folder)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        self.inner.folders(folder)
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.before(Operation::List, folder)?;
        self.inner.objects(folder)
    }

    fn at_once(&self) -> usize {
        self.whims.at_once()
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        self.before(Operation::Open, name)?;
        Ok(Box::new(FailingReader { inner: self.inner.open(name)?, storage: self.clone() }))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.before(Operation::Create, name)?;
        Ok(Box::new(FailingWriter { inner: Some(self.inner.create(name)?), storage: self.clone() }))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.before(Operation::Remove, name)?;
        self.inner.remove(name)
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        self.before(Operation::Remove, folder)?;
        self.inner.remove_folder(folder)
    }

    fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        self.inner.unfinished(folder)
    }

    fn unfinished_below(&self, folder: &str) -> Result<Option<Vec<(String, Unfinished)>>, StorageError> {
        self.inner.unfinished_below(folder)
    }

    fn last_written(&self, folder: &str) -> Result<Option<Timestamp>, StorageError> {
        self.inner.last_written(folder)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.before(Operation::FreeBytes, "it")?;
        self.inner.free_bytes()
    }

    fn keeps_versions(&self) -> bool {
        self.whims.keeps_versions()
    }
}

struct FailingReader<W> {
    inner: Box<dyn ObjectReader>,
    storage: Whimsical<W>,
}

impl<W: Whims> Read for FailingReader<W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.storage.before(Operation::Read, "it").map_err(io::Error::other)?;
        self.inner.read(buffer)
    }
}

impl<W: Whims> Seek for FailingReader<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

struct FailingWriter<W: Whims> {
    inner: Option<Box<dyn ObjectWriter>>,
    storage: Whimsical<W>,
}

impl<W: Whims> Write for FailingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.storage.before(Operation::Write, "it").map_err(io::Error::other)?;
        self.inner.as_mut().expect("it was not committed").write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<W: Whims> ObjectWriter for FailingWriter<W> {
    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        self.storage.before(Operation::Commit, "it")?;
        self.inner.take().expect("it was not committed").commit()
    }
}

impl<W: Whims> Drop for FailingWriter<W> {
    fn drop(&mut self) {
        if self.storage.whims.leaves_remains()
            && let Some(inner) = self.inner.take()
        {
            std::mem::forget(inner);
        }
    }
}
