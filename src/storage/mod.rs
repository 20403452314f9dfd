//! Where backups are kept: objects with names, and nothing about what is in them.
//!
//! A name is `cluster/id/file`; an object appears whole or not at all, and what [`ObjectWriter::commit`]
//! has returned for survives a power cut.

mod error;
mod local;

use std::io::{Read, Write};

pub use error::StorageError;
pub use local::LocalStorage;

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its last name component.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// An object being written. Dropping it without commit removes every trace of it.
pub trait ObjectWriter: Write + Send {
    /// Makes the bytes durable, then visible under their name, then that name durable.
    fn commit(self: Box<Self>) -> Result<(), StorageError>;
}

/// A repository of objects.
pub trait Storage: Send + Sync {
    /// How the configuration names it.
    fn location(&self) -> String;

    /// Takes a new folder for one backup; false if it is there already. Two donors that ask for the
    /// same one at the same time do not both get true.
    fn claim(&self, folder: &str) -> Result<bool, StorageError>;

    /// Names of the folders directly in `folder` (`""` is the root), sorted. A missing folder is empty.
    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError>;

    /// The committed objects directly in `folder`, sorted by name. A missing folder is empty.
    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError>;

    /// Reads an object from its first byte.
    fn open(&self, name: &str) -> Result<Box<dyn Read + Send>, StorageError>;

    /// Starts an object.
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError>;

    /// Removes an object; one that is not there is no error.
    fn remove(&self, name: &str) -> Result<(), StorageError>;

    /// Bytes that can still be stored, where that can be known.
    fn free_bytes(&self) -> Result<Option<u64>, StorageError>;

    /// A whole small object; one larger than `limit` bytes is refused.
    fn read_small(&self, name: &str, limit: u64) -> Result<Vec<u8>, StorageError> {
        let mut bytes = Vec::new();
        let mut object = self.open(name)?.take(limit + 1);
        object.read_to_end(&mut bytes).map_err(|cause| StorageError::new("read", name, cause))?;
        if bytes.len() as u64 > limit {
            let cause = std::io::Error::other(format!("it is larger than {limit} bytes"));
            return Err(StorageError::new("read", name, cause));
        }
        Ok(bytes)
    }

    /// Writes a whole small object, replacing an older one in one step.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        let mut object = self.create(name)?;
        object.write_all(bytes).map_err(|cause| StorageError::new("write", name, cause))?;
        object.commit()
    }
}
