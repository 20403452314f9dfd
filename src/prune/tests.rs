//! The plan and the removal on a directory, with what changes between the two.

#[path = "failing_tests.rs"]
mod failing;

use std::fs::{self, FileTimes};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::policy::RetentionVerdict;
use super::*;
use crate::config::Retention;
use crate::model::BackupId;
use crate::storage::LocalStorage;
use crate::storage::testing::{Operation, Whims, Whimsical};

const LAST: Retention =
    Retention { within: None, last: Some(1), daily: None, weekly: None, monthly: None, yearly: None };

/// A repository with one backup a day, the newest an hour old; each is this many days old.
struct DailyBackups {
    folder: tempfile::TempDir,
    now: Timestamp,
}

impl DailyBackups {
    fn new(days: impl IntoIterator<Item = i64>) -> Self {
        let repository = Self { folder: tempfile::tempdir().unwrap(), now: Timestamp::now() };
        days.into_iter().for_each(|days| repository.back_up(days));
        repository
    }

    fn storage(&self) -> LocalStorage {
        LocalStorage::new(self.folder.path())
    }

    /// The same in the hands of a program that dies after so many removals.
    fn mortal(&self, lives: usize) -> Whimsical<Mortal> {
        let mortal = Mortal { removed: Mutex::default(), left: AtomicUsize::new(lives) };
        Whimsical::new(self.folder.path(), mortal)
    }

    fn id(&self, days: i64) -> BackupId {
        BackupId::new(self.now - SignedDuration::from_hours(24 * days + 1), "n1")
    }

    fn path(&self, days: i64) -> PathBuf {
        self.folder.path().join("c").join(self.id(days).as_str())
    }

    fn put(&self, days: i64, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(days).join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        age(&path, days);
    }

    fn status(&self, days: i64, state: &str) {
        let id = self.id(days);
        let began = id.started().unwrap();
        let status = json!({
            "id": id, "cluster": "c", "node": "n1", "request": null, "state": state, "started": began,
            "updated": began, "pid": 1, "bytes_done": 1, "bytes_total": 2, "gtid": null, "error": null
        });
        self.put(days, "status.json", status.to_string());
    }

    fn back_up(&self, days: i64) {
        let id = self.id(days);
        let at = id.started().unwrap();
        let manifest = json!({
            "format": 1, "id": id, "cluster": "c", "node": "n1", "method": "freeze", "started": at,
            "frozen_at": at, "finished": at, "flush_ms": 1, "frozen_ms": 2,
            "gtid": {"uuid": "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f", "seqno": 1000 - days, "domain_id": 0},
            "mariadb_gtid": {}, "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
            "archive": {"name": "backup.tar", "bytes": 40, "sha256": "", "compression": "none"},
            "index": {"name": "index.json.zst", "bytes": 2, "sha256": ""},
            "damaged_pages": 0, "tool": {"version": "0"}
        });
        self.put(days, "index.json.zst", "ii");
        self.put(days, "backup.tar", "a".repeat(40));
        self.status(days, "done");
        self.put(days, "manifest.json", manifest.to_string());
    }

    fn plan(&self) -> PrunePlan {
        PrunePlan::make(&self.storage(), None, &LAST, self.now).unwrap()
    }

    /// Ages of the folders that are there.
    fn left(&self, of: &[i64]) -> Vec<i64> {
        of.iter().copied().filter(|days| self.path(*days).exists()).collect()
    }
}

fn age(path: &Path, days: i64) {
    let seconds = u64::try_from(days * 86_400 + 3600).unwrap();
    let time = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

#[test]
fn signs_of_programs_that_have_died_go_when_they_are_a_day_old() {
    let repository = DailyBackups::new([1, 0]);
    let root = repository.folder.path();
    for (name, days) in [
        ("freezing.c.dead00", 2),
        ("asking.c.dead00-rare", 2),
        ("asking.d.e.dead00", 2),
        ("freezing.c.alive0", 0),
        ("pruned.c.json", 2),
        ("freezing", 2),
    ] {
        fs::write(root.join(name), "node 'n1' on db1 pid 7 ..").unwrap();
        age(&root.join(name), days);
    }
    let names = |plan: &PrunePlan| plan.signs.iter().map(|sign| sign.name.clone()).collect::<Vec<_>>();
    let storage = repository.storage();
    let of_one = PrunePlan::make(&storage, Some("c"), &LAST, repository.now).unwrap();
    assert_eq!(names(&of_one), ["asking.c.dead00-rare", "freezing.c.dead00"]);
    let plan = repository.plan();
    assert_eq!(names(&plan), ["asking.c.dead00-rare", "asking.d.e.dead00", "freezing.c.dead00"]);
    assert!(plan.signs[0].reason().starts_with("its program has died, it was last written at 20"));
    // One of them lives after all.
    fs::write(root.join("freezing.c.dead00"), "node 'n1' on db1 pid 7 ...").unwrap();
    let tally = carry_out(&storage, &plan, &|| false);
    assert_eq!((tally.leftovers, tally.failed.len()), (2, 0), "{tally:?}");
    let mut left: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["c", "freezing", "freezing.c.alive0", "freezing.c.dead00", "pruned.c.json"]);
}

