//! What speaks against a backup, and what `latest` makes of it.

use jiff::SignedDuration;

use super::*;
use crate::catalog::{CatalogError, Selector};
use crate::storage::{LocalStorage, Storage};

const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";

fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

/// A repository with backups from so many minutes ago.
struct AgedBackups {
    folder: tempfile::TempDir,
}

impl AgedBackups {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn back_up(&self, minutes: i64, seqno: i64) -> BackupId {
        let at = ago(minutes);
        let id = BackupId::new(at, "n1");
        let manifest = serde_json::json!({
            "format": 1, "id": id, "cluster": "c", "node": "n1", "method": "freeze", "started": at,
            "frozen_at": at, "finished": at, "flush_ms": 1, "frozen_ms": 2,
            "gtid": {"uuid": UUID, "seqno": seqno, "domain_id": 0},
            "mariadb_gtid": {}, "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
            "archive": {"name": "backup.tar", "bytes": 1, "sha256": "", "compression": "none"},
            "index": {"name": "index.json.zst", "bytes": 1, "sha256": ""},
            "damaged_pages": 0, "tool": {"version": "0"}
        });
        let storage = self.storage();
        storage.claim(&format!("c/{id}")).unwrap();
        for (name, content) in
            [("backup.tar", "a"), ("index.json.zst", "i"), ("manifest.json", &manifest.to_string())]
        {
            storage.put(&format!("c/{id}/{name}"), content.as_bytes()).unwrap();
        }
        self.write_at(&id, at.min(Timestamp::now()));
        id
    }

    /// The storage has had the manifest since then.
    fn write_at(&self, id: &BackupId, at: Timestamp) {
        let file = std::fs::File::open(self.folder.path().join(format!("c/{id}/manifest.json"))).unwrap();
        file.set_times(std::fs::FileTimes::new().set_modified(at.into())).unwrap();
    }

    fn storage(&self) -> LocalStorage {
        LocalStorage::new(self.folder.path())
    }

    /// What `latest` is: to somebody who relies on it, and to somebody who looks at it.
    fn latest(&self) -> [Result<BackupId, String>; 2] {
        let (storage, now) = (self.storage(), Timestamp::now());
        let found = |found: Result<(String, Manifest), CatalogError>| {
            found.map(|(_, manifest)| manifest.id).map_err(|error| error.to_string())
        };
        [Selector::Latest.find_intact(&storage, None, now), Selector::Latest.find(&storage, None, now)]
            .map(found)
    }
}

#[test]
fn a_newest_that_is_known_to_be_damaged_is_refused_and_the_next_one_is_named() {
    let repository = AgedBackups::new();
    let good = repository.back_up(3000, 5);
    let bad = repository.back_up(100, 6);
    assert_eq!(repository.latest(), [Ok(bad.clone()), Ok(bad.clone())]);
    let storage = repository.storage();
    let lose = || storage.remove(&format!("c/{bad}/backup.tar")).unwrap();
    let shorten = || storage.put(&format!("c/{bad}/index.json.zst"), b"").unwrap();
    let report = || {
        let found = serde_json::json!({
            "verified": ago(5), "by": "root@db1", "command": "verify", "outcome": "damaged", "findings": 2,
            "files": 1, "bytes": 1, "pages_checked": 1, "pages_skipped": 0, "took_ms": 1, "tool": {"version": "0"}
        });
        storage.put(&format!("c/{bad}/verify.json"), found.to_string().as_bytes()).unwrap();
    };
    for (harm, what) in [
        (&report as &dyn Fn(), "2 findings of 'verify' on"),
        (&shorten, "index.json.zst: it has 0 bytes, the manifest says 1"),
        (&lose, "backup.tar: it is missing"),
    ] {
        harm();
        let [relied, looked] = repository.latest();
        let error = relied.unwrap_err();
        assert!(error.starts_with(&format!("the newest backup '{bad}' is damaged: {what}")), "{error}");
        assert!(
            error.contains(&format!("; the newest that can be relied on is '{good}', taken 20")),
            "{error}"
        );
        assert_eq!(looked, Ok(bad.clone()));
    }
    let earlier = Selector::At(ago(200)).find_intact(&storage, None, Timestamp::now()).unwrap();
    assert_eq!(earlier.1.id, good);
    // With a newer one that is whole it is history.
    let newer = repository.back_up(10, 7);
    assert_eq!(repository.latest(), [Ok(newer.clone()), Ok(newer)]);
}

#[test]
fn a_newest_whose_time_cannot_be_right_is_refused() {
    let dated = |minutes: i64, written: i64, seqno: i64| {
        let repository = AgedBackups::new();
        let good = [repository.back_up(6000, 400), repository.back_up(3000, 500)];
        let odd = repository.back_up(minutes, seqno);
        repository.write_at(&odd, ago(written));
        (good, odd, repository.latest())
    };
    for (minutes, written, seqno, words) in [
        // From the future, by now and by the storage; and dated back, where its position says otherwise.
        (-600, 0, 450, "FROM THE FUTURE ("),
        (100, 4000, 450, "WRONG CLOCK: it says "),
        (4000, 10, 600, "ITS TIME IS IN DOUBT: "),
    ] {
        let ([_, good], odd, latest) = dated(minutes, written, seqno);
        for latest in latest {
            let error = latest.unwrap_err();
            let start = format!("the newest backup cannot be told, because of '{odd}': {words}");
            assert!(error.starts_with(&start), "{error}");
            assert!(error.contains(&format!("the newest that can be relied on is '{good}'")), "{error}");
        }
    }
    // A few minutes are nothing; nor is an epoch, which the storage's times tell from a wrong clock.
    for (minutes, written, seqno) in [(-4, 0, 501), (100, 96, 501), (100, 100, 450)] {
        let (_, odd, latest) = dated(minutes, written, seqno);
        assert_eq!(latest, [Ok(odd.clone()), Ok(odd)], "{minutes} {written} {seqno}");
    }
    // What is dated back, and is further on in no history, is merely old.
    let ([_, good], _, latest) = dated(8000, 10, 300);
    assert_eq!(latest, [Ok(good.clone()), Ok(good)]);
}

#[test]
fn of_two_within_minutes_the_one_that_is_further_is_the_newest() {
    let repository = AgedBackups::new();
    let further = repository.back_up(64, 8);
    repository.back_up(60, 7);
    assert_eq!(repository.latest(), [Ok(further.clone()), Ok(further)]);
}

#[test]
fn times_that_an_unpacking_has_made_up_say_nothing() {
    let repository = AgedBackups::new();
    let id = repository.back_up(60, 7);
    repository.write_at(&id, Timestamp::UNIX_EPOCH);
    assert_eq!(repository.latest(), [Ok(id.clone()), Ok(id)]);
}
