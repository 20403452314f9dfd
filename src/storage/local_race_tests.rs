//! Somebody who owns a folder swaps it for a link, again and again, while root works in it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::*;

/// Rounds, and how often at least the folder, and the link, is to be met in them.
const ROUNDS: usize = 3000;
const ENOUGH: usize = 200;
/// A machine on which two threads have not met so often by then does something else.
const PATIENCE: Duration = Duration::from_secs(120);

fn swap(one: &Path, other: &Path) {
    renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE).unwrap();
}

/// Two names that change places until this is dropped.
struct Swapping {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Swapping {
    fn start(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                while !stop.load(Ordering::Relaxed) {
                    swap(&one, &other);
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Every name below a folder with its owner and what it holds.
fn everything(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let data = fs::symlink_metadata(&entry).unwrap();
        let text = if data.is_file() { fs::read(&entry).unwrap() } else { Vec::new() };
        if data.is_dir() {
            found.extend(everything(&entry));
        }
        found.insert(entry, (data.uid(), text));
    }
    found
}

/// A repository with `c/id`, and a place beside it that looks the same.
fn places() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("repository"), folder.path().join("outside"));
    for (place, text) in [(root.join("c/id"), "ours"), (outside.join("id"), "SECRET")] {
        fs::create_dir_all(place.join("empty")).unwrap();
        for name in ["manifest.json", "backup.tar", ".backup.tar.1.2.tmp"] {
            fs::write(place.join(name), text).unwrap();
        }
    }
    // Its files belong to its owner: as root that is somebody else.
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(root.join("c/id"), Some(12_345), Some(12_345)).unwrap();
    }
    (folder, root, outside)
}

/// Everything that a command may do in the folder of a backup: how often the folder was there, and how often the link.
fn work(storage: &LocalStorage, outside_only: &str) -> (usize, usize) {
    let (mut there, mut away) = (0, 0);
    let mut note = |outcome: Result<(), StorageError>| match outcome {
        Ok(()) => there += 1,
        Err(error) => away += usize::from(error.to_string().contains("symbolic link")),
    };
    note(storage.remove("c/id/backup.tar"));
    note(storage.put("c/id/hold.json", b"held"));
    note(storage.claim("c/id/made").map(drop));
    note(storage.remove_folder("c/id/empty"));
    for found in storage.unfinished("c/id").unwrap_or_default() {
        note(storage.discard("c/id", &found));
    }
    note(storage.objects("c/id").map(|objects| {
        assert!(objects.iter().all(|object| object.name != outside_only), "{objects:?}");
    }));
    if let Ok(text) = storage.read_small("c/id/manifest.json", 100) {
        assert_eq!(text, b"ours");
    }
    let _ = storage.size(&format!("c/id/{outside_only}")).map(|size| panic!("{size:?} from outside"));
    (there, away)
}

#[test]
fn a_folder_that_is_swapped_for_a_link_leads_nobody_elsewhere() {
    for (ours, link, to) in [("c/id", "c/link", "id"), ("c", "link", "")] {
        let (_folder, root, outside) = places();
        fs::write(outside.join("id/only-here"), "SECRET").unwrap();
        symlink(outside.join(to), root.join(link)).unwrap();
        let before = everything(&outside);
        let storage = LocalStorage::new(&root);
        let swapping = Swapping::start(root.join(ours), root.join(link));
        let (mut rounds, mut there, mut away, start) = (0, 0, 0, Instant::now());
        while rounds < ROUNDS || there < ENOUGH || away < ENOUGH {
            let (was_there, was_away) = work(&storage, "only-here");
            (rounds, there, away) = (rounds + 1, there + was_there, away + was_away);
            assert!(start.elapsed() < PATIENCE, "the folder was there {there} times, the link {away} times");
        }
        drop(swapping);
        assert_eq!(everything(&outside), before, "{ours}");
        // Wherever the folder is now, what was written into it is its owner's.
        let is_link = fs::symlink_metadata(root.join(ours)).unwrap().is_symlink();
        let at = if is_link { root.join(link) } else { root.join(ours) };
        let id = if to.is_empty() { at.join("id") } else { at };
        let owner = fs::metadata(&id).unwrap().uid();
        assert_eq!(fs::metadata(id.join("hold.json")).unwrap().uid(), owner);
        assert_eq!(fs::read(id.join("hold.json")).unwrap(), b"held");
    }
}

#[test]
fn an_object_appears_in_the_folder_in_which_it_was_begun() {
    let (_folder, root, outside) = places();
    symlink(outside.join("id"), root.join("c/link")).unwrap();
    let before = everything(&outside);
    let storage = LocalStorage::new(&root);
    for is_kept in [true, false] {
        let mut object = storage.create("c/id/hold.json").unwrap();
        object.write_all(b"held").unwrap();
        swap(&root.join("c/id"), &root.join("c/link"));
        if is_kept {
            object.commit().unwrap();
            assert_eq!(fs::read(root.join("c/link/hold.json")).unwrap(), b"held");
        } else {
            drop(object);
        }
        let left = storage.unfinished("c/link").unwrap();
        assert_eq!(left.len(), 1, "only what was there before: {left:?}");
        assert_eq!(everything(&outside), before);
        swap(&root.join("c/id"), &root.join("c/link"));
    }
}

#[test]
fn what_root_writes_is_nobody_elses_before_it_is_whole() {
    let (_folder, root, _) = places();
    let id = root.join("c/id");
    let storage = LocalStorage::new(&root);
    let mut object = storage.create("c/id/index.json.zst").unwrap();
    object.write_all(b"not compared yet").unwrap();
    object.flush().unwrap();
    let temporary =
        storage.unfinished("c/id").unwrap().into_iter().find(|it| it.name.contains("index")).unwrap();
    let data = fs::metadata(id.join(temporary.name)).unwrap();
    assert_eq!((data.uid(), data.mode() & 0o137), (nix::unistd::geteuid().as_raw(), 0));
    object.commit().unwrap();
    let owner = fs::metadata(&id).unwrap().uid();
    assert_eq!(fs::metadata(id.join("index.json.zst")).unwrap().uid(), owner);
}
