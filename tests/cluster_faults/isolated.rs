//! The donor is cut off from its cluster for a while: the backup is complete or absent, `backup` says which, and the
//! node is Synced in the end.

use std::time::Duration;

use crate::stage::Stage;
use crate::support::{LogMark, Told, wait_until};

/// Views come and go within seconds; the machine may be busy.
const LONG: Duration = Duration::from_secs(120);

/// Cut off and back while the server is frozen and the program stands still.
pub(crate) fn while_the_program_stands_still(stage: &Stage) {
    let (asking, program, mark) = stage.ask_and_hold("copying");
    cut_off(stage);
    wait_size(stage, "2");
    reconnect(stage);
    wait_size(stage, "3");
    program.go_on();
    assert_truth(stage, &asking.finish(), mark);
}

/// Cut off while the program copies, and back when it waits for the cluster.
pub(crate) fn while_it_copies(stage: &Stage) {
    let (mut asking, program, mark) = stage.ask_and_hold("copying");
    cut_off(stage);
    wait_size(stage, "2");
    program.go_on();
    let donor = stage.donor();
    donor.wait_log(mark, "cut off from its cluster", LONG);
    let log = donor.log_since(mark);
    assert!(!log.contains("was shut down while it stood still"), "{log}");
    assert!(!asking.has_ended(), "{}", asking.said());
    reconnect(stage);
    let told = asking.finish();
    stage.assert_whole(told.complete());
    assert_truth(stage, &told, mark);
}

/// Cut off while the server runs and its data is read: a node that has no position is not backed up.
pub(crate) fn while_it_copies_ahead(stage: &Stage) {
    let (asking, program, mark) = stage.ask_and_hold("ahead");
    cut_off(stage);
    wait_size(stage, "2");
    let donor = stage.donor();
    let is_alone = || donor.status("wsrep_cluster_status") == "non-Primary";
    assert!(wait_until(LONG, is_alone), "{}", donor.log_tail());
    program.go_on();
    donor.wait_log(mark, "WSREP_SST: [ERROR]", LONG);
    reconnect(stage);
    let told = asking.finish();
    assert_eq!(told.text("outcome"), "failed", "{told}");
    assert_truth(stage, &told, mark);
}

/// Cut off when everything but the manifest is stored.
pub(crate) fn just_before_it_is_done(stage: &Stage) {
    let (asking, program, mark) = stage.ask_and_hold("publishing");
    cut_off(stage);
    program.go_on();
    let donor = stage.donor();
    assert!(
        wait_until(LONG, || donor.status("wsrep_cluster_status") == "non-Primary"),
        "{}",
        donor.log_tail()
    );
    reconnect(stage);
    let told = asking.finish();
    stage.assert_whole(told.complete());
    assert_truth(stage, &told, mark);
}

/// Two changes of the group at once could cost the others their quorum: garbd's leaving comes first.
fn cut_off(stage: &Stage) {
    wait_size(stage, "3");
    isolate(stage, true);
}

fn reconnect(stage: &Stage) {
    isolate(stage, false);
}

fn isolate(stage: &Stage, on: bool) {
    stage.donor().set_provider_option("gmcast.isolate", u8::from(on));
}

/// Waits until both others see a group of this size.
pub(crate) fn wait_size(stage: &Stage, size: &str) {
    let seen = || [1, 3].iter().all(|number| stage.cluster.n(*number).status("wsrep_cluster_size") == size);
    assert!(wait_until(LONG, seen), "the others do not see {size} members");
}

/// Complete with a backup that verifies, or failed without one; and the node is Synced.
fn assert_truth(stage: &Stage, told: &Told, mark: LogMark) {
    let donor = stage.donor();
    donor.wait_log(mark, "Donor monitor thread ended", LONG);
    donor.wait_synced(LONG);
    println!("isolated: {:?} {} {}", told.status, told.text("outcome"), told.text("error"));
    match told.text("outcome") {
        "complete" => stage.assert_whole(told.complete()),
        "failed" => {
            assert_eq!(told.status, Some(1), "{told}");
            stage.assert_absent(told.text("request"));
        }
        _ => panic!("{told}"),
    }
}