/// Tells what is removed, and fails from one removal on, as if the program had died there.
struct Mortal {
    removed: Mutex<Vec<String>>,
    left: AtomicUsize,
}

impl Whims for Mortal {
    fn before(&self, operation: Operation, name: &str) -> io::Result<()> {
        if operation != Operation::Remove {
            return Ok(());
        }
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(|_| self.removed.lock().unwrap().push(name.to_owned()))
            .map_err(|_| io::Error::other("it is dead"))
    }
}

#[test]
fn the_manifest_goes_first_and_the_folder_last() {
    let repository = DailyBackups::new([0, 5]);
    repository.put(5, ".backup.tar.1.0.tmp", "half");
    repository.put(5, "verify.json", "anything");
    let storage = repository.mortal(usize::MAX);
    let tally = carry_out(&storage, &repository.plan(), &|| false);
    let folder = format!("c/{}", repository.id(5));
    let names = ["manifest.json", "backup.tar", "index.json.zst", "verify.json", "status.json"];
    let mut wanted = names.map(|name| format!("{folder}/{name}")).to_vec();
    wanted.extend([format!("{folder}/.backup.tar.1.0.tmp"), folder]);
    // The temporary file is named in the plan, too, and is gone when its turn comes.
    assert_eq!(storage.whims.removed.lock().unwrap()[..7], wanted);
    assert_eq!((tally.backups, tally.bytes, tally.failed.len()), (1, 46, 0));
    assert_eq!(repository.left(&[0, 5]), [0]);
}

#[test]
fn one_that_dies_anywhere_leaves_no_half_backup_and_the_next_finishes() {
    for lives in 0..25 {
        let repository = DailyBackups::new([0, 4, 5]);
        repository.put(4, ".x.1.0.tmp", "half");
        repository.status(3, "failed");
        repository.put(3, "backup.tar", "a");
        let storage = repository.mortal(lives);
        // It dies, rather than going on with the next.
        carry_out(&storage, &repository.plan(), &|| storage.whims.left.load(Ordering::Relaxed) == 0);
        for days in [0, 4, 5] {
            let has = |name: &str| repository.path(days).join(name).exists();
            assert!(!has("manifest.json") || (has("backup.tar") && has("index.json.zst")), "{lives} {days}");
        }
        let tally = carry_out(&repository.storage(), &repository.plan(), &|| false);
        assert_eq!((tally.failed, tally.spared), (vec![], vec![]), "{lives}");
        assert_eq!(repository.left(&[0, 3, 4, 5]), [0], "{lives}");
        assert!(repository.plan().is_idle());
    }
}

#[test]
fn what_cannot_be_removed_does_not_keep_the_rest() {
    let repository = DailyBackups::new([0, 3, 4, 5]);
    fs::create_dir(repository.path(4).join("foreign")).unwrap();
    let tally = carry_out(&repository.storage(), &repository.plan(), &|| false);
    assert_eq!((tally.backups, tally.failed.len(), tally.stopped), (2, 1, false));
    assert!(tally.failed[0].contains("cannot remove the folder"), "{tally:?}");
    assert_eq!(repository.left(&[0, 3, 4, 5]), [0, 4]);
}

#[test]
fn what_changes_between_plan_and_removal_is_seen() {
    let repository = DailyBackups::new([0, 3, 4]);
    repository.status(5, "copying");
    repository.status(6, "copying");
    repository.status(7, "copying");
    let plan = repository.plan();
    assert_eq!(plan.clusters[0].leftovers.iter().filter(|leftover| leftover.goes).count(), 3);
    repository.put(4, "hold.json", "anything");
    repository.put(5, "manifest.json", "anything");
    fs::write(repository.path(6).join("backup.tar"), "somebody is back").unwrap();
    let tally = carry_out(&repository.storage(), &plan, &|| false);
    assert_eq!((tally.backups, tally.leftovers), (1, 1));
    let spared = [(4, "held, as its"), (6, "it may still run"), (5, "it has a manifest now")];
    for ((days, why), spared) in spared.iter().zip(&tally.spared) {
        let wanted = format!("{} stays: ", repository.id(*days));
        assert!(spared.starts_with(&wanted) && spared.contains(why), "{spared}");
    }
    assert_eq!(tally.spared.len(), 3);
    assert_eq!(repository.left(&[0, 3, 4, 5, 6, 7]), [0, 4, 5, 6]);
}

