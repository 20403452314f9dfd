//! A second copy of a backup, in another repository.
//!
//! Archive and index, and the users of a dump, are copied as they are stored, under the names that the manifest says: no key is needed for what is
//! encrypted, and nothing is unpacked. Each byte goes from one storage to the other through one buffer; size and SHA-256
//! are compared with the manifest on the way.
//!
//! # Order
//!
//! As a donor does: the folder is claimed, `status.json` says that somebody is at work, then index, archive, and the
//! manifest last, byte for byte the same. So a copy is complete or not there. Until all bytes are stored and right no object
//! has its name, and what fails leaves nothing. What fails behind that, or is killed, leaves a folder without a manifest,
//! which the next `copy` takes over and `prune` sweeps. At the end
//! `status.json` is that of the source: the two folders are the same, but for `hold.json`, `verify.json` and `drill.json`.
//!
//! **What `verify` and `drill` have found** is about the bytes of one storage, and is not copied. **Holds** are not either. A hold is an operator's word about one folder of one repository, and only the operator of the
//! other one knows what is to stay there: a hold that came along would keep a backup for ever where no operator has set it and
//! none looks for it.
//!
//! # Company
//!
//! | meanwhile | what becomes of the copy |
//! |---|---|
//! | `prune` removes the backup here | what was read before is whole; else the reading fails, and [`BackupReader::is_removed`] tells why |
//! | `prune` runs there | leaves the folder alone: `status.json` is never a day old while a copy runs |
//! | another `copy` of the same backup | refuses while [`Busy`](CopyError::Busy) is true; where one takes the other for dead, both write the same bytes, and neither removes an object that has its name |
//! | `prune` there removes what is there already | is told to be that ([`RemovedThere`](CopyError::RemovedThere)), and no damage |
//! | another program removes what was copied | is seen behind the manifest, which is taken back then |

mod error;
mod folder;
mod keep_alive;

use std::cmp::Ordering::{Equal, Greater, Less};
use std::io::{ErrorKind, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;
use sha2::{Digest, Sha256};

pub use self::error::{CopyError, stored_bytes};
use self::folder::{CopyFolder, Made};
use self::keep_alive::KeepAlive;
use crate::archive::hex;
use crate::catalog::{BackupReadError, BackupReader};
use crate::model::StoredObject;
use crate::storage::{ObjectReader, ObjectWriter, Storage, StorageError};

/// Bytes on their way between two looks at the interruption.
const CHUNK: usize = 256 << 10;

/// How a copy has ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyOutcome {
    /// It is there now.
    Copied,
    /// The same manifest was there already, and the objects in the sizes that it says.
    AlreadyThere,
}

/// Copies a backup into the folder of the same names in `target`. `progress` is told the bytes that are copied.
pub fn copy(
    source: &BackupReader,
    target: &Arc<dyn Storage>,
    now: Timestamp,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<CopyOutcome, CopyError> {
    let manifest = source.manifest_bytes()?;
    let folder = CopyFolder::new(source, target);
    if folder.has(&manifest)? {
        return Ok(CopyOutcome::AlreadyThere);
    }
    if let Some(damage) = source.check_sizes().map_err(BackupReadError::from)?.into_iter().next() {
        return Err(source.damaged(damage.object, damage.what).into());
    }
    folder.has_room()?;
    let mut made = folder.take(now)?;
    let work = Transfer { source, target, copied: Arc::default(), progress, interrupted };
    match work.all(&mut made, &manifest) {
        Ok(()) => {
            made.keep()?;
            Ok(CopyOutcome::Copied)
        }
        Err(error) => {
            made.fail(&error);
            Err(error)
        }
    }
}

/// The way from one storage to the other.
struct Transfer<'a> {
    source: &'a BackupReader,
    target: &'a Arc<dyn Storage>,
    copied: Arc<AtomicU64>,
    progress: &'a dyn Fn(u64),
    interrupted: &'a AtomicBool,
}

impl Transfer<'_> {
    /// All objects are stored before any gets its name: until then no listing shows them, and dropping the writer removes them.
    fn all(&self, made: &mut Made<'_>, manifest: &[u8]) -> Result<(), CopyError> {
        let (source, target) = (self.source, self.target);
        let alive = KeepAlive::start(source, target, Arc::clone(&self.copied)).map_err(CopyError::Target)?;
        let mut writers = Vec::new();
        for object in source.manifest().objects() {
            writers.push(self.object(&object)?);
        }
        self.go_on()?;
        made.begin_objects();
        // The archive first: that is the one that may fail.
        for writer in writers.into_iter().rev() {
            writer.commit().map_err(CopyError::Target)?;
        }
        drop(alive);
        made.publish(manifest)
    }

    /// One object, all of which is stored; it has no name yet.
    fn object(&self, object: &StoredObject<'_>) -> Result<Box<dyn ObjectWriter>, CopyError> {
        let from = match self.source.open_object(object.name) {
            Err(error) if error.is_not_found() => {
                return Err(self.source.damaged(object.name, "it is missing").into());
            }
            from => from.map_err(BackupReadError::from)?,
        };
        let name = self.source.object(object.name);
        let mut to = self.target.create_large(&name, object.bytes).map_err(CopyError::Target)?;
        self.stream(object, from, to.as_mut())?;
        Ok(to)
    }

    /// Every byte, compared with the manifest. No more is read than the manifest says, and a byte to see that.
    fn stream(
        &self,
        object: &StoredObject<'_>,
        from: Box<dyn ObjectReader>,
        to: &mut dyn ObjectWriter,
    ) -> Result<(), CopyError> {
        let mut from = from.take(object.bytes.saturating_add(1));
        let mut sha = Sha256::new();
        let mut read = 0u64;
        let mut chunk = vec![0; CHUNK];
        loop {
            self.go_on()?;
            let count = match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => {
                    return Err(BackupReadError::from(self.source.read_failed(object.name, error)).into());
                }
            };
            sha.update(&chunk[..count]);
            to.write_all(&chunk[..count]).map_err(|error| self.write_failed(object.name, error))?;
            read += count as u64;
            let copied = self.copied.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
            (self.progress)(copied);
        }
        let what = match read.cmp(&object.bytes) {
            Equal => {
                let found = hex(&sha.finalize());
                if found == object.sha256 {
                    return Ok(());
                }
                format!("its SHA-256 is {found}, the manifest says {}", object.sha256)
            }
            Less => format!("it has {read} bytes, the manifest says {}", object.bytes),
            Greater => format!("it has more than the {} bytes that the manifest says", object.bytes),
        };
        Err(self.source.damaged(object.name, what).into())
    }

    fn go_on(&self) -> Result<(), CopyError> {
        if self.interrupted.load(Ordering::Relaxed) {
            let id = self.source.manifest().id.clone();
            return Err(CopyError::Interrupted { id, place: self.target.location() });
        }
        Ok(())
    }

    fn write_failed(&self, name: &str, cause: std::io::Error) -> CopyError {
        // Storages put their own error, which names the place, inside.
        match cause.downcast::<StorageError>() {
            Ok(error) => CopyError::Target(error),
            Err(cause) => {
                let place = format!("{}/{}", self.target.location(), self.source.object(name));
                CopyError::Target(StorageError::new("write", place, cause))
            }
        }
    }
}

#[cfg(test)]
mod tests;
