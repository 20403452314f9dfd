//! A copy between two directories, with everything that can go wrong on either side.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::AtomicUsize;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::*;
use crate::catalog::{HOLD, INDEX, MANIFEST, STATUS, read_manifest};
use crate::storage::{LocalStorage, ObjectInfo, Unfinished};

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

    fn source(&self, storage: Arc<dyn Storage>) -> Source {
        let found = read_manifest(self.local("here").as_ref(), "c", &ID.parse().unwrap()).unwrap();
        Source::new(storage, "c".into(), found)
    }

    /// Copies from one storage to another at a time so many minutes from now.
    fn copy(
        &self,
        from: Arc<dyn Storage>,
        to: &Arc<dyn Storage>,
        minutes: i64,
    ) -> Result<Outcome, CopyError> {
        let now = Timestamp::now() + SignedDuration::from_mins(minutes);
        copy(&self.source(from), to, now, &|_| {}, &AtomicBool::new(false))
    }

    fn copy_plain(&self) -> Result<Outcome, CopyError> {
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

/// A storage that fails, dies, or does something on the side at operation N.
struct Odd {
    inner: LocalStorage,
    count: AtomicUsize,
    at: usize,
    what: Whim,
}

enum Whim {
    /// This operation fails, and no other.
    Fails,
    /// This one and all others.
    Dies,
    /// Something happens before it.
    Happens(Box<dyn Fn() + Send + Sync>),
    /// The same, and from that operation on all fail but removals.
    Meanwhile(Box<dyn Fn() + Send + Sync>, usize),
}

impl Odd {
    fn new(two: &Two, side: &str, at: usize, what: Whim) -> Arc<Self> {
        let inner = LocalStorage::new(two.folder.path().join(side));
        Arc::new(Self { inner, count: AtomicUsize::new(0), at, what })
    }

    fn step(&self, action: &'static str, name: &str) -> Result<(), StorageError> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let fails = match &self.what {
            Whim::Fails => number == self.at,
            Whim::Dies => number >= self.at,
            Whim::Happens(work) => {
                if number == self.at {
                    work();
                }
                false
            }
            Whim::Meanwhile(work, then) => {
                if number == self.at {
                    work();
                }
                number >= *then && !matches!(action, "remove" | "open" | "list")
            }
        };
        if fails { Err(StorageError::new(action, name, io::Error::other("no more"))) } else { Ok(()) }
    }
}

/// The storage itself, as readers and writers hold it too.
#[derive(Clone)]
struct Shared(Arc<Odd>);

impl Storage for Shared {
    fn location(&self) -> String {
        self.0.inner.location()
    }

    fn probe(&self) -> Result<(), StorageError> {
        self.0.inner.probe()
    }

    fn claim(&self, folder: &str) -> Result<bool, StorageError> {
        self.0.step("create", folder)?;
        self.0.inner.claim(folder)
    }

    fn folders(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        self.0.inner.folders(folder)
    }

    fn objects(&self, folder: &str) -> Result<Vec<ObjectInfo>, StorageError> {
        self.0.step("list", folder)?;
        self.0.inner.objects(folder)
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StorageError> {
        self.0.step("open", name)?;
        let inner = self.0.inner.open(name)?;
        Ok(Box::new(OddReader { inner, storage: self.clone() }))
    }

    fn create(&self, name: &str) -> Result<Box<dyn ObjectWriter>, StorageError> {
        self.0.step("create", name)?;
        let inner = Some(self.0.inner.create(name)?);
        Ok(Box::new(OddWriter { inner, storage: self.clone() }))
    }

    fn remove(&self, name: &str) -> Result<(), StorageError> {
        self.0.step("remove", name)?;
        self.0.inner.remove(name)
    }

    fn remove_folder(&self, folder: &str) -> Result<(), StorageError> {
        self.0.step("remove", folder)?;
        self.0.inner.remove_folder(folder)
    }

    fn unfinished(&self, folder: &str) -> Result<Vec<Unfinished>, StorageError> {
        self.0.inner.unfinished(folder)
    }

    fn last_written(&self, folder: &str) -> Result<Option<Timestamp>, StorageError> {
        self.0.inner.last_written(folder)
    }

    fn free_bytes(&self) -> Result<Option<u64>, StorageError> {
        self.0.step("look at", "it")?;
        self.0.inner.free_bytes()
    }
}

struct OddReader {
    inner: Box<dyn ObjectReader>,
    storage: Shared,
}

impl Read for OddReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.storage.0.step("read", "it").map_err(io::Error::other)?;
        self.inner.read(buffer)
    }
}

