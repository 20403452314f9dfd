//! The stream inside an archive object, sealed or not, block by block.
//!
//! As long as it is read from its first byte to its last, the object is digested as it is stored. What the storage says
//! and what the seal says are kept apart: a read that failed is no damage, but for what the caller takes for damage of the place that was read.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::block::{BlockDamage, ENDS, ObjectDigest, PlannedBlock};
use super::digest::hex;
use crate::seal::{Identities, UnsealError, Unsealed, unseal};

/// Whether a read that failed so says that this place is damaged, and nothing of the others.
pub type IsDamage = fn(&io::Error) -> bool;

/// The object as it is stored.
struct Stored<R> {
    object: R,
    position: u64,
    /// Of everything before `position`; none once something was passed over.
    sha: Option<Sha256>,
    /// What the storage said when a read failed.
    failure: Option<io::Error>,
}

impl<R: Read + Seek> Stored<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.object.read(buffer) {
            Ok(count) => {
                if let Some(sha) = &mut self.sha {
                    sha.update(&buffer[..count]);
                }
                self.position += count as u64;
                Ok(count)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let there = self.object.seek(to).map_err(|error| self.failed(error))?;
        if there != self.position {
            (self.position, self.sha) = (there, None);
        }
        Ok(there)
    }

    /// Keeps the error, and gives one that says no more than its kind.
    fn failed(&mut self, error: io::Error) -> io::Error {
        let kind = error.kind();
        self.failure = Some(error);
        kind.into()
    }
}

/// The same for the seal's reader, which does not give it back.
struct SharedObject<R>(Arc<Mutex<Stored<R>>>);

impl<R> SharedObject<R> {
    fn stored(&self) -> MutexGuard<'_, Stored<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R> Clone for SharedObject<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R: Read + Seek> Read for SharedObject<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stored().read(buffer)
    }
}

impl<R: Read + Seek> Seek for SharedObject<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.stored().seek(to)
    }
}

/// The blocks of an object.
pub(super) struct ObjectStream<R> {
    stored: SharedObject<R>,
    /// None where the object is not sealed.
    keys: Option<Arc<Identities>>,
    /// None until it is opened, and after damage: the library cannot go on behind it.
    unsealed: Option<Unsealed<SharedObject<R>>>,
    /// Where the stream stands.
    position: u64,
    /// Where it ends, once that was seen before a block was whole.
    end: Option<u64>,
    is_damage: IsDamage,
}

impl<R: Read + Seek> ObjectStream<R> {
    /// An object from its first byte; sealed where there are keys.
    pub(super) fn new(object: R, keys: Option<Arc<Identities>>, is_damage: IsDamage) -> Self {
        let stored = Stored { object, position: 0, sha: Some(Sha256::new()), failure: None };
        Self {
            stored: SharedObject(Arc::new(Mutex::new(stored))),
            keys,
            unsealed: None,
            position: 0,
            end: None,
            is_damage,
        }
    }

    /// The bytes of one block; the outer error is the storage's.
    pub(super) fn read_block(&mut self, planned: &PlannedBlock) -> io::Result<Result<Vec<u8>, BlockDamage>> {
        let block = planned.block;
        let damaged = |reason: String, unread_at: Option<u64>| {
            Ok(Err(BlockDamage { block: planned.number, offset: block.offset, reason, unread_at }))
        };
        let damage = |reason: String| damaged(reason, None);
        if let Some(end) = self.end {
            return damage(format!("{ENDS}{end}"));
        }
        let mut frame = Vec::new();
        let outcome = self.fill(block.offset, block.bytes, &mut frame);
        self.position = block.offset + frame.len() as u64;
        if let Some((failure, at)) = self.failure() {
            if !(self.is_damage)(&failure) {
                return Err(failure);
            }
            self.unsealed = None;
            return damaged(format!("it cannot be read: {failure}"), Some(at));
        }
        match outcome {
            Ok(()) if frame.len() as u64 == block.bytes => Ok(Ok(frame)),
            Ok(()) => {
                self.end = Some(self.position);
                damage(format!("{ENDS}{}", self.position))
            }
            Err(reason) => {
                self.unsealed = None;
                damage(reason)
            }
        }
    }

    /// What the storage said since it was asked last, and of which byte of the object: that is not read as a whole then.
    fn failure(&self) -> Option<(io::Error, u64)> {
        let mut stored = self.stored.stored();
        let failure = stored.failure.take()?;
        stored.sha = None;
        Some((failure, stored.position))
    }

    /// Appends the bytes; what is wrong with the seal where it is.
    fn fill(&mut self, offset: u64, bytes: u64, frame: &mut Vec<u8>) -> Result<(), String> {
        let Some(keys) = self.keys.clone() else {
            let mut object = self.stored.clone();
            if self.position != offset {
                object.seek(SeekFrom::Start(offset)).map_err(|error| error.to_string())?;
            }
            return object.take(bytes).read_to_end(frame).map(drop).map_err(|error| error.to_string());
        };
        let broken = |_| "its encryption shows that it was changed, or cut off".to_owned();
        let stream = match &mut self.unsealed {
            Some(stream) => stream,
            closed => {
                let mut object = self.stored.clone();
                object.seek(SeekFrom::Start(0)).map_err(broken)?;
                self.position = 0;
                closed.insert(unseal(object, &keys).map_err(|error| match error {
                    UnsealError::WrongKey => "its encryption header does not fit that of the index".into(),
                    UnsealError::Damaged(what) => what,
                })?)
            }
        };
        if self.position != offset {
            stream.seek(SeekFrom::Start(offset)).map_err(broken)?;
        }
        stream.take(bytes).read_to_end(frame).map(drop).map_err(broken)
    }

    /// Reads what is left; the object's size and digest, unless something was passed over.
    pub(super) fn finish(mut self) -> io::Result<Option<ObjectDigest>> {
        if let Some(stream) = &mut self.unsealed {
            // A seal that is broken behind the last block shows in the digest.
            let _ = io::copy(stream, &mut io::sink());
        }
        let is_passed_over = self.stored.stored().sha.is_none();
        let mut object = self.stored.clone();
        let outcome = io::copy(&mut object, &mut io::sink());
        if let Some((failure, _)) = self.failure() {
            // It may still stand where the last block could not be read.
            return if is_passed_over && (self.is_damage)(&failure) { Ok(None) } else { Err(failure) };
        }
        outcome?;
        let mut stored = self.stored.stored();
        let bytes = stored.position;
        Ok(stored.sha.take().map(|sha| ObjectDigest { bytes, sha256: hex(&sha.finalize()) }))
    }
}
