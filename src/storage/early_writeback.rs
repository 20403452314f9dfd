//! What is written goes to the disk while more is made, and an archive leaves the page cache.
//!
//! A file of many GiB that is only synced at its end keeps the disk idle while it is made, and the maker idle while it is synced; and what an
//! archive takes of the page cache it takes from the server beside it. `posix_fadvise(POSIX_FADV_DONTNEED)` does both that is wanted: it starts
//! to write what is dirty, without waiting for it, and drops what is clean (Linux, `mm/fadvise.c: generic_fadvise`). Where the queue of a slow disk is
//! full it waits all the same, and mysqld may stand frozen behind the writer: so a thread of its own calls it, which the writer never waits
//! for. Nothing is promised by it: errors of the disk are told by `fsync`, as ever.

use std::fs::File;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Bytes after which the disk is given something to do; smaller files have no thread.
const STEP: u64 = 8 << 20;

/// Threads at once: where a slow disk keeps so many, each with an open file, the files that come then have none.
const MOST: usize = 8;

/// How many there are in this process.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// One of them, counted there until it is dropped.
struct ThreadPlace(&'static AtomicUsize);

impl ThreadPlace {
    fn take(threads: &'static AtomicUsize) -> Option<Self> {
        let more = |taken| (taken < MOST).then_some(taken + 1);
        // Only where there is one: whatever is dropped gives its place back.
        threads.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok().then(|| Self(threads))
    }
}

impl Drop for ThreadPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What becomes of the pages in memory when they are on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrittenPages {
    /// They make room: nobody reads them soon.
    Dropped,
    /// They stay: a server is started on them.
    Kept,
}

/// Tells the thread of one file how far it is written.
#[derive(Debug)]
pub(crate) struct EarlyWriteback {
    pages: WrittenPages,
    written: u64,
    told: u64,
    thread: Option<SyncSender<u64>>,
    threads: &'static AtomicUsize,
}

impl EarlyWriteback {
    /// For a file that is written from its beginning to its end.
    pub(crate) fn new(pages: WrittenPages) -> Self {
        Self::among(&THREADS, pages)
    }

    fn among(threads: &'static AtomicUsize, pages: WrittenPages) -> Self {
        Self { pages, written: 0, told: 0, thread: None, threads }
    }

    /// So many more bytes stand at the end of the file, holes included.
    pub(crate) fn wrote(&mut self, file: &File, bytes: usize) {
        self.written += u64::try_from(bytes).unwrap_or_default();
        if self.written - self.told < STEP {
            return;
        }
        self.told = self.written;
        if self.thread.is_none() {
            self.thread = start(file, self.pages, self.threads);
        }
        if let Some(thread) = &self.thread {
            // A thread that is still at the last step hears of this one with the next.
            let _ = thread.try_send(self.written);
        }
    }
}

/// The thread ends with its sender; without one everything is left to `fsync`.
fn start(file: &File, pages: WrittenPages, threads: &'static AtomicUsize) -> Option<SyncSender<u64>> {
    let place = ThreadPlace::take(threads)?;
    let file = file.try_clone().ok()?;
    let (sender, steps) = sync_channel(1);
    let work = move || {
        write_back(&file, pages, &steps);
        drop((file, place));
    };
    thread::Builder::new().name("writeback".to_owned()).spawn(work).ok()?;
    Some(sender)
}

fn write_back(file: &File, pages: WrittenPages, steps: &Receiver<u64>) {
    let mut from = 0;
    while let Ok(written) = steps.recv() {
        let Ok(written) = i64::try_from(written) else { return };
        let _ = posix_fadvise(file, from, written - from, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        // What this step has begun to write is clean at one of the next: those that drop it begin at the beginning each time.
        if pages == WrittenPages::Kept {
            from = written;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn a_large_file_has_a_thread_and_a_small_one_has_none() {
        let mut file = tempfile::tempfile().unwrap();
        let mut early = EarlyWriteback::new(WrittenPages::Dropped);
        let piece = vec![7; 1 << 20];
        for _ in 0..7 {
            file.write_all(&piece).unwrap();
            early.wrote(&file, piece.len());
        }
        assert!(early.thread.is_none());
        file.write_all(&piece).unwrap();
        early.wrote(&file, piece.len());
        assert!(early.thread.is_some());
        assert_eq!(early.told, STEP);
    }

    #[test]
    fn of_many_large_files_a_few_have_a_thread_and_another_one_when_one_of_these_is_done() {
        static OWN: AtomicUsize = AtomicUsize::new(0);
        let file = tempfile::tempfile().unwrap();
        let step = usize::try_from(STEP).unwrap();
        let begin = || {
            let mut early = EarlyWriteback::among(&OWN, WrittenPages::Kept);
            early.wrote(&file, step);
            early
        };
        let mut first: Vec<EarlyWriteback> = (0..MOST).map(|_| begin()).collect();
        assert!(first.iter().all(|early| early.thread.is_some()));
        let mut late = begin();
        assert!(late.thread.is_none() && OWN.load(Ordering::Relaxed) == MOST);
        let comes_to = |count| {
            let begun = Instant::now();
            while OWN.load(Ordering::Relaxed) != count {
                assert!(begun.elapsed() < Duration::from_secs(60), "{OWN:?}, not {count}");
                thread::yield_now();
            }
        };
        first.pop();
        comes_to(MOST - 1);
        late.wrote(&file, step);
        assert!(late.thread.is_some() && begin().thread.is_none());
        drop((first, late));
        comes_to(0);
    }
}
