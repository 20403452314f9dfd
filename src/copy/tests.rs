//! A copy between two directories.

mod odd;

use std::fs;
use std::io;
use std::path::PathBuf;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::catalog::{HOLD, INDEX, MANIFEST, STATUS, read_manifest};
use crate::storage::LocalStorage;

const ID: &str = "20261120T113452Z_n1";
const ARCHIVE: &str = "backup.tar.zst";

/// A repository with one backup, and one without any.
struct Two {
    folder: tempfile::TempDir,
}

impl Two {
    fn new() -> Self {
        let two = Self { folder: tempfile::tempdir().unwrap() };
        let (archive, index) = (vec![7; 600_000], vec![9; 1_000]);
        fs::create_dir_all(two.here("")).unwrap();
        fs::create_dir(two.folder.path().join("there")).unwrap();
        fs::write(two.here(ARCHIVE), &archive).unwrap();
        fs::write(two.here(INDEX), &index).unwrap();
        fs::write(two.here(STATUS), "{}").unwrap();
        fs::write(two.here(HOLD), "{}").unwrap();
        fs::write(two.here(MANIFEST), manifest(&archive, &index).to_string()).unwrap();
        two
    }

    fn here(&self, name: &str) -> PathBuf {
        self.folder.path().join("here/c").join(ID).join(name)
    }

    fn there(&self, name: &str) -> PathBuf {
        self.folder.path().join("there/c").join(ID).join(name)
    }

    fn local(&self, side: &str) -> Arc<dyn Storage> {
        Arc::new(LocalStorage::new(self.folder.path().join(side)))
    }

    fn source(&self, storage: Arc<dyn Storage>) -> BackupReader {
        let found = read_manifest(self.local("here").as_ref(), "c", &ID.parse().unwrap()).unwrap();
        BackupReader::new(storage, "c".into(), found)
    }

    /// Copies from one storage to another at a time so many minutes from now.
    fn copy(
        &self,
        from: Arc<dyn Storage>,
        to: &Arc<dyn Storage>,
        minutes: i64,
    ) -> Result<CopyOutcome, CopyError> {
        let now = Timestamp::now() + SignedDuration::from_mins(minutes);
        copy(&self.source(from), to, now, &|_| {}, &AtomicBool::new(false))
    }

    fn copy_plain(&self) -> Result<CopyOutcome, CopyError> {
        self.copy(self.local("here"), &self.local("there"), 0)
    }

    /// What has come to nothing leaves nothing; or, once objects have had their names, those and the reason.
    fn assert_no_backup(&self, why: &CopyError) {
        assert!(!self.there(MANIFEST).exists(), "{why}");
        if self.there("").exists() {
            let status: Value = serde_json::from_slice(&fs::read(self.there(STATUS)).unwrap()).unwrap();
            assert_eq!(status["state"], "failed", "{why}");
            assert_eq!(status["error"], why.to_string());
        }
    }

    fn is_complete(&self) -> bool {
        let same =
            |name| fs::read(self.here(name)).unwrap() == fs::read(self.there(name)).unwrap_or_default();
        self.there(MANIFEST).exists() && [MANIFEST, ARCHIVE, INDEX].into_iter().all(same)
    }
}

fn manifest(archive: &[u8], index: &[u8]) -> Value {
    let sha = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let at = "2026-11-20T11:34:52Z";
    json!({
        "format": 1, "id": ID, "cluster": "c", "node": "n1", "method": "freeze", "started": at, "frozen_at": at,
        "finished": at, "flush_ms": 1, "frozen_ms": 2,
        "gtid": {"uuid": "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f", "seqno": 417, "domain_id": 0},
        "mariadb_gtid": {}, "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
        "archive": {"name": ARCHIVE, "bytes": archive.len(), "sha256": sha(archive), "compression": "zstd"},
        "index": {"name": INDEX, "bytes": index.len(), "sha256": sha(index)},
        "damaged_pages": 0, "tool": {"version": "0"}
    })
}

