//! Turns over a directory: what counts as recent, what is waited for, and many who want to ask at once.

use std::sync::Barrier;
use std::sync::atomic::AtomicUsize;

use serde_json::json;

use super::*;
use crate::storage::LocalStorage;

const PACE: Pace = Pace {
    poll: Duration::from_millis(20),
    beat: Duration::from_millis(20),
    // Longer than a busy machine keeps a thread from its next beat.
    silence: Duration::from_secs(2),
};
const NODES: usize = 8;
const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";
const OTHER: &str = "00000000-2f3a-11ef-9a3c-0a1b2c3d4e5f";

struct ElectionStage {
    _folder: tempfile::TempDir,
    storage: Arc<dyn Storage>,
    interrupted: AtomicBool,
}

impl ElectionStage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalStorage::new(folder.path()));
        Self { storage, interrupted: AtomicBool::new(false), _folder: folder }
    }

    fn queue(&self, limit: &str) -> Election<'_> {
        Election {
            storage: &self.storage,
            cluster: "c".into(),
            history: Some(UUID.into()),
            position: Some(7),
            class: BackupClass::Physical,
            limit: crate::config::parse_duration(limit).unwrap(),
            clock: Timestamp::now,
            pace: PACE,
            interrupted: &self.interrupted,
            deadline: Some(Instant::now() + Duration::from_secs(30)),
        }
    }

    /// A complete backup from `ago` minutes before now.
    fn back_up(&self, ago: i64) -> BackupId {
        self.back_up_of(UUID, ago)
    }

    /// The same of a history.
    fn back_up_of(&self, uuid: &str, ago: i64) -> BackupId {
        self.back_up_from(uuid, ago, ago)
    }

    /// The same of one that was begun longer before.
    fn back_up_from(&self, uuid: &str, begun_ago: i64, ago: i64) -> BackupId {
        let before = |minutes| Timestamp::now() - SignedDuration::from_mins(minutes);
        let (started, at) = (before(begun_ago), before(ago));
        let id = BackupId::new(at, "n1");
        let manifest = json!({
            "format": 1, "id": id, "cluster": "c", "node": "n1", "method": "freeze", "started": started,
            "frozen_at": at, "finished": at, "flush_ms": 1, "frozen_ms": 2,
            "gtid": {"uuid": uuid, "seqno": 7, "domain_id": 0},
            "mariadb_gtid": {}, "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
            "archive": {"name": "backup.tar", "bytes": 40, "sha256": "", "compression": "none"},
            "index": {"name": "index.json.zst", "bytes": 2, "sha256": ""},
            "damaged_pages": 0, "tool": {"version": "0"}
        });
        self.put(&id, "backup.tar", &"a".repeat(40));
        self.put(&id, "index.json.zst", "ii");
        self.put(&id, "manifest.json", &manifest.to_string());
        id
    }

    fn status(&self, id: &BackupId, state: &str, updated: Timestamp) {
        let status = json!({
            "id": id, "cluster": "c", "node": "n2", "request": null, "state": state, "started": updated,
            "updated": updated, "pid": 1, "bytes_done": 1, "bytes_total": 2, "gtid": null, "error": null
        });
        self.put(id, "status.json", &status.to_string());
    }

    fn put(&self, id: &BackupId, name: &str, text: &str) {
        self.storage.claim(&format!("c/{id}")).unwrap();
        self.storage.put(&format!("c/{id}/{name}"), text.as_bytes()).unwrap();
    }

    /// The recent backup that makes a request needless.
    fn recent(&self, limit: &str) -> Option<BackupId> {
        match self.queue(limit).take_turn(&mut |_| {}).unwrap() {
            AskDecision::Recent { place, .. } => Some(place.id),
            AskDecision::Ours(held) => {
                assert!(held.is_exclusive());
                None
            }
        }
    }

    fn leases(&self) -> usize {
        self.storage.objects("").unwrap().len()
    }
}

#[test]
fn a_backup_counts_by_its_age() {
    let repository = ElectionStage::new();
    assert_eq!(repository.recent("1h"), None);
    let id = repository.back_up(90);
    assert_eq!(repository.recent("1h"), None);
    assert_eq!(repository.recent("2h"), Some(id.clone()));
    // A failed attempt behind it, and one whose manifest nobody can read, hide nothing.
    let failed = BackupId::new(Timestamp::now() - SignedDuration::from_mins(10), "n2");
    repository.status(&failed, "failed", Timestamp::now());
    let broken = BackupId::new(Timestamp::now() - SignedDuration::from_mins(5), "n2");
    repository.put(&broken, "manifest.json", "{");
    assert_eq!(repository.recent("2h"), Some(id.clone()));
    // A clock that was wrong for one night does not end all backups.
    repository.back_up(-60 * 24 * 365);
    assert_eq!(repository.recent("1h"), None);
    assert_eq!(repository.recent("2h"), Some(id));
    let now = repository.back_up(-1);
    assert_eq!(repository.recent("1h"), Some(now));
    assert_eq!(repository.leases(), 0);
}

