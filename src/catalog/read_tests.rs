//! A repository is read while `prune` removes from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::catalog::{INDEX, MANIFEST, STATUS, Selector};
use crate::storage::LocalStorage;
use crate::storage::testing::{Operation, Whims, Whimsical};

const ARCHIVE: &str = "backup.tar.zst";
const OLD: &str = "20261119T113452Z_n1";
const NEW: &str = "20261120T113452Z_n1";

fn put(root: &Path, id: &str, seqno: i64) {
    let folder = root.join("c").join(id);
    fs::create_dir_all(&folder).unwrap();
    let at = id.parse::<BackupId>().unwrap().started().unwrap();
    let manifest = json!({
        "format": 1, "id": id, "cluster": "c", "node": "n1", "method": "freeze", "started": at, "frozen_at": at,
        "finished": at, "flush_ms": 1, "frozen_ms": 2,
        "gtid": {"uuid": "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f", "seqno": seqno, "domain_id": 0},
        "mariadb_gtid": {}, "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
        "archive": {"name": ARCHIVE, "bytes": 7, "sha256": "", "compression": "zstd"},
        "index": {"name": INDEX, "bytes": 5, "sha256": ""},
        "damaged_pages": 0, "tool": {"version": "0"}
    });
    for (name, bytes) in [(ARCHIVE, "archive"), (INDEX, "index"), (MANIFEST, &manifest.to_string())] {
        fs::write(folder.join(name), bytes).unwrap();
    }
}

/// What `prune` does to a folder, in its order.
fn removal(folder: &Path) -> Vec<PathBuf> {
    [MANIFEST, ARCHIVE, INDEX, STATUS]
        .iter()
        .map(|name| folder.join(name))
        .chain([folder.to_owned()])
        .collect()
}

/// Some steps of a removal happen before an operation: all at that one, or one at each from then on.
struct PrunedMeanwhile {
    from: usize,
    steps: usize,
    at_once: bool,
    state: Mutex<(usize, Vec<PathBuf>)>,
}

impl Whims for PrunedMeanwhile {
    fn before(&self, _: Operation, _: &str) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let count = match (state.0 == self.from, self.at_once) {
            (true, true) => self.steps,
            (_, true) => 0,
            (_, false) => usize::from((self.from..self.from + self.steps).contains(&state.0)),
        };
        state.0 += 1;
        for path in state.1.drain(..count).collect::<Vec<_>>() {
            let _ = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        }
        Ok(())
    }
}

/// A repository of two backups, of which one is being removed.
fn pruned(root: &Path, id: &str, from: usize, steps: usize, at_once: bool) -> Whimsical<PrunedMeanwhile> {
    let _ = fs::remove_dir_all(root.join("c"));
    put(root, OLD, 10);
    put(root, NEW, 20);
    let state = Mutex::new((0, removal(&root.join("c").join(id))));
    Whimsical::new(root, PrunedMeanwhile { from, steps, at_once, state })
}

#[test]
fn a_backup_that_is_removed_meanwhile_is_not_taken_for_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let mut seen = (0, 0, 0);
    for id in [OLD, NEW] {
        for (from, steps, at_once) in
            (0..14).flat_map(|from| (1..=5).flat_map(move |n| [(from, n, true), (from, n, false)]))
        {
            let case = format!("{id} {from} {steps} {at_once}");
            let storage = pruned(root, id, from, steps, at_once);
            let catalog = Catalog::read(&storage, None).unwrap();
            let doubts = catalog.doubts(now);
            assert!(doubts.iter().all(Option::is_none), "{case}: {doubts:?}");
            let of = |id: &str| catalog.records.iter().filter(|record| record.id.as_str() == id).count();
            assert_eq!(of(if id == OLD { NEW } else { OLD }), 1, "{case}");
            match (of(id), &catalog.attempts[..]) {
                (1, []) => seen.0 += 1,
                (0, [attempt]) => {
                    assert!(attempt.id.as_str() == id, "{case}");
                    seen.1 += 1;
                }
                (0, []) => {
                    assert!(!root.join("c").join(id).exists(), "{case}");
                    seen.2 += 1;
                }
                other => panic!("{case}: {other:?}"),
            }
            let storage = pruned(root, id, from, steps, at_once);
            let newest = Selector::Latest.find_intact(&storage, None, now);
            assert!(newest.is_ok(), "{case}: {newest:?}");
        }
    }
    assert!(seen.0 > 10 && seen.1 > 10 && seen.2 > 0, "{seen:?}");
}

/// What is missed of a backup whose manifest is there is damage all the same.
#[test]
fn what_is_lost_without_its_manifest_being_removed_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), NEW, 20);
    fs::remove_file(folder.path().join("c").join(NEW).join(ARCHIVE)).unwrap();
    let catalog = Catalog::read(&LocalStorage::new(folder.path()), None).unwrap();
    let doubts = catalog.doubts("2026-11-20T12:00:00Z".parse().unwrap());
    assert!(matches!(&doubts[..], [Some(doubt)] if doubt.is_damage()), "{doubts:?}");
}
