//! One backup as a source of bytes: manifest, index and archive, checked against each other.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{
    CatalogError, HOLD, HoldState, MANIFEST, ObjectDamage, STATUS, check_sizes, hold, object_name, read_hold,
    read_manifest,
};
use crate::archive::{Index, IndexError, ReaderOptions, decompress_whole, hex};
use crate::model::{Content, Hold, Manifest, MemberKind, WsrepGtid};
use crate::seal::{self, Identities, UnsealError};
use crate::storage::{Interruptible, Limited, ObjectReader, Storage, StorageError};
use crate::throttle::Limiter;

/// Why a backup cannot be read.
#[derive(Debug, Error)]
pub enum BackupReadError {
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Not what was written.
    #[error("backup '{id}' is damaged: {}: {}", .damage.object, .damage.what)]
    Damaged {
        /// The backup.
        id: String,
        /// What is wrong.
        damage: ObjectDamage,
    },
    /// It is encrypted, and the keys that were given, if any, do not open it.
    #[error("backup '{id}' is encrypted for {recipients}; {cure}")]
    Locked {
        /// The backup.
        id: String,
        /// The public keys.
        recipients: String,
        /// What was tried, and what to do.
        cure: String,
    },
}

impl BackupReadError {
    /// The backup is not what was written, as opposed to a storage that cannot be read now.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// Whether another key would help.
    pub fn is_locked(&self) -> bool {
        matches!(self, Self::Locked { .. })
    }
}

/// A backup that has a manifest.
pub struct BackupReader {
    storage: Arc<dyn Storage>,
    cluster: String,
    manifest: Manifest,
    keys: Option<Arc<Identities>>,
}

impl BackupReader {
    /// Largest manifest or status that is read, bytes.
    pub const SMALL: u64 = super::SMALL;

    /// The backup with this manifest in the folder of this cluster.
    pub fn new(storage: Arc<dyn Storage>, cluster: String, manifest: Manifest) -> Self {
        Self { storage, cluster, manifest, keys: None }
    }

    /// The same with the keys that may open it.
    #[must_use]
    pub fn with_keys(self, keys: Option<Arc<Identities>>) -> Self {
        Self { keys, ..self }
    }

    /// Whether nothing but its manifest can be read without a key.
    pub fn is_encrypted(&self) -> bool {
        self.manifest.archive.encryption.is_some()
    }

    /// The keys where they are needed.
    fn keys(&self) -> Result<Option<Arc<Identities>>, BackupReadError> {
        match (&self.keys, self.is_encrypted()) {
            (_, false) => Ok(None),
            (Some(keys), true) => Ok(Some(Arc::clone(keys))),
            (None, true) => Err(self.locked(
                "name the file of a secret key with --identity-file or the setting identity-file".into(),
            )),
        }
    }

    fn locked(&self, cure: String) -> BackupReadError {
        let recipients = self.manifest.archive.recipients.join(", ");
        BackupReadError::Locked { id: self.manifest.id.to_string(), recipients, cure }
    }

    fn wrong_key(&self) -> BackupReadError {
        let held = self.keys.as_ref().map_or_else(String::new, |keys| {
            format!("the keys in '{}' are those of {}", keys.file().display(), keys.public().join(", "))
        });
        self.locked(held)
    }

    /// How its archive is read.
    pub fn reader_options(&self, index: &Index, threads: usize) -> Result<ReaderOptions, BackupReadError> {
        Ok(ReaderOptions {
            compression: index.header.compression,
            threads,
            keys: self.keys()?,
            borders: None,
            is_damage: |_| false,
        })
    }

    /// The same reader, whose calls return at once when the flag is set.
    #[must_use]
    pub fn interruptible(self, interrupted: &Arc<AtomicBool>) -> Self {
        Self { storage: Arc::new(Interruptible::new(self.storage, Arc::clone(interrupted))), ..self }
    }

    /// The same, read no faster than the limit.
    #[must_use]
    pub fn limited(self, limiter: Arc<Limiter>) -> Self {
        Self { storage: Arc::new(Limited::new(self.storage, limiter)), ..self }
    }

    /// Where its repository is, as the configuration names it.
    pub fn location(&self) -> String {
        self.storage.location()
    }

