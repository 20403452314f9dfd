//! A backup in memory, for thousands of damaged copies.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Error, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use wsrep_sst_backup::catalog::{CatalogError, Source, read_manifest};
use wsrep_sst_backup::model::Manifest;
use wsrep_sst_backup::storage::{ObjectInfo, ObjectWriter, Storage, StorageError};
use wsrep_sst_backup::verify::{Report, verify};

use crate::support::cli::forge::ID;

/// The objects of the one backup.
#[derive(Clone)]
pub(crate) struct Memory(BTreeMap<String, Vec<u8>>);

impl Memory {
    /// A copy of a backup's folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let listing = fs::read_dir(folder).unwrap().flatten();
        Self(
            listing
                .map(|entry| {
                    (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap())
                })
                .collect(),
        )
    }

    /// One object.
    pub(crate) fn object(&self, name: &str) -> &[u8] {
        &self.0[name]
    }

    /// A copy in which one object is another.
    pub(crate) fn with(&self, name: &str, content: Vec<u8>) -> Self {
        let mut copy = self.clone();
        copy.0.insert(name.to_owned(), content);
        copy
    }

    /// A copy in which one bit is another.
    pub(crate) fn flipped(&self, name: &str, byte: usize, bit: u8) -> Self {
        let mut content = self.0[name].clone();
        content[byte] ^= 1 << bit;
        self.with(name, content)
    }

    /// Its manifest, if it can be used.
    pub(crate) fn manifest(&self) -> Result<Manifest, CatalogError> {
        read_manifest(self, "c", &ID.parse().unwrap())
    }

    /// What `verify` makes of it.
    pub(crate) fn verified(&self) -> Report {
        let source = Source::new(Arc::new(self.clone()), "c".to_owned(), self.manifest().unwrap());
        verify(&source, 1, &|_| {}, &AtomicBool::new(false)).unwrap()
    }
}

impl Storage for Memory {
    fn location(&self) -> String {
        "memory".into()
    }

    fn objects(&self, _: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        Ok(self
            .0
            .iter()
            .map(|(name, content)| ObjectInfo { name: name.clone(), bytes: content.len() as u64 })
            .collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn Read + Send>, StorageError> {
        let content = name.rsplit('/').next().and_then(|name| self.0.get(name));
        let content = content.ok_or_else(|| StorageError::new("open", name, ErrorKind::NotFound.into()))?;
        Ok(Box::new(Cursor::new(content.clone())))
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
