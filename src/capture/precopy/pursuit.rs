//! The thread that follows the redo log from before the first file is copied until the server stands still.
//!
//! Where the log cannot be followed the method does not fail: the pages that changed are found by their LSN then ([`super::by_lsn`]), which takes a look at every page
//! of every file that was written to.

use std::path::{Path, PathBuf};
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
    follower: Result<Following, String>,
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
            spawn(follower.within(most), &stop)
        });
        Ok(Self { checkpoint, stop, follower })
    }

    /// What the log has named by now; it is followed on. None where it cannot be followed. Meanwhile nobody follows it: it is to be a short look.
    pub(super) fn so_far<T>(&mut self, look: impl FnOnce(&PageSet) -> T) -> Option<T> {
        let halted = self
            .halt()
            .and_then(|mut follower| follower.advance().map(|_| follower).map_err(|error| error.to_string()));
        let seen = halted.as_ref().ok().map(|follower| look(follower.set()));
        self.resume(halted);
        seen
    }

    /// What the log has named by now, where it is certain that nothing was missed: then it is not followed any more. Else it is followed on, and the text says why. `log` is where it is.
    pub(super) fn confirmed(&mut self, log: &Path) -> Result<PageSet, String> {
        let confirmed = self.halt().map(|mut follower| {
            let file = regular_file::open(log).map_err(RedoError::from);
            let outcome = file.and_then(|file| follower.confirm(&file));
            (follower, outcome)
        });
        match confirmed {
            Ok((follower, Ok(()))) => {
                self.follower = Err("it is followed from a later checkpoint on".into());
                Ok(follower.into_set())
            }
            Ok((follower, Err(why))) => {
                self.resume(Ok(follower));
                Err(format!("whether the redo log was followed without a gap cannot be told yet: {why}"))
            }
            Err(why) => {
                self.follower = Err(why.clone());
                Err(why)
            }
        }
    }

    fn resume(&mut self, halted: Result<RedoFollower, String>) {
        self.stop = Arc::default();
        self.follower = halted.and_then(|follower| spawn(follower, &self.stop));
    }

    fn halt(&mut self) -> Result<RedoFollower, String> {
        self.stop.store(true, Ordering::Relaxed);
        let follower = std::mem::replace(&mut self.follower, Err(String::new()));
        follower?.join().map_err(|_| "the thread that follows it has failed".to_owned())?
    }

    /// Reads the rest of the log of a server that stands still. `log` is where it is now; or why that is not known: a server that is about to replace it has two.
    pub(super) fn finish(mut self, log: Result<PathBuf, String>) -> Found {
        let finish = |follower: RedoFollower| {
            let log = regular_file::open(&log?).map_err(|error| error.to_string())?;
            follower.finish(&log).map_err(|error| error.to_string())
        };
        match self.halt().and_then(finish) {
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

/// What is joined is the follower, or why it follows no more.
type Following = JoinHandle<Result<RedoFollower, String>>;

fn spawn(follower: RedoFollower, stop: &Arc<AtomicBool>) -> Result<Following, String> {
    let is_over = Arc::clone(stop);
    std::thread::Builder::new()
        .name("redo log".into())
        .spawn(move || follow(follower, &is_over))
        .map_err(|error| error.to_string())
}

fn follow(mut follower: RedoFollower, is_over: &AtomicBool) -> Result<RedoFollower, String> {
    while !is_over.load(Ordering::Relaxed) {
        let bytes = follower.advance().map_err(|error| error.to_string())?;
        if bytes < BUSY {
            std::thread::sleep(BETWEEN);
        }
    }
    Ok(follower)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_it_is_not_known_which_file_the_log_is_pages_are_found_by_their_lsn() {
        let mut pursuit = Pursuit { checkpoint: 1, stop: Arc::default(), follower: Err("not begun".into()) };
        assert_eq!(pursuit.so_far(PageSet::len), None);
        assert!(pursuit.confirmed(Path::new("/none")).is_err());
        assert_eq!(pursuit.halt().err().as_deref(), Some("not begun"));
        match pursuit.finish(Err("its redo log has several files".into())) {
            Found::ByLsn(_) => {}
            Found::Named(_) => panic!("nothing was followed"),
        }
    }
}
