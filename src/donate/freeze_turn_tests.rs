use super::*;
use crate::storage::LocalStorage;

fn queue(folder: &std::path::Path, patience: Duration) -> Queue {
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::new(folder));
    Queue { storage, cluster: "c".into(), owner: "node 'n1' on db1".into(), patience }
}

#[test]
fn a_lease_of_another_donor_is_waited_for_and_one_of_the_own_node_is_nobodys() {
    let folder = tempfile::tempdir().unwrap();
    let (never, short) = (AtomicBool::new(false), Duration::from_millis(10));
    std::fs::write(folder.path().join("freezing.c.000001"), "node 'n1' on db1 pid 7 ..").unwrap();
    let (lease, other) = queue(folder.path(), short).wait(&never);
    assert_eq!((lease.is_some(), other), (true, None));
    assert!(!folder.path().join("freezing.c.000001").exists());
    drop(lease);
    std::fs::write(folder.path().join("freezing.c.000002"), "node 'n2' on db2 pid 7 ..").unwrap();
    let (lease, other) = queue(folder.path(), short).wait(&never);
    let seen = Other { who: "node 'n2' on db2 pid 7".into(), lease: "freezing.c.000002".into() };
    assert_eq!((lease.is_some(), other), (true, Some(seen)));
    drop(lease);
    let waiting = queue(folder.path(), Duration::from_secs(600));
    let waits = std::thread::spawn(move || waiting.wait(&AtomicBool::new(false)).1);
    std::fs::remove_file(folder.path().join("freezing.c.000002")).unwrap();
    assert_eq!(waits.join().unwrap(), None);
}

#[test]
fn a_repository_that_answers_nothing_holds_up_no_donor() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("none");
    std::fs::write(&place, "a file").unwrap();
    let (lease, other) = queue(&place, Duration::from_secs(600)).wait(&AtomicBool::new(false));
    assert_eq!((lease.is_none(), other), (true, None));
}

#[test]
fn of_two_donors_that_wait_for_each_other_one_gives_up_first() {
    let donor = |name: &str| (name.to_owned(), NodeState::Donor);
    assert_eq!(patience("n1", &[donor("n2")]), FOR_MEMBER);
    assert_eq!(patience("n2", &[donor("n1")]), FOR_MEMBER_LAST);
    assert_eq!(patience("n2", &[donor("n1"), donor("n3")]), FOR_MEMBER);
    assert_eq!(patience("n2", &[("n1".into(), NodeState::Joined)]), FOR_MEMBER);
    // The other one has given up, and is Synced again, before.
    let end = 2 * PAUSE + Duration::from_secs(5);
    assert!(FOR_MEMBER > FOR_LEASE + end && FOR_MEMBER_LAST > FOR_MEMBER + end);
}
