//! A donor that is cut off from its cluster while it is backed up: never stuck, the backup complete or absent.

mod support;

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::fixtures::fill_bulk;
use support::{Cluster, ClusterOptions, Garbd, Node, Writer, method_without_sql, wait_until};

const LONG: Duration = Duration::from_secs(180);

/// A cluster whose donor copies some data with these settings.
fn slow_cluster(settings: &[&str]) -> Cluster {
    slow_cluster_of(ClusterOptions::new(), settings)
}

fn slow_cluster_of(options: ClusterOptions, settings: &[&str]) -> Cluster {
    let mut options = options
        .can_be_cut_off()
        .binary(env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .group("wsrep_sst_backup", "repository={base}/repository")
        .group("wsrep_sst_backup", "user=root");
    for line in settings {
        options = options.group("wsrep_sst_backup", line);
    }
    let cluster = Cluster::start(3, &options);
    cluster.make_dir("repository");
    fill_bulk(cluster.n(1), "orders", 24);
    cluster
}

fn isolate(node: &Node, on: bool) {
    node.set_provider_option("gmcast.isolate", u8::from(on));
}

fn said(node: &Node, mark: support::LogMark, text: &str) -> bool {
    node.script_lines(mark).iter().any(|line| line.contains(text))
}

/// The donor program: the process that runs our binary out of the cluster's folder.
fn program_pid(cluster: &Cluster) -> Pid {
    let ours =
        |pid: &i32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == cluster.program());
    let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let pid = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(ours);
    Pid::from_raw(pid.expect("the donor program runs"))
}

/// Two changes of the group at once could cost the others their quorum: garbd's leaving comes first.
fn wait_until_garbd_has_left(cluster: &Cluster) {
    let three = || [1, 3].iter().all(|number| cluster.n(*number).status("wsrep_cluster_size") == "3");
    assert!(wait_until(LONG, three), "garbd did not leave");
    std::thread::sleep(Duration::from_secs(2));
    assert!(three(), "the group has changed");
}

/// Asks n2 for a backup and stops the program as soon as the server is frozen; garbd leaves meanwhile.
fn backup_that_stands_still(cluster: &Cluster) -> (Pid, support::LogMark) {
    let donor = cluster.n(2);
    let mark = donor.log_mark();
    std::thread::scope(|scope| {
        scope.spawn(|| Garbd::run_backup(cluster, 2, None));
        assert!(
            wait_until(LONG, || said(donor, mark, "the server is frozen at")),
            "{}",
            donor.log_since(mark)
        );
        let program = program_pid(cluster);
        kill(program, Signal::SIGSTOP).expect("SIGSTOP");
        (program, mark)
    })
}

/// Asks n2 and cuts it off while it copies. The program is stopped until the others, and the node itself, have noticed: in the
/// seconds before that the node is in the Primary component as far as anybody can tell it.
fn cut_off_frozen(cluster: &Cluster) -> (support::LogMark, Pid) {
    let donor = cluster.n(2);
    let (program, mark) = backup_that_stands_still(cluster);
    wait_until_garbd_has_left(cluster);
    isolate(donor, true);
    let noticed = wait_until(LONG, || cluster.n(1).status("wsrep_cluster_size") == "2");
    assert!(noticed, "the others did not notice");
    donor.wait_log(mark, "primary = no", LONG);
    (mark, program)
}