/// One that takes six hours every night is not of the night before.
#[test]
fn a_backup_counts_from_its_beginning_however_long_it_took() {
    let repository = ElectionStage::new();
    let id = repository.back_up_from(UUID, 24 * 60, 18 * 60);
    assert_eq!(repository.recent("20h"), None);
    assert_eq!(repository.recent("25h"), Some(id));
}

#[test]
fn a_backup_that_is_none_to_rely_on_is_no_reason_to_do_without_another_one() {
    let repository = ElectionStage::new();
    let good = repository.back_up(90);
    let id = repository.back_up(30);
    assert_eq!(repository.recent("2h"), Some(id.clone()));
    repository.storage.remove(&format!("c/{id}/backup.tar")).unwrap();
    assert_eq!(repository.recent("2h"), Some(good));
    assert_eq!(repository.recent("1h"), None);
}

#[test]
fn a_backup_that_is_ahead_of_the_cluster_is_no_reason_to_do_without_one() {
    let repository = ElectionStage::new();
    let id = repository.back_up(10);
    let took = |position: Option<i64>| {
        let queue = Election { position, ..repository.queue("1h") };
        match queue.take_turn(&mut |_| {}).unwrap() {
            AskDecision::Recent { place, .. } => Some(place.id),
            AskDecision::Ours(_) => None,
        }
    };
    // The backup is at 7.
    assert_eq!(took(Some(6)), None);
    assert_eq!(took(Some(7)), Some(id.clone()));
    assert_eq!(took(None), Some(id));
    // One that has come since the members were asked is ahead of what they said.
    let queue = Election { position: Some(6), ..repository.queue("1h") };
    assert!(queue.is_explained(2 * PACE.poll).unwrap());
    let mut runs = SeenRuns::default();
    assert!(matches!(queue.standing(&mut runs).unwrap(), ClusterActivity::Idle));
    let new = repository.back_up(0);
    let ClusterActivity::Recent(place, _) = queue.standing(&mut runs).unwrap() else {
        panic!("it is passed over")
    };
    assert_eq!(place.id, new);
}

#[test]
fn a_backup_of_another_history_is_no_reason_to_do_without_one() {
    let repository = ElectionStage::new();
    let foreign = repository.back_up_of(OTHER, 10);
    assert_eq!(repository.recent("2h"), None);
    // An older one of this history counts, also behind it.
    let own = repository.back_up(90);
    assert_eq!(repository.recent("2h"), Some(own));
    assert_eq!(repository.recent("1h"), None);
    // Where no member says what the history is, nobody can tell them apart.
    let unknown = Election { history: None, ..repository.queue("1h") };
    let turn = unknown.take_turn(&mut |_| {}).unwrap();
    assert!(matches!(turn, AskDecision::Recent { place, .. } if place.id == foreign));
    // Nor is a run of it waited for, once its position is known.
    let id = BackupId::new(Timestamp::now(), "n2");
    repository.status(&id, "copying", Timestamp::now());
    let text = repository.storage.read_small(&format!("c/{id}/status.json"), 4096).unwrap();
    let mut status: serde_json::Value = serde_json::from_slice(&text).unwrap();
    status["gtid"] = json!({"uuid": OTHER, "seqno": 9, "domain_id": null});
    repository.put(&id, "status.json", &status.to_string());
    assert_eq!(repository.recent("1h"), None);
}

#[test]
fn a_run_under_way_is_waited_for_and_a_dead_one_is_not() {
    let repository = ElectionStage::new();
    let id = BackupId::new(Timestamp::now(), "n2");
    repository.status(&id, "copying", Timestamp::now() - SignedDuration::from_hours(2));
    assert_eq!(repository.recent("1h"), None, "its last word is of two hours ago");

    repository.status(&id, "copying", Timestamp::now());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| repository.recent("1h"));
        for _ in 0..20 {
            std::thread::sleep(PACE.silence / 10);
            repository.status(&id, "copying", Timestamp::now());
            assert!(!waiting.is_finished(), "it did not wait");
        }
        repository.status(&id, "failed", Timestamp::now());
        assert_eq!(waiting.join().unwrap(), None);
    });

    repository.status(&id, "copying", Timestamp::now());
    let started = Instant::now();
    assert_eq!(repository.recent("1h"), None, "it says nothing any more");
    assert!(started.elapsed() >= PACE.silence);
}

