//! A backup in memory, for thousands of damaged copies, and for a storage that fails in the middle.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Error, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wsrep_sst_backup::catalog::{BackupReader, CatalogError, read_manifest};
use wsrep_sst_backup::model::Manifest;
use wsrep_sst_backup::storage::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageError};
use wsrep_sst_backup::verify::{VerifyReport, verify};

use super::forge::ID;

/// The objects of the one backup.
#[derive(Debug, Clone)]
pub struct Memory {
    objects: BTreeMap<String, Vec<u8>>,
    /// Behind so many bytes of this object every read fails.
    fault: Option<(String, u64)>,
}

impl Memory {
    /// A copy of a backup's folder.
    pub fn read(folder: &Path) -> Self {
        let listing = fs::read_dir(folder).expect("a folder").flatten();
        let object = |path: &Path| fs::read(path).expect("an object");
        let objects = listing
            .map(|entry| (entry.file_name().to_string_lossy().into_owned(), object(&entry.path())))
            .collect();
        Self { objects, fault: None }
    }

    /// A copy whose `object` cannot be read behind its first `bytes`.
    pub fn failing(&self, object: &str, bytes: u64) -> Self {
        Self { fault: Some((object.to_owned(), bytes)), ..self.clone() }
    }

    /// One object.
    pub fn object(&self, name: &str) -> &[u8] {
        &self.objects[name]
    }

    /// A copy in which one object is another.
    pub fn with(&self, name: &str, content: Vec<u8>) -> Self {
        let mut copy = self.clone();
        copy.objects.insert(name.to_owned(), content);
        copy
    }

    /// A copy in which one bit is another.
    pub fn flipped(&self, name: &str, byte: usize, bit: u8) -> Self {
        let mut content = self.objects[name].clone();
        content[byte] ^= 1 << bit;
        self.with(name, content)
    }

    /// Its manifest, if it can be used.
    pub fn manifest(&self) -> Result<Manifest, CatalogError> {
        read_manifest(self, "c", &ID.parse().unwrap())
    }

    /// It as a source.
    pub fn source(&self) -> BackupReader {
        let manifest = self.manifest().expect("a manifest");
        BackupReader::new(Arc::new(self.clone()), "c".to_owned(), manifest)
    }

    /// What `verify` makes of it.
    pub fn verified(&self) -> VerifyReport {
        verify(&self.source(), 1, &|_| {}, &AtomicBool::new(false)).expect("a storage that can be read")
    }
}

/// A bad sector behind these bytes.
struct Broken(Cursor<Vec<u8>>);

impl Read for Broken {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(Error::from_raw_os_error(nix::libc::EIO)),
            count => Ok(count),
        }
    }
}

impl Seek for Broken {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl Storage for Memory {
    fn location(&self) -> String {
        "memory".into()
    }

    fn probe(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn objects(&self, _: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        Ok(self
            .objects
            .iter()
            .map(|(name, content)| ObjectInfo {
                name: name.clone(),
                bytes: content.len() as u64,
                modified: None,
            })
            .collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        let object = name.rsplit('/').next().unwrap_or_default();
        let content = self.objects.get(object).cloned();
        let content = content.ok_or_else(|| StorageError::new("open", name, ErrorKind::NotFound.into()))?;
        match &self.fault {
            Some((broken, bytes)) if broken == object => {
                let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX).min(content.len());
                Ok(Box::new(Broken(Cursor::new(content[..bytes].to_vec()))))
            }
            _ => Ok(Box::new(Cursor::new(content))),
        }
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        Err(none(folder))
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        Err(none(folder))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        Err(none(name))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        Err(none(name))
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
}

fn none(name: &str) -> StorageError {
    StorageError::new("do that with", name, Error::other("it is only read"))
}
