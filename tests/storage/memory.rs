//! A storage in memory: what the contract says, and nothing else.
#![allow(unreachable_pub, dead_code, reason = "every test binary uses another part")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, ErrorKind, Write};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use wsrep_sst_backup::storage::{ObjectInfo, ObjectReader, ObjectWriter, Storage, StorageError};

#[derive(Default)]
struct State {
    folders: BTreeSet<String>,
    objects: BTreeMap<String, (Vec<u8>, Timestamp)>,
}

/// Folders and objects, shared by its clones.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<State>>);

impl Memory {
    fn state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }
}

/// What stands behind `folder/` in a name.
fn below<'a>(name: &'a str, folder: &str) -> Option<&'a str> {
    if folder.is_empty() { Some(name) } else { name.strip_prefix(folder)?.strip_prefix('/') }
}

impl Storage for Memory {
    fn location(&self) -> String {
        "memory".into()
    }

    fn probe(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        Ok(self.state(|state| state.folders.insert(folder.to_owned())))
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let first = |name: &String| below(name, folder)?.split('/').next().map(str::to_owned);
        let names: BTreeSet<String> = self.state(|state| state.folders.iter().filter_map(first).collect());
        Ok(names.into_iter().collect())
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let info = |(name, (content, modified)): (&String, &(Vec<u8>, Timestamp))| {
            let name = below(name, folder).filter(|name| !name.contains('/'))?;
            let (bytes, modified) = (content.len() as u64, Some(*modified));
            Some(ObjectInfo { name: name.to_owned(), bytes, modified })
        };
        Ok(self.state(|state| state.objects.iter().filter_map(info).collect()))
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        let content = self.state(|state| state.objects.get(name).map(|(content, _)| content.clone()));
        let content = content.ok_or_else(|| StorageError::new("open", name, ErrorKind::NotFound.into()))?;
        Ok(Box::new(Cursor::new(content)))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        if !folder.is_empty() && !self.state(|state| state.folders.contains(folder)) {
            return Err(StorageError::new("create", name, ErrorKind::NotFound.into()));
        }
        Ok(Box::new(Writer { storage: self.clone(), name: name.to_owned(), content: Vec::new() }))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.state(|state| state.objects.remove(name));
        Ok(())
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        self.state(|state| {
            if state.objects.keys().any(|name| below(name, folder).is_some()) {
                return Err(StorageError::new("remove", folder, ErrorKind::DirectoryNotEmpty.into()));
            }
            state.folders.remove(folder);
            Ok(())
        })
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        Ok(None)
    }
}

struct Writer {
    storage: Memory,
    name: String,
    content: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.content.write(buffer)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for Writer {
    fn commit(self: Box<Self>) -> Result<(), StorageError> {
        let Self { storage, name, content } = *self;
        storage.state(|state| state.objects.insert(name, (content, Timestamp::now())));
        Ok(())
    }
}
