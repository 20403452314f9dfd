//! The donor's mysqld dies, or is stopped together with the program.

use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::isolated;
use crate::stage::{SLOW, Stage};
use crate::support::{Asking, ClusterOptions, DonorProgram, LogMark, wait_until};

/// A program may outlive its mysqld by 2 s; the machine may be busy.
const GONE: Duration = Duration::from_secs(10);

/// mysqld ends within a second or two, or not at all.
const HANGS: Duration = Duration::from_secs(8);

/// A service may take 10 s to stop; the machine may be busy.
const STOPPED: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_donor_whose_server_dies_or_stops_or_is_cut_off_comes_back() {
    let stage = Stage::with(3, ClusterOptions::new().can_be_cut_off());
    // What happens to a server that stands still: a method that lets it run again at once has no such moments.
    stage.configure(&format!("{SLOW}\nmethod=freeze\n"));
    a_server_that_is_killed(&stage);
    a_service_that_is_stopped_in_order(&stage);
    a_service_that_is_stopped_at_once(&stage);
    a_server_that_is_shut_down_alone(&stage);
    a_server_that_is_shut_down_behind_the_hook(&stage);
    isolated::while_the_program_stands_still(&stage);
    isolated::while_it_copies(&stage);
    isolated::just_before_it_is_done(&stage);
    if stage.donor().has_followable_redo() {
        stage.configure(&format!("{SLOW}\nmethod=precopy\n"));
        isolated::while_it_copies_ahead(&stage);
        isolated::just_before_it_is_done(&stage);
    }
    stage.configure("");
    stage.back_up();
    assert_eq!(stage.administrator.leftovers(), Vec::<String>::new());
}

/// Holds the program while it copies, until garbd has left the group: two members that go at once may cost the others their quorum
/// (seen with Galera 26.4.23 on a busy machine: "no install message received", and everybody was alone).
fn hold_without_garbd(stage: &Stage) -> (Asking, DonorProgram, LogMark) {
    let held = stage.ask_and_hold("copying");
    isolated::wait_size(stage, "3");
    held
}

fn a_server_that_is_killed(stage: &Stage) {
    let (asking, program, _) = hold_without_garbd(stage);
    program.go_on();
    stage.donor().kill9();
    let gone = program.wait_gone(GONE);
    println!("mysqld killed: the program was gone after {gone:?}");
    restart(stage);
    let told = asking.finish();
    told.ended("failed", "has gone away");
    stage.assert_absent(told.text("request"));
}

/// As systemd does with the packages' `ExecStop=`: their script ends the backup, then mysqld gets its SIGTERM.
fn a_service_that_is_stopped_in_order(stage: &Stage) {
    let (asking, program, mark) = hold_without_garbd(stage);
    program.go_on();
    let begun = Instant::now();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/release-donor");
    let server = stage.donor().pid().unwrap().to_string();
    let released = Command::new("sh").arg(script).env("MAINPID", server).output().unwrap();
    assert!(released.status.success() && released.stderr.is_empty(), "{released:?}");
    assert!(!program.runs() && stage.donor().log_since(mark).contains("Provider resumed"));
    let resumed = begun.elapsed();
    stage.donor().signal(Signal::SIGTERM);
    let status = stage.donor().wait_ended(STOPPED);
    println!("stopped: the program was gone after {resumed:?}, the server after {:?}", begun.elapsed());
    assert!(begun.elapsed() <= STOPPED, "the whole of it has a limit");
    assert!(status.success(), "{status}: {}", stage.donor().log_since(mark));
    assert_stopped(stage, asking, program);
}

/// As systemd does by itself: SIGTERM to every process of the service in the same moment.
///
/// mysqld may hang then: where it leaves the group before it has read `continue`, it never lets its provider run again,
/// whatever the program does. What can be asserted is the program's part.
fn a_service_that_is_stopped_at_once(stage: &Stage) {
    let (asking, program, _) = hold_without_garbd(stage);
    program.go_on();
    let begun = Instant::now();
    stage.donor().signal(Signal::SIGTERM);
    program.signal(Signal::SIGTERM);
    let gone = program.wait_gone(GONE);
    if wait_until(HANGS, || !stage.donor().is_running()) {
        println!("stopped at once: the program was gone after {gone:?}, mysqld after {:?}", begun.elapsed());
        stage.donor().wait_ended(STOPPED);
    } else {
        println!("stopped at once: the program was gone after {gone:?}, mysqld hangs in its own shutdown");
        stage.donor().kill9();
    }
    assert_stopped(stage, asking, program);
}

/// SQL's SHUTDOWN, `docker stop`, a kubelet without a hook. It hangs whatever the program does; it is told, and the way out is true.
fn a_server_that_is_shut_down_alone(stage: &Stage) {
    let (asking, program, mark) = hold_without_garbd(stage);
    program.go_on();
    stage.donor().signal(Signal::SIGTERM);
    let said = "mysqld was shut down while it stood still for this backup: it does not end by itself";
    let told = stage.donor().wait_log(mark, said, STOPPED);
    assert!(told.contains("Kill its process (kill -9) and start it again"), "{told}");
    // The end of the freeze does not help.
    program.signal(Signal::SIGTERM);
    program.wait_gone(GONE);
    assert!(stage.donor().is_running(), "it has ended: then say so, and do that");
    stage.donor().kill9();
    restart(stage);
    asking.finish().ended("failed", "");
}

/// As the example for Kubernetes does it.
fn a_server_that_is_shut_down_behind_the_hook(stage: &Stage) {
    let (asking, program, mark) = hold_without_garbd(stage);
    program.go_on();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/release-donor");
    // 'all' is meant for a container: of this machine's processes it is to see this program alone.
    let view = "mount -t tmpfs view \"$0\" && mkdir \"$0/$1\" && mount --bind \"/proc/$1\" \"$0/$1\" && \
                mount --rbind \"$0\" /proc && exec sh \"$2\" all";
    let folder = tempfile::tempdir().unwrap();
    let hook = Command::new("unshare")
        .args(["--mount", "sh", "-c", view])
        .arg(folder.path())
        .args([&program.pid().to_string(), script])
        .env_remove("MAINPID")
        .output()
        .unwrap();
    assert!(hook.status.success() && hook.stderr.is_empty(), "{hook:?}");
    assert!(!program.runs() && stage.donor().log_since(mark).contains("Provider resumed"));
    stage.donor().signal(Signal::SIGTERM);
    let status = stage.donor().wait_ended(STOPPED);
    assert!(status.success(), "{status}: {}", stage.donor().log_since(mark));
    assert_stopped(stage, asking, program);
}

fn assert_stopped(stage: &Stage, asking: Asking, program: DonorProgram) {
    assert!(!program.runs());
    restart(stage);
    let told = asking.finish();
    told.ended("failed", "SIGTERM");
    stage.assert_absent(told.text("request"));
}

/// Starts the server again: it is a member of three, and says nothing of an error unless Galera wants one more restart.
fn restart(stage: &Stage) {
    let mark = stage.donor().log_mark();
    let (join, restarts) = stage.donor().come_back();
    println!("back by {join:?}, {restarts} more restarts");
    let all = || stage.cluster.nodes().all(|node| node.status("wsrep_cluster_size") == "3");
    assert!(wait_until(STOPPED, all), "not everybody is back");
    let log = stage.donor().log_since(mark);
    assert!(restarts > 0 || !log.contains("[ERROR]"), "{log}");
}
