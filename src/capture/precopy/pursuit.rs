//! The thread that follows the redo log from before the first file is copied until the server stands still.
//!
//! Where the log cannot be followed the method does not fail: the pages that changed are found by their LSN then ([`super::by_lsn`]), which takes a look at every page
//! of every file that was written to.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::redo_file::head;
use crate::innodb::redo::{PageSet, RedoError, RedoFollower};
use crate::regular_file;

/// Bytes that the set of pages may take: ten million pages here and there.
const MOST: u64 = 20 << 20;
/// Between two looks at the log. A server that writes 1 GiB a second into the smallest ring, of 4 MiB, goes round in 4 ms; one of 96 MiB, the default, in
/// 94 ms.
const BETWEEN: Duration = Duration::from_millis(10);
/// Where so much was found at once there is more: nobody sleeps, bytes.
const BUSY: u64 = 256 << 10;

/// What changed in the files of the server since the checkpoint before they were copied.
pub(super) enum Found {
    /// The log names these pages.
    Named(PageSet),
    /// The log could not be followed to its end, and why: they are those whose LSN is not below the checkpoint's.
    ByLsn(String),
}

/// A log that is being followed.
pub(super) struct Pursuit {
    /// From here on every change is seen: what was written to a file later has an LSN that is not below.
    pub(super) checkpoint: u64,
    stop: Arc<AtomicBool>,
    follower: Result<JoinHandle<Result<RedoFollower, String>>, String>,
}

impl Pursuit {
    /// Begins at the newest checkpoint of this log. An error where not even that can be read.
    pub(super) fn begin(path: &Path) -> Result<Self, RedoError> {
        Self::within(path, MOST)
    }

    fn within(path: &Path, most: u64) -> Result<Self, RedoError> {
        let (file, head) = head(path)?;
        let stop = Arc::new(AtomicBool::new(false));
        let mut checkpoint = head.newest().lsn;
        let follower = RedoFollower::begin(file).map_err(|error| error.to_string()).and_then(|follower| {
            checkpoint = checkpoint.min(follower.lsn());
            let is_over = Arc::clone(&stop);
            std::thread::Builder::new()
                .name("redo log".into())
                .spawn(move || follow(follower, &is_over, most))
                .map_err(|error| error.to_string())
        });
        Ok(Self { checkpoint, stop, follower })
    }

    /// Reads the rest of the log of a server that stands still; it is at `path` now.
    pub(super) fn finish(mut self, path: &Path) -> Found {
        self.stop.store(true, Ordering::Relaxed);
        let follower = std::mem::replace(&mut self.follower, Err(String::new()));
        let joined = follower
            .and_then(|thread| thread.join().map_err(|_| "the thread that follows it has failed".to_owned()));
        let finish = |follower: RedoFollower| {
            let log = regular_file::open(path).map_err(|error| error.to_string())?;
            follower.finish(&log).map_err(|error| error.to_string())
        };
        match joined.and_then(|followed| followed).and_then(finish) {
            Ok(set) => Found::Named(set),
            Err(why) => Found::ByLsn(why),
        }
    }
}

impl Drop for Pursuit {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn follow(mut follower: RedoFollower, is_over: &AtomicBool, most: u64) -> Result<RedoFollower, String> {
    while !is_over.load(Ordering::Relaxed) {
        let bytes = follower.advance().map_err(|error| error.to_string())?;
        let (pages, taken) = follower.found();
        if taken > most {
            return Err(format!(
                "the {pages} pages that it names take {} MiB of memory, and {} are the limit",
                taken >> 20,
                most >> 20
            ));
        }
        if bytes < BUSY {
            std::thread::sleep(BETWEEN);
        }
    }
    Ok(follower)
}
