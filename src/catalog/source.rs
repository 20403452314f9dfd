//! One backup as a source of bytes: manifest, index and archive, checked against each other.

use std::io::Read;
use std::sync::Arc;

use thiserror::Error;

use super::object_name;
use crate::archive::{Index, IndexError};
use crate::model::Manifest;
use crate::storage::{Storage, StorageError};

/// Why a backup cannot be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Not what was written.
    #[error("backup '{id}' is damaged: {what}")]
    Damaged {
        /// The backup.
        id: String,
        /// What is wrong.
        what: String,
    },
    /// The index, as the storage gave it.
    #[error("backup '{id}': {cause}")]
    Index {
        /// The backup.
        id: String,
        /// Why.
        cause: IndexError,
    },
}

impl SourceError {
    /// The backup is not what was written, as opposed to a storage that cannot be read now.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Index { cause: IndexError::Damaged(_), .. })
    }
}

/// A backup that has a manifest.
pub struct Source {
    storage: Arc<dyn Storage>,
    cluster: String,
    manifest: Manifest,
}

impl Source {
    /// The backup with this manifest in the folder of this cluster.
    pub fn new(storage: Arc<dyn Storage>, cluster: String, manifest: Manifest) -> Self {
        Self { storage, cluster, manifest }
    }

    /// Its manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn damaged(&self, what: impl Into<String>) -> SourceError {
        SourceError::Damaged { id: self.manifest.id.to_string(), what: what.into() }
    }

    fn object(&self, name: &str) -> String {
        object_name(&self.cluster, &self.manifest.id, name)
    }

    /// Whether archive and index are there in the sizes that the manifest says.
    pub fn check_sizes(&self) -> Result<(), SourceError> {
        let folder = format!("{}/{}", self.cluster, self.manifest.id);
        let objects = self.storage.objects(&folder)?;
        let (archive, index) = (&self.manifest.archive, &self.manifest.index);
        for (name, bytes) in [(&archive.name, archive.bytes), (&index.name, index.bytes)] {
            match objects.iter().find(|object| object.name == *name) {
                None => return Err(self.damaged(format!("'{name}' is missing"))),
                Some(found) if found.bytes != bytes => {
                    let what = format!("'{name}' has {} bytes, the manifest says {bytes}", found.bytes);
                    return Err(self.damaged(what));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// The index, which must be the one that the manifest names and tell the same story.
    pub fn index(&self) -> Result<Index, SourceError> {
        self.check_sizes()?;
        self.read_index()
    }

    /// The index, whatever the size of the archive.
    pub fn read_index(&self) -> Result<Index, SourceError> {
        let manifest = &self.manifest;
        let object = self.storage.open(&self.object(&manifest.index.name))?;
        let index = Index::read(object.take(manifest.index.bytes.saturating_add(1)), &manifest.index.sha256)
            .map_err(|cause| SourceError::Index { id: manifest.id.to_string(), cause })?;
        let header = &index.header;
        if header.id != manifest.id || header.gtid != manifest.gtid {
            let what = format!(
                "the manifest says {} at {}, the index {} at {}",
                manifest.id, manifest.gtid, header.id, header.gtid
            );
            return Err(self.damaged(what));
        }
        if header.compression != manifest.archive.compression {
            return Err(self.damaged("manifest and index name different compressions"));
        }
        let bytes: u64 = index.blocks.iter().map(|block| block.bytes).sum();
        if bytes != manifest.archive.bytes {
            let what = format!(
                "the blocks of the index have {bytes} bytes, the manifest says {}",
                manifest.archive.bytes
            );
            return Err(self.damaged(what));
        }
        Ok(index)
    }

    /// The archive object from its first byte.
    pub fn open_archive(&self) -> Result<Box<dyn Read + Send>, SourceError> {
        Ok(self.storage.open(&self.object(&self.manifest.archive.name))?)
    }
}
