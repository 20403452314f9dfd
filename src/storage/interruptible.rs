//! A storage whose calls return when the command is interrupted.
//!
//! A call to a dead NFS server, or to a file system of somebody's own (FUSE), does not return, and a flag that a signal sets is
//! looked at between calls only. So what reads is done by a thread of its own: the command waits for it as long as nobody has
//! interrupted it, then for [`GRACE`], and goes on to its end, with its clean-up, as after any other error. The thread stays behind
//! in its call until the process ends.
//!
//! What writes is not cut off: whether it was done would not be known. A second signal ends the process in any call.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{
    FolderList, ObjectInfo, ObjectReader, ObjectWriter, Pulse, Storage, StorageError, Unfinished, Versions,
};

/// How long a call may last once the command is interrupted: one that does not hang has returned by then.
const GRACE: Duration = Duration::from_secs(1);
/// Between two looks at the flag.
const LOOK: Duration = Duration::from_millis(50);
/// Most bytes that are read in one call.
const PIECE: usize = 1 << 20;

/// Waits for a thread; none where the command was interrupted meanwhile, and the thread hangs.
fn wait<T>(receiver: &Receiver<T>, interrupted: &AtomicBool) -> Option<T> {
    let mut since: Option<Instant> = None;
    loop {
        match receiver.recv_timeout(LOOK) {
            Ok(answer) => return Some(answer),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if interrupted.load(Ordering::Relaxed) && since.get_or_insert_with(Instant::now).elapsed() >= GRACE {
            return None;
        }
    }
}

/// Not [`io::ErrorKind::Interrupted`], which means that the call is to be made again.
fn hangs() -> io::Error {
    io::Error::other("interrupted, and the repository does not answer")
}

/// Another storage, whose reading ends when the flag is set.
pub struct Interruptible {
    inner: Arc<dyn Storage>,
    interrupted: Arc<AtomicBool>,
}

impl Interruptible {
    /// Waits for `inner` until `interrupted`.
    pub fn new(inner: Arc<dyn Storage>, interrupted: Arc<AtomicBool>) -> Self {
        Self { inner, interrupted }
    }

    fn call<T: Send + 'static>(
        &self,
        action: &'static str,
        name: &str,
        work: impl FnOnce(&dyn Storage, &str) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let failed = |cause| StorageError::new(action, format!("{}/{name}", self.inner.location()), cause);
        let (sender, receiver) = channel();
        let (inner, owned) = (Arc::clone(&self.inner), name.to_owned());
        let thread = thread::Builder::new().name("storage".into());
        // The reader may have been dropped meanwhile.
        let spawned = thread.spawn(move || drop(sender.send(work(inner.as_ref(), &owned))));
        spawned.map_err(&failed)?;
        wait(&receiver, &self.interrupted).unwrap_or_else(|| Err(failed(hangs())))
    }
}

impl Storage for Interruptible {
    fn location(&self) -> String {
        self.inner.location()
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.call("list", "", |inner, _| inner.probe())
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        self.inner.claim(folder)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        self.call("list", folder, |inner, folder| inner.folders(folder))
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.call("list", folder, |inner, folder| inner.objects(folder))
    }

    fn objects_of(&self, folder: &str, names: &[String]) -> Result<Vec<FolderList>, StorageError> {
        let names = names.to_vec();
        self.call("list", folder, move |inner, folder| inner.objects_of(folder, &names))
    }

    fn at_once(&self) -> usize {
        self.inner.at_once()
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        let reader = self.call("open", name, |inner, name| inner.open(name))?;
        let reader = ThreadedReader::start(reader, Arc::clone(&self.interrupted));
        let reader = reader.map_err(|cause| StorageError::new("open", name, cause))?;
        Ok(Box::new(reader))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, StorageError> {
        self.call("look at", name, |inner, name| inner.size(name))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.inner.create(name)
    }

    fn create_large(&self, name: &str, at_most: u64) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.inner.create_large(name, at_most)
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.inner.remove(name)
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        self.inner.remove_folder(folder)
    }

    fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        self.call("list", folder, |inner, folder| inner.unfinished(folder))
    }

    fn unfinished_below(&self, folder: &str) -> Result<Option<Vec<(String, Unfinished)>>, StorageError> {
        self.call("list", folder, |inner, folder| inner.unfinished_below(folder))
    }

    fn discard(&self, folder: &str, unfinished: &Unfinished) -> Result<(), StorageError> {
        self.inner.discard(folder, unfinished)
    }

    fn last_written(&self, folder: &str) -> Result<Option<Timestamp>, StorageError> {
        self.call("list", folder, |inner, folder| inner.last_written(folder))
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.call("look at", "", |inner, _| inner.free_bytes())
    }

    fn keeps_versions(&self) -> bool {
        self.inner.keeps_versions()
    }

    fn old_versions(&self) -> Result<Option<Versions>, StorageError> {
        self.call("list", "", |inner, _| inner.old_versions())
    }

    fn pulse(&self) -> Option<Pulse> {
        self.inner.pulse()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner.put(name, bytes)
    }
}