/// Asks n2, cuts it off while it copies, lets the copy go on when the others have noticed, and reconnects
/// it when the program waits.
fn cut_off_while_copying(cluster: &Cluster) -> support::LogMark {
    let donor = cluster.n(2);
    let writer = Writer::start(cluster.n(1), 50);
    let (mark, program) = cut_off_frozen(cluster);
    kill(program, Signal::SIGCONT).expect("SIGCONT");
    assert!(wait_until(LONG, || said(donor, mark, "cut off from its cluster")), "{}", donor.log_since(mark));
    std::thread::sleep(Duration::from_secs(3));
    assert!(!said(donor, mark, "is complete at"), "{}", donor.log_since(mark));
    isolate(donor, false);
    // The node is given back by the new view, not by the end of the transfer: that comes later.
    assert!(wait_until(LONG, || said(donor, mark, "is complete at")), "{}", donor.log_since(mark));
    donor.wait_log(mark, "Donor monitor thread ended", LONG);
    donor.wait_synced(LONG);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((donor.state(), donor.status("wsrep_ready")), ("Synced".into(), "ON".into()));
    assert!(writer.stop().commits > 0, "the others went on");
    mark
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_donor_cut_off_while_it_copies_waits_for_its_cluster_and_is_synced() {
    let cluster = slow_cluster(&["compression-level=19", "threads=1"]);
    for round in 1..=2 {
        let mark = cut_off_while_copying(&cluster);
        let donor = cluster.n(2);
        assert!(said(donor, mark, "the node is Primary again"), "round {round}: {}", donor.log_since(mark));
    }
    let manifests = std::fs::read_dir(cluster.dir().join("repository/wsb_test"))
        .expect("the repository")
        .flatten()
        .filter(|backup| backup.path().join("manifest.json").exists())
        .count();
    assert_eq!(manifests, 2);
}

/// The program ends before anybody has noticed that the node is cut off: then the new view gives it back.
#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_donor_cut_off_just_before_its_transfer_ends_is_synced_when_it_is_back() {
    // Slow enough to be stopped while it copies, and done before the others notice anything: that takes them 5 s by default,
    // in which a busy machine does not copy it all.
    let patient = ClusterOptions::new()
        .provider("evs.suspect_timeout=PT20S")
        .provider("evs.inactive_timeout=PT30S")
        .provider("evs.install_timeout=PT30S");
    let cluster = slow_cluster_of(patient, &["compression-level=9", "threads=1"]);
    let donor = cluster.n(2);
    let writer = Writer::start(cluster.n(1), 50);
    let (program, mark) = backup_that_stands_still(&cluster);
    wait_until_garbd_has_left(&cluster);
    isolate(donor, true);
    kill(program, Signal::SIGCONT).expect("SIGCONT");
    assert!(wait_until(LONG, || said(donor, mark, "is complete at")), "{}", donor.log_since(mark));
    assert!(wait_until(LONG, || donor.status("wsrep_cluster_status") == "non-Primary"));
    assert!(!said(donor, mark, "cut off"), "the program was to end before: {}", donor.log_since(mark));
    isolate(donor, false);
    donor.wait_synced(LONG);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((donor.state(), donor.status("wsrep_ready")), ("Synced".into(), "ON".into()));
    assert!(writer.stop().commits > 0, "the others went on");
}

/// Without SQL the node's own error log tells.
#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_donor_without_sql_waits_for_its_cluster_too() {
    let cluster =
        slow_cluster(&["compression-level=19", "threads=1", "user=nobody_there", method_without_sql()]);
    let mark = cut_off_while_copying(&cluster);
    let donor = cluster.n(2);
    for text in ["no SQL as 'nobody_there'", "cut off from its cluster (by its error log)"] {
        assert!(said(donor, mark, text), "{text}: {}", donor.log_since(mark));
    }
}

fn has_ended(program: Pid) -> bool {
    kill(program, None).is_err()
}

/// A signal thaws, and does not leave the node a donor for ever; a shutdown of the server is not held up.
#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_signal_waits_for_the_cluster_and_not_for_a_server_that_shuts_down() {
    let cluster = slow_cluster(&["compression-level=19", "threads=1"]);
    let donor = cluster.n(2);
    let (mark, program) = cut_off_frozen(&cluster);
    kill(program, Signal::SIGTERM).expect("SIGTERM");
    kill(program, Signal::SIGCONT).expect("SIGCONT");
    assert!(wait_until(LONG, || said(donor, mark, "cut off from its cluster")), "{}", donor.log_since(mark));
    assert!(said(donor, mark, "stopped by SIGTERM: the server is told to continue"));
    std::thread::sleep(Duration::from_secs(3));
    assert!(!has_ended(program), "{}", donor.log_since(mark));
    isolate(donor, false);
    assert!(wait_until(LONG, || has_ended(program)), "{}", donor.log_since(mark));
    donor.wait_synced(LONG);
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!((donor.state(), donor.status("wsrep_ready")), ("Synced".into(), "ON".into()));

    let (mark, program) = cut_off_frozen(&cluster);
    kill(program, Signal::SIGCONT).expect("SIGCONT");
    assert!(wait_until(LONG, || said(donor, mark, "cut off from its cluster")), "{}", donor.log_since(mark));
    // systemd stops a service by a signal to all of its processes.
    kill(program, Signal::SIGTERM).expect("SIGTERM");
    donor.signal(Signal::SIGTERM);
    let stopped = std::time::Instant::now();
    assert!(wait_until(LONG, || has_ended(program)), "{}", donor.log_since(mark));
    assert!(stopped.elapsed() < Duration::from_secs(10), "{:?}", stopped.elapsed());
    donor.wait_ended(LONG);
    eprintln!(
        "the program ended {:?} after the signal\n{}",
        stopped.elapsed(),
        donor.script_lines(mark).join("\n")
    );
}