#[test]
fn a_copy_is_the_same_folder_but_for_the_hold() {
    let two = Two::new();
    assert_eq!(two.copy_plain().unwrap(), CopyOutcome::Copied);
    let mut names: Vec<_> =
        fs::read_dir(two.there("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [ARCHIVE, INDEX, MANIFEST, STATUS]);
    assert!(two.is_complete() && fs::read(two.there(STATUS)).unwrap() == b"{}");
    assert_eq!(two.copy_plain().unwrap(), CopyOutcome::AlreadyThere);
    fs::remove_file(two.here(STATUS)).unwrap();
    fs::remove_dir_all(two.there("")).unwrap();
    assert_eq!(two.copy_plain().unwrap(), CopyOutcome::Copied);
    assert!(!two.there(STATUS).exists());
}

#[test]
fn damage_is_seen_on_the_way_and_leaves_nothing() {
    for name in [ARCHIVE, INDEX] {
        for (what, words) in [
            ("flip", "its SHA-256 is"),
            ("cut", "bytes, the manifest says"),
            ("grow", "bytes, the manifest says"),
            ("lose", "it is missing"),
        ] {
            let two = Two::new();
            let mut bytes = fs::read(two.here(name)).unwrap();
            match what {
                "flip" => bytes[500] ^= 1,
                "cut" => bytes.truncate(900),
                _ => bytes.push(0),
            }
            match what {
                "lose" => fs::remove_file(two.here(name)).unwrap(),
                _ => fs::write(two.here(name), bytes).unwrap(),
            }
            let error = two.copy_plain().unwrap_err();
            let text = error.to_string();
            assert!(error.is_damage() && error.is_of_one_backup(), "{text}");
            assert!(
                text.starts_with(&format!("backup '{ID}' is damaged: {name}: ")) && text.contains(words),
                "{text}"
            );
            assert!(!two.there("").exists(), "{text}");
        }
    }
}

#[test]
fn what_is_there_already_is_compared() {
    let two = Two::new();
    two.copy_plain().unwrap();
    fs::write(two.there(INDEX), "short").unwrap();
    let error = two.copy_plain().unwrap_err();
    assert!(error.is_damage() && error.to_string().contains("index.json.zst: it has 5 bytes"), "{error}");
    let mut other = manifest(b"other", b"index");
    other["gtid"]["seqno"] = 416.into();
    for (bytes, words) in [
        (other.to_string(), "its position is 4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:416, not "),
        (fs::read_to_string(two.here(MANIFEST)).unwrap() + "\n", "its manifest has other bytes"),
        ("garbage".into(), "its manifest cannot be used: the manifest is damaged"),
    ] {
        fs::write(two.there(MANIFEST), &bytes).unwrap();
        let error = two.copy_plain().unwrap_err();
        assert!(!error.is_damage() && error.to_string().contains(words), "{error}");
        assert_eq!(fs::read_to_string(two.there(MANIFEST)).unwrap(), bytes);
    }
}

#[test]
fn an_interruption_leaves_nothing() {
    let two = Two::new();
    let stop = AtomicBool::new(false);
    let (seen, source) = (AtomicU64::new(0), two.source(two.local("here")));
    let progress = |bytes: u64| {
        seen.store(bytes, Ordering::Relaxed);
        stop.store(bytes > 300_000, Ordering::Relaxed);
    };
    let outcome = copy(&source, &two.local("there"), Timestamp::now(), &progress, &stop);
    assert!(matches!(outcome, Err(CopyError::Interrupted { .. })), "{outcome:?}");
    assert!((300_000..601_000).contains(&seen.load(Ordering::Relaxed)));
    assert!(!two.there("").exists());
}

#[test]
fn what_somebody_else_has_completed_meanwhile_is_not_taken_back() {
    let two = Two::new();
    let (stop, source) = (AtomicBool::new(false), two.source(two.local("here")));
    let progress = |_| {
        for name in [ARCHIVE, INDEX, MANIFEST] {
            fs::copy(two.here(name), two.there(name)).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    };
    let outcome = copy(&source, &two.local("there"), Timestamp::now(), &progress, &stop);
    assert!(matches!(outcome, Err(CopyError::Interrupted { .. })), "{outcome:?}");
    assert!(two.is_complete());
}

#[test]
fn a_folder_that_was_left_is_taken_over_with_what_is_not_ours() {
    let two = Two::new();
    fs::create_dir_all(two.there("")).unwrap();
    fs::write(two.there(HOLD), "held there").unwrap();
    assert!(matches!(two.copy_plain(), Err(CopyError::Busy { ago: 0..=60, .. })));
    let taken = |minutes| two.copy(two.local("here"), &two.local("there"), minutes);
    assert!(matches!(taken(-60), Err(CopyError::Busy { .. })), "a clock is wrong");
    assert_eq!(taken(3).unwrap(), CopyOutcome::Copied);
    assert_eq!(fs::read(two.there(HOLD)).unwrap(), b"held there");
}
