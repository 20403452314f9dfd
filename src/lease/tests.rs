use std::io;

use super::*;
use crate::storage::LocalStorage;
use crate::storage::testing::{Operation, Whims, Whimsical};

#[test]
fn a_lease_belongs_to_one_cluster() {
    assert!(is_of("asking.a.b.012345", LeaseKind::Asking, "a.b"));
    for name in ["asking.a.b.012345", "asking.a", "asking", "other.a.012345", "freezing.a.012345"] {
        assert!(!is_of(name, LeaseKind::Asking, "a"), "{name}");
    }
    for (name, of) in [
        ("asking.a.b.012345", Some("a.b")),
        ("freezing.a.012345-rare", Some("a")),
        ("pruned.a.json", None),
        ("asking.a", None),
        ("asking..x", None),
        ("freezing.a.", None),
        ("asking", None),
    ] {
        assert_eq!(cluster_of(name), of, "{name}");
    }
}

/// A directory that says of itself that it keeps old versions.
struct Keeping {
    keeps_versions: bool,
    may_remove: bool,
}

impl Whims for Keeping {
    fn before(&self, operation: Operation, _: &str) -> io::Result<()> {
        if operation == Operation::Remove && !self.may_remove {
            return Err(io::Error::other("AccessDenied"));
        }
        Ok(())
    }

    fn keeps_versions(&self) -> bool {
        self.keeps_versions
    }
}

#[test]
fn where_old_versions_are_kept_it_grows_rarely_and_is_taken_for_alive_between() {
    let folder = tempfile::tempdir().unwrap();
    let keeping = Keeping { keeps_versions: true, may_remove: true };
    let storage: Arc<dyn Storage> = Arc::new(Whimsical::new(folder.path(), keeping));
    let (beat, silence) = (Duration::from_millis(20), Duration::from_millis(100));
    let lease = Lease::take(&storage, LeaseKind::Asking, "c", "db1", beat).unwrap();
    let there = storage.objects("").unwrap();
    assert_eq!(there.len(), 1);
    assert!(there[0].name == lease.name() && is_of(lease.name(), LeaseKind::Asking, "c"), "{there:?}");
    let mut others = Others::default();
    assert_eq!(others.look(storage.as_ref(), LeaseKind::Asking, "c", None, silence).unwrap(), [lease.name()]);
    std::thread::sleep(3 * silence);
    assert_eq!(storage.objects("").unwrap(), there, "it has grown");
    assert_eq!(others.look(storage.as_ref(), LeaseKind::Asking, "c", None, silence).unwrap(), [lease.name()]);
    drop(lease);
    assert!(storage.objects("").unwrap().is_empty());
}

#[test]
fn it_is_seen_alive_and_gone_and_a_dead_one_is_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::new(folder.path()));
    let (beat, silence) = (Duration::from_millis(20), Duration::from_millis(400));
    let lease = Lease::take(&storage, LeaseKind::Asking, "c", "db1", beat).unwrap();
    let mut others = Others::default();
    let start = Instant::now();
    while start.elapsed() < 2 * silence {
        let seen = others.look(storage.as_ref(), LeaseKind::Asking, "c", None, silence).unwrap();
        assert_eq!(seen, [lease.name()]);
        std::thread::sleep(beat);
    }
    assert!(
        others
            .look(storage.as_ref(), LeaseKind::Asking, "c", Some(lease.name()), silence)
            .unwrap()
            .is_empty()
    );
    assert!(others.look(storage.as_ref(), LeaseKind::Asking, "other", None, silence).unwrap().is_empty());
    let said = holder(storage.as_ref(), lease.name());
    assert!(said.contains(&format!("pid {}", std::process::id())) && !said.contains(".."), "{said}");
    drop(lease);
    assert!(storage.objects("").unwrap().is_empty());

    storage.put("asking.c.dead00", b"db1 pid 7 ").unwrap();
    let mut others = Others::default();
    assert_eq!(
        others.look(storage.as_ref(), LeaseKind::Asking, "c", None, silence).unwrap(),
        ["asking.c.dead00"]
    );
    std::thread::sleep(silence);
    assert!(others.look(storage.as_ref(), LeaseKind::Asking, "c", None, silence).unwrap().is_empty());
    assert!(storage.objects("").unwrap().is_empty());
}

