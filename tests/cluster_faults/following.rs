//! Whoever asks may go away: the backup goes on, and can be picked up. And whom `backup` asks by itself.

use std::time::Duration;

use nix::sys::signal::Signal;

use crate::stage::{SLOW, Stage};
use crate::support::{DonorProgram, PATIENCE, Writer, wait_until};

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_backup_goes_on_without_whoever_asked_for_it() {
    let stage = Stage::start(2);
    let unknown = stage.administrator.on(&stage.cluster, 1, &["--follow=req-never-made"]);
    stage.configure(SLOW);
    without_waiting(&stage);
    when_the_time_is_over(&stage);
    when_it_is_interrupted(&stage);
    stage.configure("");
    before_a_donor_is_selected(&stage);
    the_donor_is_who_serves_no_client(&stage);
    let told = unknown.finish();
    assert_eq!(told.status, Some(3), "{told}");
    assert!(told.text("error").contains("nothing of this request is in the repository"), "{told}");
    assert_eq!(stage.administrator.leftovers(), Vec::<String>::new());
}

fn without_waiting(stage: &Stage) {
    let told = stage.ask(&["--no-wait"]).finish();
    assert_eq!((told.status, told.text("outcome"), told.text("donor")), (Some(0), "asked", "n2"), "{told}");
    pick_up(stage, told.text("request"));
}

fn when_the_time_is_over(stage: &Stage) {
    // The time runs from the start: the backup must be there by then, and must not be done.
    let asking = stage.ask(&["--timeout=15s"]);
    let program = DonorProgram::hold_at(&stage.cluster, stage.program.repository(), "copying");
    let told = asking.finish();
    program.expect("it copies for seconds").go_on();
    told.ended("left", "--timeout is over");
    assert!(told.err.contains(&format!("--follow {}", told.text("request"))), "{told}");
    assert!(told.took >= Duration::from_secs(15) && told.took < Duration::from_secs(60), "{told}");
    pick_up(stage, told.text("request"));
}

fn when_it_is_interrupted(stage: &Stage) {
    let (mut asking, program, _) = stage.ask_and_hold("copying");
    asking.wait_said("copying, the server is frozen");
    asking.signal(Signal::SIGINT);
    let told = asking.finish();
    told.ended("left", "interrupted");
    assert!(told.err.contains(&format!("--follow {}", told.text("request"))), "{told}");
    assert!(program.runs(), "the program has ended with its follower");
    program.go_on();
    pick_up(stage, told.text("request"));
}

/// Another `backup` follows the request to its end, which is a backup.
fn pick_up(stage: &Stage, request: &str) {
    let told = stage.administrator.on(&stage.cluster, 1, &["--follow", request]).finish();
    stage.assert_whole(told.complete());
    assert_eq!(told.text("request"), request);
    assert_eq!(told.json["manifest"]["request"], request);
}

/// Nobody has taken the request: nothing goes on, and garbd has left the group.
fn before_a_donor_is_selected(stage: &Stage) {
    stage.donor().exec("SET GLOBAL wsrep_desync = ON");
    let mut asking = stage.administrator.outside(&["--donor=n2"]);
    asking.wait_said("the donor is busy");
    asking.signal(Signal::SIGINT);
    let told = asking.finish();
    told.ended("left", "given up before a donor was selected: interrupted");
    stage.donor().exec("SET GLOBAL wsrep_desync = OFF");
    stage.donor().wait_synced(PATIENCE);
    let left = wait_until(PATIENCE, || stage.donor().status("wsrep_cluster_size") == "2");
    assert!(left, "garbd is still in the group");
    stage.assert_absent(told.text("request"));
}

fn the_donor_is_who_serves_no_client(stage: &Stage) {
    for (written, other) in [(1, "n2"), (2, "n1")] {
        let writer = Writer::start(stage.cluster.n(written), 50);
        let told = stage.administrator.on(&stage.cluster, written, &[]).finish();
        assert!(writer.stop().commits > 0);
        stage.assert_whole(told.complete());
        assert_eq!(told.text("donor"), other, "{told}");
        assert!(told.err.contains("clients do not write to it"), "{told}");
    }
}