#[test]
fn two_at_once_remove_the_same() {
    let repository = DailyBackups::new(0..30);
    let plan = repository.plan();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let prune = || carry_out(&repository.storage(), &plan, &|| false);
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(prune)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(tallies.iter().all(|tally| tally.failed.is_empty()), "{tallies:?}");
    assert_eq!(repository.left(&(0..30).collect::<Vec<_>>()), [0]);
}

#[test]
fn a_folder_is_swept_when_it_is_a_day_old_by_every_clock() {
    let repository = DailyBackups::new([0]);
    let runs = |plan: &PrunePlan| -> Vec<(bool, String)> {
        let leftovers = &plan.clusters[0].leftovers;
        leftovers.iter().map(|leftover| (leftover.goes, leftover.reason.clone())).collect()
    };
    fs::create_dir_all(repository.path(5)).unwrap();
    assert_eq!(runs(&repository.plan()), [(true, "no manifest and no status: its program has died".into())]);
    // Its file is younger than a day, whatever the id says.
    fs::write(repository.path(5).join("backup.tar"), "a").unwrap();
    let may_run = "not complete, and it may still run: something has changed within a day";
    assert_eq!(runs(&repository.plan()), [(false, may_run.into())]);
    age(&repository.path(5).join("backup.tar"), 1);
    assert_eq!(runs(&repository.plan()).first().map(|(goes, _)| *goes), Some(true));
    repository.status(5, "copying");
    assert_eq!(runs(&repository.plan()), [(true, "not complete: its program has died".into())]);
    repository.status(5, "done");
    assert_eq!(runs(&repository.plan()), [(true, "what is left of a removed backup".into())]);
    repository.put(5, "hold.json", "{");
    assert!(!runs(&repository.plan())[0].0);
    fs::remove_file(repository.path(5).join("hold.json")).unwrap();
    // What has failed today is for tomorrow; what comes from the future is for nobody.
    fs::write(
        repository.path(5).join("status.json"),
        fs::read(repository.path(5).join("status.json")).unwrap(),
    )
    .unwrap();
    assert_eq!(
        runs(&repository.plan()),
        [(false, "what is left of a removed backup; it goes when it is a day old".into())]
    );
    fs::remove_dir_all(repository.path(5)).unwrap();
    fs::create_dir_all(repository.path(-3)).unwrap();
    assert!(runs(&repository.plan())[0].1.starts_with("FROM THE FUTURE"));
}

#[test]
fn a_run_that_may_go_on_protects_what_is_younger() {
    let repository = DailyBackups::new([0, 3, 4, 6, 7]);
    // It began five days ago and has written just now.
    repository.status(5, "copying");
    fs::write(repository.path(5).join(".backup.tar.1.0.tmp"), "growing").unwrap();
    let removed = |plan: &PrunePlan| {
        let backups = plan.clusters[0].backups.iter();
        backups.filter(|backup| matches!(backup.verdict, RetentionVerdict::Remove(_))).count()
    };
    assert_eq!(removed(&repository.plan()), 2);
    carry_out(&repository.storage(), &repository.plan(), &|| false);
    assert_eq!(repository.left(&[0, 3, 4, 5, 6, 7]), [0, 3, 4, 5]);
    assert!(repository.path(5).join(".backup.tar.1.0.tmp").exists());
    age(&repository.path(5).join(".backup.tar.1.0.tmp"), 2);
    carry_out(&repository.storage(), &repository.plan(), &|| false);
    assert_eq!(repository.left(&[0, 3, 4, 5, 6, 7]), [0]);
}

#[test]
fn it_stops_when_it_is_told_to() {
    let repository = DailyBackups::new([0, 3, 4]);
    let asked = AtomicUsize::new(0);
    let tally =
        carry_out(&repository.storage(), &repository.plan(), &|| asked.fetch_add(1, Ordering::Relaxed) >= 2);
    assert_eq!((tally.backups, tally.stopped, tally.failed.len()), (0, true, 0));
    let has = |days: i64, name: &str| repository.path(days).join(name).exists();
    assert_eq!(
        (has(4, "manifest.json"), has(4, "backup.tar"), has(4, "index.json.zst")),
        (false, false, true)
    );
    assert!(has(3, "manifest.json"));
}