#[test]
fn one_that_cannot_be_removed_is_over_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for keeps_versions in [false, true] {
        let keeping = Keeping { keeps_versions, may_remove: false };
        let storage: Arc<dyn Storage> = Arc::new(Whimsical::new(folder.path(), keeping));
        let silence = Duration::from_secs(60);
        let take = || Lease::take(&storage, LeaseKind::Freezing, "c", "db1", silence).unwrap();
        let look = |own: &Lease| {
            let own = Some(own.name());
            Others::default().look(storage.as_ref(), LeaseKind::Freezing, "c", own, silence).unwrap()
        };
        let (one, two) = (take(), take());
        assert_eq!(look(&two), [one.name()]);
        drop(one);
        assert!(look(&two).is_empty());
    }
}

#[test]
fn who_has_a_lease_of_the_own_sees_at_once_that_another_is_dead() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::new(folder.path()));
    let silence = Duration::from_secs(60);
    for (name, age) in [("freezing.c.dead00", 61), ("freezing.c.alive0", 30)] {
        storage.put(name, b"db1 pid 7 ").unwrap();
        let written = std::time::SystemTime::now() - Duration::from_secs(age);
        let file = std::fs::File::options().write(true).open(folder.path().join(name)).unwrap();
        file.set_modified(written).unwrap();
    }
    let lease = Lease::take(&storage, LeaseKind::Freezing, "c", "db2", silence).unwrap();
    let look =
        |own| Others::default().look(storage.as_ref(), LeaseKind::Freezing, "c", own, silence).unwrap();
    assert_eq!(look(None).len(), 3);
    assert_eq!(look(Some(lease.name())), ["freezing.c.alive0"]);
    assert!(!folder.path().join("freezing.c.dead00").exists());
}

#[test]
fn a_dead_lease_is_taken_away_and_nothing_else_by_that_name() {
    let folder = tempfile::tempdir().unwrap();
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::new(folder.path()));
    std::fs::create_dir(folder.path().join("c")).unwrap();
    for name in ["asking.c.0123", "pruned.c.json", "c/asking.c.0123"] {
        storage.put(name, b"x").unwrap();
        take_away_dead(&storage, name);
    }
    let left: Vec<String> = storage.objects("").unwrap().into_iter().map(|object| object.name).collect();
    assert_eq!(left, ["pruned.c.json"]);
    assert_eq!(storage.objects("c").unwrap().len(), 1);
}

/// A directory that does not answer what writes for as long as somebody wants it so.
struct Hanging(std::sync::Mutex<bool>, std::sync::Condvar);

impl Whims for Hanging {
    fn before(&self, operation: Operation, _: &str) -> io::Result<()> {
        if operation == Operation::Create || operation == Operation::Remove {
            drop(self.1.wait_while(self.0.lock().unwrap(), |hangs| *hangs).unwrap());
        }
        Ok(())
    }
}

#[test]
fn a_repository_that_hangs_does_not_keep_whoever_lets_go_of_a_lease() {
    let folder = tempfile::tempdir().unwrap();
    let hanging =
        Whimsical::new(folder.path(), Hanging(std::sync::Mutex::new(false), std::sync::Condvar::new()));
    let whims = Arc::clone(&hanging.whims);
    let storage: Arc<dyn Storage> = Arc::new(hanging);
    let hang = |hangs| *whims.0.lock().unwrap() = hangs;
    for beat in [Duration::from_millis(10), Duration::from_secs(600)] {
        let lease = Lease::take(&storage, LeaseKind::Asking, "c", "db1", beat).unwrap();
        let name = lease.name().to_owned();
        hang(true);
        std::thread::sleep(Duration::from_millis(100));
        let begun = Instant::now();
        drop(lease);
        assert!(begun.elapsed() < 2 * REMOVED, "it was waited for");
        assert!(folder.path().join(&name).exists());
        // When it answers again, the lease goes.
        hang(false);
        whims.1.notify_all();
        let end = Instant::now() + Duration::from_secs(30);
        while folder.path().join(&name).exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!folder.path().join(&name).exists());
    }
}