    /// How many requests are best under way at once ([`Storage::at_once`]).
    pub fn at_once(&self) -> usize {
        self.storage.at_once()
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The error for an object, or a member of the archive, that is not what was written.
    pub fn damaged(&self, object: impl Into<String>, what: impl Into<String>) -> BackupReadError {
        let damage = ObjectDamage { object: object.into(), what: what.into() };
        BackupReadError::Damaged { id: self.manifest.id.to_string(), damage }
    }

    /// Whether its manifest has gone since it was found: then what is missing or wrong is no damage. `prune` removes
    /// the manifest first.
    pub fn is_removed(&self) -> bool {
        let manifest = read_manifest(self.storage.as_ref(), &self.cluster, &self.manifest.id);
        matches!(manifest, Err(CatalogError::NotFound(_)))
    }

    /// Whether it is held.
    pub fn held(&self) -> Option<HoldState> {
        read_hold(self.storage.as_ref(), &self.cluster, &self.manifest.id)
    }

    /// Holds it; see [`hold`].
    pub fn hold(&self, wanted: &Hold) -> Result<(), CatalogError> {
        hold(self.storage.as_ref(), &self.cluster, &self.manifest.id, wanted)
    }

    /// Ends a hold.
    pub fn release(&self) -> Result<(), StorageError> {
        self.storage.remove(&self.object(HOLD))
    }

    /// The folder of its cluster.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// The name of one of its objects in the storage.
    pub fn object(&self, name: &str) -> String {
        object_name(&self.cluster, &self.manifest.id, name)
    }

    /// The manifest as it is stored. One that has changed since it was found is refused.
    pub fn manifest_bytes(&self) -> Result<Vec<u8>, BackupReadError> {
        let bytes = self.storage.read_small(&self.object(MANIFEST), Self::SMALL)?;
        match Manifest::parse(&bytes) {
            Ok(manifest) if manifest == self.manifest => Ok(bytes),
            _ => Err(self.read_failed(MANIFEST, io::Error::other("it was replaced meanwhile")).into()),
        }
    }

    /// `status.json` as it is stored, where there is one that can be read.
    pub fn status_bytes(&self) -> Option<Vec<u8>> {
        self.storage.read_small(&self.object(STATUS), Self::SMALL).ok()
    }

    /// The error for a read of an object that failed, with the place of the object.
    pub fn read_failed(&self, name: &str, cause: io::Error) -> StorageError {
        StorageError::new("read", format!("{}/{}", self.storage.location(), self.object(name)), cause)
    }

    /// The same for the archive.
    pub fn archive_failed(&self, cause: io::Error) -> StorageError {
        self.read_failed(&self.manifest.archive.name, cause)
    }

    /// Whether archive and index are there in the sizes that the manifest says.
    pub fn check_sizes(&self) -> Result<Vec<ObjectDamage>, StorageError> {
        check_sizes(self.storage.as_ref(), &self.cluster, &self.manifest)
    }

    /// The index, which must be the one that the manifest names and tell the same story.
    pub fn index(&self) -> Result<Index, BackupReadError> {
        if let Some(damage) = self.check_sizes()?.into_iter().next() {
            return Err(self.damaged(damage.object, damage.what));
        }
        let index = self.read_index()?;
        match self.compare(&index).into_iter().next() {
            Some(damage) => Err(self.damaged(damage.object, damage.what)),
            None => Ok(index),
        }
    }

    /// The index, whatever the archive is. It is the one that the manifest names, and makes sense in itself.
    pub fn read_index(&self) -> Result<Index, BackupReadError> {
        let IndexName { name, bytes, sha256 } = IndexName::of(&self.manifest);
        let damaged = |what: String| self.damaged(name, what);
        let keys = self.keys()?;
        let object = match self.open_object(name) {
            Err(error) if error.is_not_found() => return Err(damaged("it is missing".into())),
            object => object?,
        };
        Index::read(object.take(bytes.saturating_add(1)), sha256, keys.as_deref()).map_err(
            |error| match error {
                IndexError::Io(cause) => self.read_failed(name, cause).into(),
                IndexError::Damaged(what) => damaged(what),
                IndexError::WrongKey => self.wrong_key(),
            },
        )
    }

    /// Where manifest and index contradict each other.
    pub fn compare(&self, index: &Index) -> Vec<ObjectDamage> {
        let (manifest, header) = (&self.manifest, &index.header);
        let files = || index.members.iter().filter(|member| member.kind == MemberKind::File);
        let differs =
            |what: &str, here: &dyn std::fmt::Display, there: &dyn std::fmt::Display| ObjectDamage {
                object: MANIFEST.into(),
                what: format!("it says {what} {here}, the index says {there}"),
            };
        let mut damage = Vec::new();
        if header.id != manifest.id {
            damage.push(differs("backup", &manifest.id, &header.id));
        }
        if header.files_state != manifest.files_state {
            damage.push(differs("files are", &manifest.files_state.name(), &header.files_state.name()));
        }
        if header.gtid != manifest.gtid {
            let words = |gtid: &Option<WsrepGtid>| gtid.as_ref().map_or_else(|| "-".into(), WsrepGtid::words);
            damage.push(differs("position", &words(&manifest.gtid), &words(&header.gtid)));
        }
        if header.compression != manifest.archive.compression {
            damage.push(differs("compression", &manifest.archive.compression, &header.compression));
        }
        let stored = index.blocks.iter().map(|block| block.bytes).sum();
        // The length of an encrypted object's header is known only when it was read.
        let fits = self.is_encrypted() && seal::fits(manifest.archive.bytes, stored);
        let stored = if fits { manifest.archive.bytes } else { stored };
        if header.content != manifest.content {
            damage.push(differs("content", &manifest.content.name(), &header.content.name()));
        }
        // The index of a stream does not know the files in it.
        let (count, data) = match header.content {
            Content::Datadir => {
                (files().count() as u64, files().fold(0_u64, |sum, file| sum.saturating_add(file.size)))
            }
            Content::Xbstream | Content::Sql => (manifest.files, index.raw_bytes),
        };
        let sums: [(&str, u64, u64); 3] = [
            ("archive bytes", manifest.archive.bytes, stored),
            ("files", manifest.files, count),
            ("data bytes", manifest.data_bytes, data),
        ];
        for (what, here, there) in sums.iter().filter(|(_, here, there)| here != there) {
            damage.push(differs(what, here, there));
        }
        damage
    }

    /// An object of the backup as it is stored.
    pub fn open_object(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        self.storage.open(&self.object(name))
    }

    /// A small object beside the archive, compressed and encrypted as that is: all of it, compared with its digest.
    pub fn unpacked(
        &self,
        name: &str,
        bytes: u64,
        sha256: &str,
        limit: u64,
    ) -> Result<Vec<u8>, BackupReadError> {
        let mut stored = Vec::new();
        let object = self.open_object(name)?;
        object
            .take(bytes.saturating_add(1))
            .read_to_end(&mut stored)
            .map_err(|cause| self.read_failed(name, cause))?;
        let found = hex(&Sha256::digest(&stored));
        if found != sha256 {
            return Err(self.damaged(name, format!("its SHA-256 is {found}, the manifest says {sha256}")));
        }
        let damaged = |cause: io::Error| self.damaged(name, format!("it cannot be unpacked: {cause}"));
        let plain = match self.keys()? {
            None => stored,
            Some(keys) => {
                let mut plain = Vec::new();
                let mut stream =
                    seal::unseal_stream(stored.as_slice(), &keys).map_err(|error| match error {
                        UnsealError::WrongKey => self.wrong_key(),
                        UnsealError::Damaged(what) => self.damaged(name, what),
                    })?;
                stream.read_to_end(&mut plain).map_err(damaged)?;
                plain
            }
        };
        decompress_whole(&plain, self.manifest.archive.compression, limit).map_err(damaged)
    }

    /// The archive as it is stored.
    pub fn open_archive(&self) -> Result<Box<dyn ObjectReader>, StorageError> {
        self.open_object(&self.manifest.archive.name)
    }
}

/// What the manifest says about the index.
struct IndexName<'a> {
    name: &'a str,
    bytes: u64,
    sha256: &'a str,
}

impl<'a> IndexName<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let index = &manifest.index;
        Self { name: &index.name, bytes: index.bytes, sha256: &index.sha256 }
    }
}
