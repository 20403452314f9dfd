//! Another storage whose objects are written and read no faster than a limit.
//!
//! It stands outside of [`super::Watched`]: while it waits, nothing is asked of the storage, and nothing can stall.

use std::io::{self, Write};
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    FolderList, ObjectInfo, ObjectReader, ObjectWriter, Pulse, Storage, StorageError, Unfinished, Versions,
};
use crate::throttle::{LimitedReader, Limiter};

/// Another storage, and one limit for all that goes into it and comes out of it. What counts are the bytes of objects;
/// those of listings and requests do not.
pub struct Limited {
    inner: Arc<dyn Storage>,
    limiter: Arc<Limiter>,
}

impl Limited {
    /// Limits `inner`.
    pub fn new(inner: Arc<dyn Storage>, limiter: Arc<Limiter>) -> Self {
        Self { inner, limiter }
    }

    fn writer(&self, inner: Box<dyn ObjectWriter>) -> Box<dyn ObjectWriter> {
        Box::new(LimitedWriter { inner, limiter: Arc::clone(&self.limiter), paid: 0 })
    }
}

impl Storage for Limited {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.inner.probe()
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        self.inner.claim(folder)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        self.inner.folders(folder)
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.inner.objects(folder)
    }

    fn objects_of(&self, folder: &str, names: &[String]) -> Result<Vec<FolderList>, StorageError> {
        self.inner.objects_of(folder, names)
    }

    fn at_once(&self) -> usize {
        self.inner.at_once()
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        Ok(Box::new(LimitedReader::new(self.inner.open(name)?, Arc::clone(&self.limiter))))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StorageError> {
        self.inner.size(name)
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        Ok(self.writer(self.inner.create(name)?))
    }

    fn create_large(&self, name: &str, at_most: u64) -> Result<Box<dyn ObjectWriter>, StorageError> {
        Ok(self.writer(self.inner.create_large(name, at_most)?))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        self.inner.remove_folder(folder)
    }

    fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        self.inner.unfinished(folder)
    }

    fn unfinished_below(&self, folder: &str) -> Result<Option<Vec<(String, Unfinished)>>, StorageError> {
        self.inner.unfinished_below(folder)
    }

    fn discard(&self, folder: &str, unfinished: &Unfinished) -> Result<(), StorageError> {
        self.inner.discard(folder, unfinished)
    }

    fn last_written(&self, folder: &str) -> Result<Option<Timestamp>, StorageError> {
        self.inner.last_written(folder)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.inner.free_bytes()
    }

    fn keeps_versions(&self) -> bool {
        self.inner.keeps_versions()
    }

    fn old_versions(&self) -> Result<Option<Versions>, StorageError> {
        self.inner.old_versions()
    }

    fn pulse(&self) -> Option<Pulse> {
        self.inner.pulse()
    }
}

struct LimitedWriter {
    inner: Box<dyn ObjectWriter>,
    limiter: Arc<Limiter>,
    /// Bytes that were paid for and not written yet.
    paid: usize,
}

impl Write for LimitedWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if self.paid == 0 {
            let piece = buffer.len().min(self.limiter.piece());
            self.limiter.take(piece as u64);
            self.paid = piece;
        }
        let count = self.inner.write(&buffer[..buffer.len().min(self.paid)])?;
        self.paid -= count.min(self.paid);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl ObjectWriter for LimitedWriter {
    fn commit(self: Box<Self>) -> Result<(), StorageError> {
        self.inner.commit()
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::{Duration, Instant};

    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::storage::{LocalStorage, Watched};

    #[test]
    fn objects_are_written_and_read_at_the_limit_and_nothing_is_in_flight_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let watched = Watched::new(Arc::new(LocalStorage::new(folder.path().join("r"))));
        let activity = watched.activity();
        let limiter = Arc::new(Limiter::new(NonZeroU64::new(1 << 20), Arc::default()));
        let storage = Arc::new(Limited::new(Arc::new(watched), limiter));
        storage.claim("c/id").unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(300 << 10).collect();
        let begun = Instant::now();
        let is_written = Arc::new(AtomicBool::new(false));
        let writing = {
            let (storage, bytes) = (Arc::clone(&storage), bytes.clone());
            let is_written = Arc::clone(&is_written);
            std::thread::spawn(move || {
                let mut object = storage.create("c/id/x").unwrap();
                object.write_all(&bytes).unwrap();
                // A sync takes its time on a busy disk.
                is_written.store(true, Ordering::Relaxed);
                object.commit().unwrap();
            })
        };
        let (mut looks, mut in_flight) = (0, 0);
        while !is_written.load(Ordering::Relaxed) && !writing.is_finished() {
            looks += 1;
            in_flight += u32::from(activity.oldest().is_some());
            std::thread::sleep(Duration::from_millis(1));
        }
        writing.join().unwrap();
        // 293 ms, of which 100 may have been saved up before.
        assert!(begun.elapsed() >= Duration::from_millis(190), "{:?}", begun.elapsed());
        // Were the waits a part of the writes, nearly every look would meet one.
        assert!(in_flight * 2 < looks, "{in_flight} of {looks}");
        assert!(storage.read_small("c/id/x", 1 << 20).unwrap() == bytes);
        assert!(begun.elapsed() >= Duration::from_millis(380), "{:?}", begun.elapsed());
        assert_eq!(storage.objects("c/id").unwrap()[0].bytes, 300 << 10);
    }

    #[test]
    fn a_storage_that_takes_little_at_once_is_not_paid_twice() {
        struct Sip(Vec<u8>);
        impl Write for Sip {
            fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
                let count = buffer.len().min(1000);
                self.0.extend_from_slice(&buffer[..count]);
                Ok(count)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl ObjectWriter for Sip {
            fn commit(self: Box<Self>) -> Result<(), StorageError> {
                assert_eq!(self.0.len(), 100_000);
                Ok(())
            }
        }
        let limiter = Arc::new(Limiter::new(NonZeroU64::new(1_000_000), Arc::default()));
        let begun = Instant::now();
        let inner = Box::new(Sip(Vec::new()));
        let mut writer = Box::new(LimitedWriter { inner, limiter: Arc::clone(&limiter), paid: 0 });
        writer.write_all(&vec![1; 100_000]).unwrap();
        assert_eq!(writer.paid, 0);
        writer.commit().unwrap();
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(99) && took < Duration::from_secs(3), "{took:?}");
    }
}
