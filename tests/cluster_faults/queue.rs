//! A donor that does not get to the request, and members that somebody else has desynced: what is in the way is named, and a
//! request that is on its way is not given up.

use std::time::{Duration, Instant};

use mysql::prelude::Queryable;

use crate::stage::Stage;
use crate::support::{PATIENCE, wait_until};

/// Longer than a donor without a sign is waited for.
const LONG: Duration = Duration::from_secs(18);

#[test]
#[ignore = "needs MariaDB and Galera"]
fn what_keeps_a_donor_from_a_request_is_named_and_waited_for() {
    let stage = Stage::start(2);
    stage.donor().exec("INSTALL SONAME 'metadata_lock_info'");
    behind_a_lock(&stage);
    locks_that_desync(&stage);
    desynced_by_hand_meanwhile(&stage);
    assert_eq!(stage.administrator.leftovers(), Vec::<String>::new());
}

fn behind_a_lock(stage: &Stage) {
    let donor = stage.donor();
    let mut session = donor.session();
    session.query_drop("LOCK TABLES bulk.orders READ").unwrap();
    stage.cluster.n(1).exec("INSERT INTO bulk.orders (a, b) VALUES ('x', 'x')");
    let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'system user' AND TIME >= 3 \
                 AND STATE LIKE 'Waiting %'";
    let waiting = wait_until(Duration::from_secs(60), || donor.scalar(waits) == "1");
    assert!(waiting, "{:?}", donor.sql("SELECT * FROM information_schema.PROCESSLIST"));
    // Nobody is asked who would not get to it.
    stage.ask(&[]).finish().ended("refused", "'n2' does not apply what the others write: ");
    // Forced, it is asked: the request waits, and is not given up.
    let mut asking = stage.ask(&["--force"]);
    asking.wait_said("n2 has not come to the request yet");
    assert!(!wait_until(LONG, || asking.has_ended()), "given up: {}", asking.said());
    for text in [
        "in the state 'Waiting ",
        "(INSERT INTO bulk.orders (a, b) VALUES ('x', 'x'))",
        "MDL_SHARED_READ_ONLY on 'bulk.orders' is held by thread ",
    ] {
        assert!(asking.said().contains(text), "no '{text}' in: {}", asking.said());
    }
    assert_eq!(donor.status("wsrep_local_state_comment"), "Synced", "it has not begun");
    drop(session);
    stage.assert_whole(asking.finish().complete());
}

/// What can be seen is named at once.
fn locks_that_desync(stage: &Stage) {
    for (lock, unlock, words) in [
        ("FLUSH TABLES WITH READ LOCK", "UNLOCK TABLES", "holds FLUSH TABLES WITH READ LOCK"),
        ("BACKUP STAGE BLOCK_COMMIT", "BACKUP STAGE END", "holds a BACKUP STAGE"),
    ] {
        let mut session = stage.donor().session();
        if lock.starts_with("BACKUP") {
            session.query_drop("BACKUP STAGE START").unwrap();
        }
        session.query_drop(lock).unwrap();
        let told = stage.ask(&[]).finish();
        session.query_drop(unlock).unwrap();
        stage.donor().wait_synced(PATIENCE);
        assert!(told.text("error").contains("'n2' is Donor/Desynced: 'n2': thread "), "{told}");
        assert!(told.text("error").contains(words), "{told}");
    }
}

/// The backup is complete; that the donor will not be Synced is said, and not waited for.
fn desynced_by_hand_meanwhile(stage: &Stage) {
    let (asking, program, _) = stage.ask_and_hold("publishing");
    stage.donor().exec("SET GLOBAL wsrep_desync = ON");
    program.go_on();
    let since = Instant::now();
    let told = asking.finish();
    assert_eq!((told.status, told.text("outcome")), (Some(0), "complete"), "{told}");
    assert_eq!(told.json["donor_synced"], false, "{told}");
    assert!(since.elapsed() < Duration::from_secs(60), "{told}");
    stage.donor().exec("SET GLOBAL wsrep_desync = OFF");
    stage.donor().wait_synced(PATIENCE);
}
