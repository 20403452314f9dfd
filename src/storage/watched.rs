//! A storage whose operations another thread can look at while they are in flight.
//!
//! A dead NFS server gives no error: the call does not return. Only another thread can notice.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{
    FolderList, ObjectInfo, ObjectReader, ObjectWriter, Pulse, Storage, StorageError, Unfinished, Versions,
};

/// Operations that have begun and not ended, by their order.
#[derive(Debug, Default)]
struct Operations {
    next: u64,
    in_flight: BTreeMap<u64, (Instant, &'static str, Arc<str>)>,
}

/// What a storage is doing now.
#[derive(Debug, Clone, Default)]
pub struct Activity {
    operations: Arc<Mutex<Operations>>,
    /// Beats while a long one moves.
    pulse: Option<Pulse>,
}

/// An operation that has not returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// A verb, such as `write`.
    pub action: &'static str,
    /// What it is done to, with the place of the storage.
    pub object: String,
    /// For how long; since it last moved, where that can be seen.
    pub time: Duration,
}

impl Activity {
    /// The operation that has been in flight for the longest time.
    pub fn oldest(&self) -> Option<InFlight> {
        let operations = self.lock();
        let (since, action, object) = operations.in_flight.values().next()?;
        let still = self.pulse.as_ref().and_then(Pulse::since).unwrap_or(Duration::MAX);
        Some(InFlight { action, object: object.to_string(), time: since.elapsed().min(still) })
    }

    fn begin(&self, action: &'static str, object: &Arc<str>) -> OperationGuard<'_> {
        let mut operations = self.lock();
        let number = operations.next;
        operations.next += 1;
        operations.in_flight.insert(number, (Instant::now(), action, Arc::clone(object)));
        OperationGuard { activity: self, number }
    }

    fn lock(&self) -> MutexGuard<'_, Operations> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the operation off the list when it ends.
struct OperationGuard<'a> {
    activity: &'a Activity,
    number: u64,
}

impl Drop for OperationGuard<'_> {
    fn drop(&mut self) {
        self.activity.lock().in_flight.remove(&self.number);
    }
}

/// Another storage, and what it is doing.
pub struct Watched {
    inner: Arc<dyn Storage>,
    activity: Activity,
}

impl Watched {
    /// Looks at `inner`.
    pub fn new(inner: Arc<dyn Storage>) -> Self {
        let activity = Activity { pulse: inner.pulse(), ..Activity::default() };
        Self { inner, activity }
    }

    /// What it is doing now.
    pub fn activity(&self) -> Activity {
        self.activity.clone()
    }

    fn place(&self, name: &str) -> Arc<str> {
        format!("{}/{name}", self.inner.location()).into()
    }

    fn writer(
        &self,
        name: &str,
        create: impl FnOnce() -> Result<Box<dyn ObjectWriter>, StorageError>,
    ) -> Result<Box<dyn ObjectWriter>, StorageError> {
        let place = self.place(name);
        let _begun = self.activity.begin("create", &place);
        let inner = create()?;
        Ok(Box::new(WatchedWriter { inner: Some(inner), activity: self.activity.clone(), place }))
    }
}

impl Storage for Watched {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn probe(&self) -> Result<(), StorageError> {
        let _begun = self.activity.begin("list", &self.place(""));
        self.inner.probe()
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        let _begun = self.activity.begin("create", &self.place(folder));
        self.inner.claim(folder)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let _begun = self.activity.begin("list", &self.place(folder));
        self.inner.folders(folder)
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        let _begun = self.activity.begin("list", &self.place(folder));
        self.inner.objects(folder)
    }

    fn objects_of(&self, folder: &str, names: &[String]) -> Result<Vec<FolderList>, StorageError> {
        let _begun = self.activity.begin("list", &self.place(folder));
        self.inner.objects_of(folder, names)
    }

    fn at_once(&self) -> usize {
        self.inner.at_once()
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        let _begun = self.activity.begin("open", &self.place(name));
        self.inner.open(name)
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StorageError> {
        let _begun = self.activity.begin("look at", &self.place(name));
        self.inner.size(name)
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.writer(name, || self.inner.create(name))
    }

    fn create_large(&self, name: &str, at_most: u64) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.writer(name, || self.inner.create_large(name, at_most))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        let _begun = self.activity.begin("remove", &self.place(name));
        self.inner.remove(name)
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        let _begun = self.activity.begin("remove", &self.place(folder));
        self.inner.remove_folder(folder)
    }

    fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        let _begun = self.activity.begin("list", &self.place(folder));
        self.inner.unfinished(folder)
    }

    fn unfinished_below(&self, folder: &str) -> Result<Option<Vec<(String, Unfinished)>>, StorageError> {
        let _begun = self.activity.begin("list", &self.place(folder));
        self.inner.unfinished_below(folder)
    }

    fn discard(&self, folder: &str, unfinished: &Unfinished) -> Result<(), StorageError> {
        let _begun = self.activity.begin("remove", &self.place(folder));
        self.inner.discard(folder, unfinished)
    }

    fn last_written(&self, folder: &str) -> Result<Option<Timestamp>, StorageError> {
        let _begun = self.activity.begin("list", &self.place(folder));
        self.inner.last_written(folder)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        let _begun = self.activity.begin("look at", &self.place(""));
        self.inner.free_bytes()
    }

    fn keeps_versions(&self) -> bool {
        self.inner.keeps_versions()
    }

    fn old_versions(&self) -> Result<Option<Versions>, StorageError> {
        let _begun = self.activity.begin("list", &self.place(""));
        self.inner.old_versions()
    }

    fn pulse(&self) -> Option<Pulse> {
        self.inner.pulse()
    }
}

struct WatchedWriter {
    /// None once it is committed.
    inner: Option<Box<dyn ObjectWriter>>,
    activity: Activity,
    place: Arc<str>,
}

impl WatchedWriter {
    fn writer(&mut self) -> io::Result<&mut Box<dyn ObjectWriter>> {
        self.inner.as_mut().ok_or_else(|| io::Error::other("the object is committed"))
    }
}

impl Write for WatchedWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let activity = self.activity.clone();
        let _begun = activity.begin("write", &self.place);
        self.writer()?.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        let activity = self.activity.clone();
        let _begun = activity.begin("write", &self.place);
        self.writer()?.flush()
    }
}

impl ObjectWriter for WatchedWriter {
    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        let activity = self.activity.clone();
        let _begun = activity.begin("sync", &self.place);
        match self.inner.take() {
            Some(inner) => inner.commit(),
            None => Ok(()),
        }
    }
}

impl Drop for WatchedWriter {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            let _begun = self.activity.begin("remove the unfinished", &self.place);
            drop(inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::storage::LocalStorage;

    #[test]
    fn every_operation_ends() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Watched::new(Arc::new(LocalStorage::new(folder.path().join("r"))));
        storage.claim("c/id").unwrap();
        storage.put("c/id/x", b"whole").unwrap();
        assert_eq!(storage.read_small("c/id/x", 9).unwrap(), b"whole");
        drop(storage.create("c/id/y").unwrap());
        assert!(storage.create("none/y").is_err() && storage.open("none").is_err());
        storage.remove("c/id/x").unwrap();
        assert_eq!((storage.folders("c").unwrap().len(), storage.objects("c/id").unwrap().len()), (1, 0));
        assert!(
            storage.unfinished("c/id").unwrap().is_empty() && storage.last_written("c/id").unwrap().is_none()
        );
        storage.remove_folder("c/id").unwrap();
        assert_eq!(storage.folders("c").unwrap().len(), 0);
        assert!(storage.free_bytes().unwrap().is_some());
        assert_eq!(storage.activity().oldest(), None);
    }

    /// Does not return from a write until it is told to.
    struct HangingWriter(Sender<()>, Receiver<()>);

    impl Write for HangingWriter {
        fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
            self.0.send(()).unwrap();
            self.1.recv().unwrap();
            Ok(buffer.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl ObjectWriter for HangingWriter {
        fn commit(self: Box<Self>) -> Result<(), StorageError> {
            Ok(())
        }
    }

    #[test]
    fn an_operation_that_hangs_is_seen_and_named() {
        let ((at_it, is_at_it), (go_on, wait)) = (channel(), channel());
        let activity = Activity::default();
        let inner: Option<Box<dyn ObjectWriter>> = Some(Box::new(HangingWriter(at_it, wait)));
        let mut writer = WatchedWriter { inner, activity: activity.clone(), place: "/r/c/id/x".into() };
        let thread = std::thread::spawn(move || writer.write_all(b"x").map(|()| writer));
        is_at_it.recv().unwrap();
        let seen = activity.oldest().unwrap();
        assert_eq!((seen.action, seen.object.as_str()), ("write", "/r/c/id/x"));
        go_on.send(()).unwrap();
        drop(thread.join().unwrap().unwrap());
        assert_eq!(activity.oldest(), None);
    }
}
