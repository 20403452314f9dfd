//! Room for what the server changes while clones of its files live: each of its blocks that it writes to is kept twice.
//!
//! A file system that becomes full stops the server. So clones are not made where there is little room, and are given up
//! while they live when it becomes little.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::super::abort::Abort;
use super::super::room::free_space;
use super::super::watch::Watch;
use super::clones::Clones;

/// What must stay free while clones live, bytes.
const RESERVE: u64 = 256 << 20;
/// What must be free before: so much, and this part of the data.
const BEFORE: u64 = 2 * RESERVE;
const PART: u64 = 64;
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes that must be free on a file system before so many are cloned there.
pub(super) fn needed(data: u64) -> u64 {
    BEFORE.saturating_add(data / PART)
}

/// Watches the room in the file systems of these directories until the clones are gone. Where it becomes little the backup is given up, and the clones at once, whatever their
/// reader does.
pub(super) fn guard(clones: &Arc<Clones>, directories: Vec<PathBuf>, watch: &Watch) -> io::Result<()> {
    let (clones, end) = (Arc::downgrade(clones), watch.end_now());
    let look = move || {
        while let Some(clones) = Weak::upgrade(&clones) {
            if let Some(abort) = little(&directories) {
                end(abort);
                clones.give_up();
                return;
            }
            drop(clones);
            std::thread::sleep(LOOK);
        }
    };
    std::thread::Builder::new().name("clones".into()).spawn(look).map(drop)
}

fn little(directories: &[PathBuf]) -> Option<Abort> {
    directories.iter().find_map(|directory| {
        let free = free_space(directory).filter(|free| *free < RESERVE)?;
        Some(Abort::NoRoomForClones { directory: directory.clone(), free })
    })
}

/// The same for a snapshot that shares the room of these directories, until `is_read` is gone: it is given back by `let_go`.
pub(super) fn guard_snapshot(
    is_read: &Arc<()>,
    directories: Vec<PathBuf>,
    watch: &Watch,
    let_go: impl Fn() + Send + 'static,
) -> io::Result<()> {
    let (is_read, end) = (Arc::downgrade(is_read), watch.end_now());
    let look = move || {
        while is_read.strong_count() > 0 {
            if let Some(abort) = little(&directories) {
                end(abort);
                let_go();
                return;
            }
            std::thread::sleep(LOOK);
        }
    };
    std::thread::Builder::new().name("snapshot".into()).spawn(look).map(drop)
}