#[test]
fn a_run_that_writes_rarely_is_not_dead_between_two_words() {
    let repository = ElectionStage::new();
    let id = BackupId::new(Timestamp::now(), "n2");
    repository.status(&id, "copying", Timestamp::now());
    let text = repository.storage.read_small(&format!("c/{id}/status.json"), 4096).unwrap();
    let mut status: serde_json::Value = serde_json::from_slice(&text).unwrap();
    status["beat_s"] = 300.into();
    repository.put(&id, "status.json", &status.to_string());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| repository.recent("1h"));
        std::thread::sleep(PACE.silence * 3);
        assert!(!waiting.is_finished(), "it did not wait");
        repository.status(&id, "failed", Timestamp::now());
        assert_eq!(waiting.join().unwrap(), None);
    });
}

#[test]
fn of_many_at_once_one_asks_and_the_others_find_its_backup() {
    for outcome in [Ok(()), Err(())] {
        let repository = ElectionStage::new();
        let (asked, spared) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let inside = AtomicUsize::new(0);
        let barrier = Barrier::new(NODES);
        std::thread::scope(|scope| {
            for _ in 0..NODES {
                scope.spawn(|| {
                    barrier.wait();
                    match repository.queue("1h").take_turn(&mut |_| {}).unwrap() {
                        AskDecision::Recent { .. } => {
                            spared.fetch_add(1, Ordering::SeqCst);
                        }
                        AskDecision::Ours(_held) => {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two ask at once");
                            std::thread::sleep(PACE.poll);
                            // The first one fails in one of the two rounds: the next takes over.
                            if asked.fetch_add(1, Ordering::SeqCst) > 0 || outcome.is_ok() {
                                repository.back_up(0);
                            }
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        let expected = if outcome.is_ok() { 1 } else { 2 };
        assert_eq!((asked.into_inner(), spared.into_inner()), (expected, NODES - expected));
        assert_eq!(repository.leases(), 0);
    }
}

#[test]
fn what_has_come_since_counts_however_old_it_is() {
    let repository = ElectionStage::new();
    let old = repository.back_up(180);
    let lease = Lease::take(&repository.storage, lease::LeaseKind::Asking, "c", "db1", PACE.beat).unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| repository.recent("1h"));
        std::thread::sleep(4 * PACE.poll);
        assert!(!waiting.is_finished(), "{old} is not recent");
        let new = repository.back_up(120);
        assert_eq!(waiting.join().unwrap(), Some(new));
    });
    drop(lease);
}

#[test]
fn whoever_asks_and_dies_holds_the_others_up_for_a_while_only() {
    let repository = ElectionStage::new();
    repository.storage.put("asking.c.dead00", b"db1 pid 7 ").unwrap();
    repository.storage.put("asking.other.dead00", b"db1 pid 7 ").unwrap();
    let mut told = Vec::new();
    let started = Instant::now();
    let turn = repository.queue("1h").take_turn(&mut |event| {
        if let Event::Waiting(what) = event {
            told.push((*what).to_owned());
        }
    });
    assert!(matches!(turn.unwrap(), AskDecision::Ours(held) if held.is_exclusive()));
    assert!(started.elapsed() >= PACE.silence);
    assert_eq!(told, ["a backup is being asked for by db1 pid 7"]);
    assert_eq!(repository.leases(), 1, "that of the other cluster");
}

#[test]
fn waiting_ends_with_ctrl_c_and_with_the_time() {
    let repository = ElectionStage::new();
    let lease = Lease::take(&repository.storage, lease::LeaseKind::Asking, "c", "db1", PACE.beat).unwrap();
    let mut queue = repository.queue("1h");
    queue.deadline = Some(Instant::now() + PACE.poll);
    let error = queue.take_turn(&mut |_| {}).err().unwrap();
    assert!(matches!(error, AskError::GivenUp("--timeout is over")), "{error}");
    repository.interrupted.store(true, Ordering::Relaxed);
    let error = repository.queue("1h").take_turn(&mut |_| {}).err().unwrap();
    assert!(matches!(error, AskError::GivenUp("interrupted")), "{error}");
    drop(lease);
}

#[test]
fn a_donor_that_the_repository_knows_explains_itself() {
    let repository = ElectionStage::new();
    assert!(!repository.queue("1h").is_explained(2 * PACE.poll).unwrap());
    let id = BackupId::new(Timestamp::now(), "n2");
    repository.status(&id, "freezing", Timestamp::now());
    assert!(repository.queue("1h").is_explained(2 * PACE.poll).unwrap());
}
