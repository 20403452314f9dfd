//! Where backups are kept: objects with names, and nothing about what is in them.
//!
//! A name is `cluster/id/file`; an object appears whole or not at all, and what [`ObjectWriter::commit`]
//! has returned for survives a power cut.

mod at_once;
mod early_writeback;
mod error;
mod interruptible;
mod limited;
mod local;
mod local_writer;
mod missing_mount;
mod open;
mod open_folder;
mod pulse;
mod replace;
mod s3;
#[cfg(test)]
pub(crate) mod testing;
mod watched;

use std::io::{Read, Seek, SeekFrom, Write};

use jiff::Timestamp;

pub use at_once::at_once;
pub(crate) use early_writeback::{EarlyWriteback, WrittenPages};
pub use error::{StorageError, is_unreadable};
pub use interruptible::Interruptible;
pub use limited::Limited;
pub use local::LocalStorage;
pub use open::{open, open_as};
pub(crate) use open_folder::{DIRECTORY_HANDLE, EnterError, enter};
pub use pulse::Pulse;
pub use replace::{Mode, replace_file};
pub use s3::{KeyRights, S3Storage};
pub use watched::{Activity, InFlight, Watched};

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its last name component.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, by the clock of the storage; none where that is not known.
    pub modified: Option<Timestamp>,
}

/// The objects of a folder, or why they are not known.
pub type FolderList = Result<Vec<ObjectInfo>, StorageError>;

/// An object that a writer has begun and not committed; its writer may be gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its name in the folder. That of an upload is the name of the object that it would have become, which may be there.
    pub name: String,
    /// The upload, where it is one (S3): what tells it apart from the object and from other uploads.
    pub upload: Option<String>,
    /// Its size; 0 where that cannot be told.
    pub bytes: u64,
    /// When it was last written, or, where it is an upload, when that was begun; by the clock of the storage.
    pub modified: Timestamp,
}

/// What a storage still has of objects that were overwritten or removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Versions {
    /// Versions that are no object's newest.
    pub count: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Marks that say that an object was removed, under which its versions lie.
    pub marks: usize,
    /// There are more than were looked at.
    pub more: bool,
}

/// An object being read, at its first byte when it is opened. To seek costs nothing until the next read.
pub trait ObjectReader: Read + Seek + Send {}

impl<T: Read + Seek + Send> ObjectReader for T {}

/// An object being written. Dropping it without commit removes every trace of it.
pub trait ObjectWriter: Write + Send {
    /// Makes the bytes durable, then visible under their name, then that name durable.
    fn commit(self: Box<Self>) -> Result<(), StorageError>;
}

/// A repository of objects.
pub trait Storage: Send + Sync {
    /// How the configuration names it.
    fn location(&self) -> String;

    /// Whether the repository is there and can be read; to the listings a missing one is empty.
    fn probe(&self) -> Result<(), StorageError>;

    /// Takes a new folder for one backup; false if it is there already. Two donors that ask for the
    /// same one at the same time do not both get true.
    fn claim(&self, folder: &str) -> Result<bool, StorageError>;

    /// Names of the folders directly in `folder` (`""` is the root), sorted. A missing folder is empty.
    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError>;

    /// The committed objects directly in `folder`, sorted by name. A missing folder is empty.
    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError>;

    /// What [`Storage::objects`] says of each of these folders in `folder`. A storage that can tell many of them in one answer does.
    fn objects_of(&self, folder: &str, names: &[String]) -> Result<Vec<FolderList>, StorageError> {
        Ok(names.iter().map(|name| self.objects(&format!("{folder}/{name}"))).collect())
    }

    /// How many small requests are best under way at once: more than one where each takes a round trip.
    fn at_once(&self) -> usize {
        1
    }

    /// Opens an object.
    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError>;

    /// The size of an object that need not be in any list yet; none where its name is that of something else.
    fn size(&self, name: &str) -> Result<Option<u64>, StorageError> {
        let failed = |cause| StorageError::new("read", format!("{}/{name}", self.location()), cause);
        let mut object = self.open(name)?;
        object.read(&mut [0; 1]).map_err(failed)?;
        object.seek(SeekFrom::End(0)).map(Some).map_err(failed)
    }

    /// Starts an object in a folder that is there ([`Storage::claim`]): one that has vanished under a backup
    /// is not made anew, or a manifest might stand in it alone.
    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError>;

    /// The same for an object that may get up to `at_most` bytes. A storage that cannot take so many refuses.
    fn create_large(&self, name: &str, at_most: u64) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let _ = at_most;
        self.create(name)
    }

    /// Removes an object; one that is not there is no error.
    fn remove(&self, name: &str) -> Result<(), StorageError>;

    /// Removes a folder that is empty; one that is not there is no error. Where folders are only a part of names there
    /// is nothing to do.
    fn remove_folder(&self, _folder: &str) -> Result<(), StorageError> {
        Ok(())
    }

    /// What writers have begun in this folder and not committed, sorted by name. Nothing where a storage cannot have
    /// such remains, or does not show them.
    fn unfinished(&self, _folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        Ok(Vec::new())
    }

    /// The same with all folders below this one, each named with its folder, where the storage can tell at once: also
    /// of folders that are not there otherwise. None where every folder has to be looked at by itself.
    fn unfinished_below(&self, _folder: &str) -> Result<Option<Vec<(String, Unfinished)>>, StorageError> {
        Ok(None)
    }

    /// Removes what [`Storage::unfinished`] has found in this folder; what is not there any more is no error.
    fn discard(&self, folder: &str, unfinished: &Unfinished) -> Result<(), StorageError> {
        self.remove(&format!("{folder}/{}", unfinished.name))
    }

    /// When anything directly in this folder was last written, by the clock of the storage; none where that is not
    /// known or nothing is there.
    fn last_written(&self, _folder: &str) -> Result<Option<Timestamp>, StorageError> {
        Ok(None)
    }

    /// Bytes that can still be stored, where that can be known.
    fn free_bytes(&self) -> Result<Option<u64>, StorageError>;

    /// Whether what is overwritten or removed stays there as an old version, as far as that has been seen: to write an
    /// object every other second would leave thousands of them.
    fn keeps_versions(&self) -> bool {
        false
    }

    /// The old versions there are; nothing where there are none by the nature of the storage. An error where that
    /// cannot be known.
    fn old_versions(&self) -> Result<Option<Versions>, StorageError> {
        Ok(None)
    }

    /// What beats while the bytes of one long operation move, where a storage has such operations.
    fn pulse(&self) -> Option<Pulse> {
        None
    }

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