impl io::Seek for OddReader {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

struct OddWriter {
    inner: Option<Box<dyn ObjectWriter>>,
    storage: Shared,
}

impl Write for OddWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.storage.0.step("write", "it").map_err(io::Error::other)?;
        self.inner.as_mut().unwrap().write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ObjectWriter for OddWriter {
    fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        self.storage.0.step("sync", "it")?;
        self.inner.take().unwrap().commit()
    }
}

impl Drop for OddWriter {
    fn drop(&mut self) {
        // The dead remove nothing.
        if matches!(self.storage.0.what, Whim::Dies)
            && let Some(inner) = self.inner.take()
        {
            std::mem::forget(inner);
        }
    }
}

/// Runs a copy once with each operation of one side gone wrong, until none is left to go wrong; how many there were.
fn with_each(
    side: &str,
    whim: fn() -> Whim,
    check: impl Fn(&Two, usize, Result<Outcome, CopyError>),
) -> usize {
    for at in 0.. {
        let two = Two::new();
        let odd = Odd::new(&two, side, at, whim());
        let storage: Arc<dyn Storage> = Arc::new(Shared(Arc::clone(&odd)));
        let outcome = match side {
            "here" => two.copy(storage, &two.local("there"), 0),
            _ => two.copy(two.local("here"), &storage, 0),
        };
        check(&two, at, outcome);
        if odd.count.load(Ordering::Relaxed) <= at {
            return at;
        }
    }
    0
}