/// What the reading thread of an object is to do.
enum ReadOrder {
    /// To fill this, which comes back.
    Read(Vec<u8>),
    Seek(SeekFrom),
}

enum ReadAnswer {
    Read(Vec<u8>, io::Result<usize>),
    Sought(io::Result<u64>),
}

/// An object that a thread reads.
struct ThreadedReader {
    ask: Sender<ReadOrder>,
    told: Receiver<ReadAnswer>,
    interrupted: Arc<AtomicBool>,
    /// Goes to the thread and back.
    buffer: Vec<u8>,
    /// Nothing comes of it any more.
    is_lost: bool,
}

impl ThreadedReader {
    fn start(mut object: Box<dyn ObjectReader>, interrupted: Arc<AtomicBool>) -> io::Result<Self> {
        let ((ask, asked), (tell, told)) = (channel(), channel());
        let serve = move || {
            for ask in asked {
                let answer = match ask {
                    ReadOrder::Read(mut buffer) => {
                        let count = object.read(&mut buffer);
                        ReadAnswer::Read(buffer, count)
                    }
                    ReadOrder::Seek(to) => ReadAnswer::Sought(object.seek(to)),
                };
                if tell.send(answer).is_err() {
                    break;
                }
            }
        };
        thread::Builder::new().name("object".into()).spawn(serve)?;
        Ok(Self { ask, told, interrupted, buffer: Vec::new(), is_lost: false })
    }

    fn answer(&mut self, ask: ReadOrder) -> io::Result<ReadAnswer> {
        if self.is_lost || self.ask.send(ask).is_err() {
            return Err(hangs());
        }
        wait(&self.told, &self.interrupted).ok_or_else(|| {
            self.is_lost = true;
            hangs()
        })
    }
}

impl Read for ThreadedReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(into.len().min(PIECE), 0);
        let ReadAnswer::Read(buffer, count) = self.answer(ReadOrder::Read(buffer))? else {
            return Err(hangs());
        };
        let count = count.map(|count| count.min(buffer.len()));
        if let Ok(count) = count {
            into[..count].copy_from_slice(&buffer[..count]);
        }
        self.buffer = buffer;
        count
    }
}

impl Seek for ThreadedReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self.answer(ReadOrder::Seek(to))? {
            ReadAnswer::Sought(position) => position,
            ReadAnswer::Read(..) => Err(hangs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::LocalStorage;

    #[test]
    fn what_answers_is_read_as_it_is_also_when_the_command_is_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let inner = LocalStorage::new(folder.path().join("r"));
        inner.claim("c/id").unwrap();
        let bytes: Vec<u8> = (0..=255).cycle().take(3 << 20).collect();
        inner.put("c/id/x", &bytes).unwrap();
        let storage = Interruptible::new(Arc::new(inner), Arc::new(AtomicBool::new(true)));
        assert_eq!(storage.read_small("c/id/x", 4 << 20).unwrap(), bytes);
        let mut object = storage.open("c/id/x").unwrap();
        object.seek(SeekFrom::End(-2)).unwrap();
        let mut end = Vec::new();
        object.read_to_end(&mut end).unwrap();
        assert_eq!(end, &bytes[bytes.len() - 2..]);
        assert_eq!(storage.objects("c/id").unwrap().len(), 1);
        assert!(storage.open("c/id/none").is_err_and(|error| error.is_not_found()));
        storage.probe().unwrap();
    }

    /// Never answers.
    struct HangingStorage;

    impl Read for HangingStorage {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            loop {
                thread::park();
            }
        }
    }

    impl Seek for HangingStorage {
        fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
            Ok(0)
        }
    }

    #[test]
    fn what_hangs_is_waited_for_until_the_command_is_interrupted() {
        let interrupted = Arc::new(AtomicBool::new(false));
        let mut reader = ThreadedReader::start(Box::new(HangingStorage), Arc::clone(&interrupted)).unwrap();
        let reading = thread::spawn(move || {
            let error = reader.read(&mut [0; 9]).unwrap_err();
            (error.to_string(), reader.read(&mut [0; 9]).is_err(), reader.seek(SeekFrom::Start(0)).is_err())
        });
        thread::sleep(Duration::from_millis(200));
        assert!(!reading.is_finished());
        interrupted.store(true, Ordering::Relaxed);
        let ended = reading.join().unwrap();
        assert_eq!(ended, ("interrupted, and the repository does not answer".into(), true, true));
    }
}
