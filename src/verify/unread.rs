//! What a disk does not give is damage, if the storage gives everything else and does not give it when it is asked again.
//!
//! The same words (EIO) come of a bad sector and of a server that is away, where its share is mounted so that it gives up (NFS `soft`).

use std::io::{self, Read, Seek, SeekFrom};

use super::verify_report::VerifyError;
use crate::archive::BlockDamage;
use crate::catalog::BackupReader;
use crate::storage::{StorageError, is_unreadable};

/// That an object cannot be read, in words that follow its name.
pub(super) struct Unread(pub(super) String);

impl Unread {
    /// Of this error about an object, `at` this byte where it was being read. An error that says nothing of the disk stays one.
    pub(super) fn of(
        error: StorageError,
        source: &BackupReader,
        name: &str,
        at: Option<u64>,
    ) -> Result<Self, VerifyError> {
        if !error.is_of_medium() {
            return Err(error.into());
        }
        ask_again(source, name, at)?;
        let from = at.map_or_else(String::new, |at| format!(" from byte {at} on"));
        Ok(Self(format!("it cannot be read{from}: {}", error.cause())))
    }
}

/// The same of the blocks of an archive that could not be read.
pub(super) fn confirm(source: &BackupReader, damage: &[BlockDamage]) -> Result<(), VerifyError> {
    // One is enough: a server that was away was away for all of them.
    match damage.iter().find_map(|block| block.unread_at) {
        Some(at) => ask_again(source, &source.manifest().archive.name, Some(at)),
        None => Ok(()),
    }
}

/// An error where the storage gives nothing else either, or gives now what it did not.
fn ask_again(source: &BackupReader, name: &str, at: Option<u64>) -> Result<(), VerifyError> {
    source.manifest_bytes()?;
    let read = source.open_object(name).and_then(|mut object| {
        let read = object.seek(SeekFrom::Start(at.unwrap_or(0))).and_then(|_| object.read(&mut [0; 1]));
        read.map_err(|cause| source.read_failed(name, cause))
    });
    match read {
        Err(error) if is_unreadable(error.cause()) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => {
            let cause = "it could not be read at first, and can be now: the storage was disturbed, so verify it again";
            Err(source.read_failed(name, io::Error::other(cause)).into())
        }
    }
}