#[test]
fn a_copy_is_the_same_folder_but_for_the_hold() {
    let two = Two::new();
    assert_eq!(two.copy_plain().unwrap(), Outcome::Copied);
    let mut names: Vec<_> =
        fs::read_dir(two.there("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [ARCHIVE, INDEX, MANIFEST, STATUS]);
    assert!(two.is_complete() && fs::read(two.there(STATUS)).unwrap() == b"{}");
    assert_eq!(two.copy_plain().unwrap(), Outcome::AlreadyThere);
    fs::remove_file(two.here(STATUS)).unwrap();
    fs::remove_dir_all(two.there("")).unwrap();
    assert_eq!(two.copy_plain().unwrap(), Outcome::Copied);
    assert!(!two.there(STATUS).exists());
}

#[test]
fn what_fails_leaves_nothing_and_the_next_one_succeeds() {
    for side in ["here", "there"] {
        let operations = with_each(
            side,
            || Whim::Fails,
            |two, at, outcome| match outcome {
                Ok(_) => assert!(two.is_complete(), "{side} {at}"),
                Err(error) => {
                    assert!(
                        !error.is_damage() && error.to_string().ends_with("no more"),
                        "{side} {at}: {error}"
                    );
                    two.assert_no_backup(&error);
                    assert_eq!(two.copy_plain().unwrap(), Outcome::Copied);
                }
            },
        );
        assert!(operations >= 12, "{side}: {operations}");
    }
}

#[test]
fn who_dies_anywhere_leaves_no_backup_that_looks_complete() {
    let operations = with_each(
        "there",
        || Whim::Dies,
        |two, at, outcome| {
            assert!(two.is_complete() || !two.there(MANIFEST).exists(), "{at}: {outcome:?}");
            if !two.is_complete() && two.there(STATUS).exists() {
                let error = two.copy_plain().unwrap_err().to_string();
                assert!(
                    error.contains("somebody is at work on backup") && error.ends_with("in a minute"),
                    "{error}"
                );
            }
            let wanted = if two.is_complete() { Outcome::AlreadyThere } else { Outcome::Copied };
            assert_eq!(two.copy(two.local("here"), &two.local("there"), 3).unwrap(), wanted, "{at}");
            assert!(two.is_complete(), "{at}");
        },
    );
    assert!(operations >= 12, "{operations}");
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
fn what_changes_size_behind_the_list_is_seen_too() {
    for (bytes, words) in
        [(700_000, "it has more than the 600000 bytes that"), (10, "it has 10 bytes, the manifest says")]
    {
        let mut seen = 0;
        for at in 0..14 {
            let two = Two::new();
            let path = two.here(ARCHIVE);
            let work = move || fs::write(&path, vec![7; bytes]).unwrap();
            let odd = Odd::new(&two, "here", at, Whim::Happens(Box::new(work)));
            // At the last operations all of it has been read.
            if let Err(error) = two.copy(Arc::new(Shared(odd)), &two.local("there"), 0) {
                assert!(error.is_damage() && !two.there("").exists(), "{error}");
                seen += usize::from(error.to_string().contains(words));
            }
        }
        assert!(seen > 0, "{words}");
    }
}

#[test]
fn a_backup_that_is_pruned_meanwhile_is_not_taken_for_damaged() {
    for at in 0..9 {
        let two = Two::new();
        let folder = two.here("");
        let work = move || fs::remove_dir_all(&folder).unwrap();
        let odd: Arc<dyn Storage> =
            Arc::new(Shared(Odd::new(&two, "here", at, Whim::Happens(Box::new(work)))));
        let source = two.source(Arc::clone(&odd));
        let outcome = copy(&source, &two.local("there"), Timestamp::now(), &|_| {}, &AtomicBool::new(false));
        match outcome {
            // What was open already could be read to its end.
            Ok(_) => assert!(two.there(MANIFEST).exists() && at > 5),
            Err(error) => {
                assert!(error.may_be_removal() && source.is_removed(), "{at}: {error}");
                assert!(!two.there("").exists(), "{at}");
            }
        }
    }
}

#[test]
fn what_is_removed_there_before_the_manifest_comes_is_missed() {
    for name in [ARCHIVE, INDEX] {
        let missed = with_each("there", || Whim::Fails, |_, _, _| {});
        let mut seen = 0;
        for at in 0..missed {
            let two = Two::new();
            let path = two.there(name);
            let work = move || drop(fs::remove_file(&path));
            let odd = Odd::new(&two, "there", at, Whim::Happens(Box::new(work)));
            match two.copy(two.local("here"), &(Arc::new(Shared(odd)) as Arc<dyn Storage>), 0) {
                Err(error @ CopyError::Vanished { .. }) => {
                    seen += 1;
                    assert!(error.to_string().contains(&format!("{name}: it is missing")), "{error}");
                    two.assert_no_backup(&error);
                    assert!(two.there(STATUS).exists());
                }
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(seen >= 2, "{name}: {seen}");
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

/// Two copies work on the same folder, since one takes the other for dead. Whatever becomes of the first at whichever
/// moment, and whenever the second one is through, what has a manifest is whole.
#[test]
fn of_two_at_once_none_takes_away_what_the_other_has() {
    let operations = with_each("there", || Whim::Fails, |_, _, _| {});
    let mut completed = 0;
    for at in 0..operations + 6 {
        for then in at.saturating_sub(4)..=at + 2 {
            let two = Arc::new(Two::new());
            let other = Arc::clone(&two);
            let stop = Arc::new(AtomicBool::new(false));
            let stopped = Arc::clone(&stop);
            // The second copy begins and ends in between: before the first one fails, or while that takes back what it has made.
            let work = move || {
                let _ = other.copy(other.local("here"), &other.local("there"), 3);
                stopped.store(true, Ordering::Relaxed);
            };
            let odd = Odd::new(&two, "there", at, Whim::Meanwhile(Box::new(work), then));
            let target: Arc<dyn Storage> = Arc::new(Shared(odd));
            let outcome = copy(&two.source(two.local("here")), &target, Timestamp::now(), &|_| {}, &stop);
            let is_other_through = stop.load(Ordering::Relaxed);
            assert!(two.is_complete() || !is_other_through, "{at} {then}: {outcome:?}");
            completed += usize::from(is_other_through && outcome.is_err());
        }
    }
    assert!(completed > 20, "{completed}");
}

#[test]
fn a_folder_that_was_left_is_taken_over_with_what_is_not_ours() {
    let two = Two::new();
    fs::create_dir_all(two.there("")).unwrap();
    fs::write(two.there(HOLD), "held there").unwrap();
    assert!(matches!(two.copy_plain(), Err(CopyError::Busy { ago: 0..=60, .. })));
    let taken = |minutes| two.copy(two.local("here"), &two.local("there"), minutes);
    assert!(matches!(taken(-60), Err(CopyError::Busy { .. })), "a clock is wrong");
    assert_eq!(taken(3).unwrap(), Outcome::Copied);
    assert_eq!(fs::read(two.there(HOLD)).unwrap(), b"held there");
}
