//! Two donors of one cluster never stand still at the same time, whoever asks for their backups and where these go.
//!
//! When a server stood still is asserted by its own error log.

mod support;

use std::fs;

use support::fixtures::fill_bulk;
use support::program::with_program;
use support::{
    Administrator, Asking, Cluster, ClusterOptions, DonorProgram, Garbd, LogMark, Node, PATIENCE, Program,
};

const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");

/// A freeze of some seconds, so that two would overlap.
const SLOW: &str = "method=freeze\nlimit-rate=12M";

/// How often two garbd may miss each other.
const PATIENT_ROUNDS: usize = 5;

/// When the provider stood still: pairs of the log's times, which sort as texts. A moment, in which a lock is looked for,
/// is none.
fn standstills(log: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut since = None;
    for line in log.lines().filter(|line| line.contains("[Note] WSREP: ")) {
        let time = || line.get(..19).unwrap_or_default().to_owned();
        if line.contains("Provider paused at ") {
            since = Some(time());
        } else if line.contains("resuming provider at ") || line.contains("Provider resumed") {
            found.extend(since.take().map(|since| (since, time())).filter(|(from, to)| from < to));
        }
    }
    found
}

#[track_caller]
fn assert_one_at_a_time(cluster: &Cluster, marks: &[LogMark; 2]) -> usize {
    let [one, two] = [1, 2].map(|number| standstills(&cluster.n(number).log_since(marks[number - 1])));
    for (from, to) in &one {
        assert!(two.iter().all(|(f, t)| t <= from || to <= f), "n1: {one:?}, n2: {two:?}");
    }
    one.len() + two.len()
}

fn marks(cluster: &Cluster) -> [LogMark; 2] {
    [1, 2].map(|number| cluster.n(number).log_mark())
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn two_donors_never_stand_still_at_the_same_time() {
    let options = with_program(ClusterOptions::new(), BINARY).group("wsrep_sst_backup", SLOW);
    let cluster = Cluster::start(2, &options);
    fill_bulk(cluster.n(1), "orders", 16);
    let program = Program::of(&cluster);
    garbd_by_hand_on_both(&cluster, &program);
    backup_on_both(&cluster, &program);
    donors_with_two_repositories(&cluster, &program);
    let left: Vec<_> = program.files().into_iter().filter(|name| !name.contains('/')).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// Nobody has looked at the members before: the second donor is asked while the first one stands still.
fn garbd_by_hand_on_both(cluster: &Cluster, program: &Program) {
    let (before, earlier) =
        (0..PATIENT_ROUNDS).find_map(|_| both_asked(cluster, program)).expect("n2 was never asked");
    let complete = program.manifests().len() - earlier;
    assert!(complete > 0);
    assert_eq!(assert_one_at_a_time(cluster, &before), complete);
    let log = cluster.n(2).log_since(before[1]);
    assert!(
        log.contains("another donor of this cluster stands still, or is about to (node 'n1' on "),
        "{log}"
    );
}

/// One round: the marks before it, and how many backups there were; none where the second garbd came to a cluster that the first one was just
/// leaving, and ended without having asked.
fn both_asked(cluster: &Cluster, program: &Program) -> Option<([LogMark; 2], usize)> {
    let (before, earlier) = (marks(cluster), program.manifests().len());
    let second = std::thread::scope(|scope| {
        scope.spawn(|| Garbd::backup_and_wait(cluster, 1, None, PATIENCE));
        cluster.n(1).wait_log(before[0], "WSREP: Shifting SYNCED -> DONOR/DESYNCED", PATIENCE);
        Garbd::run_backup(cluster, 2, None)
    });
    let is_heard = second.was_heard_by(cluster.n(2));
    if is_heard {
        cluster.n(2).wait_donor_done(before[1], PATIENCE);
    }
    is_heard.then_some((before, earlier))
}

fn backup_on_both(cluster: &Cluster, program: &Program) {
    let before = marks(cluster);
    let count = program.manifests().len();
    let administrator = Administrator::new(cluster, BINARY);
    let asking =
        [(1, "--donor=n2"), (2, "--donor=n1")].map(|(on, donor)| administrator.on(cluster, on, &[donor]));
    let told = asking.map(Asking::finish);
    let complete = told.iter().filter(|told| told.text("outcome") == "complete").count();
    assert!(complete > 0, "{told:?}");
    assert_eq!(program.manifests().len(), count + complete);
    assert_eq!(assert_one_at_a_time(cluster, &before), complete);
    for told in told.iter().filter(|told| told.text("outcome") != "complete") {
        assert!(["refused", "failed"].contains(&told.text("outcome")) && told.status == Some(1), "{told}");
    }
}

/// What the repository cannot tell them, the members do.
fn donors_with_two_repositories(cluster: &Cluster, program: &Program) {
    cluster.nodes().for_each(|node| node.wait_synced(PATIENCE));
    let first: &Node = cluster.n(1);
    let other = cluster.make_dir("other");
    let cnf = fs::read_to_string(first.cnf()).unwrap();
    fs::write(first.cnf(), format!("{cnf}[wsrep_sst_backup]\nrepository={}\n", other.display())).unwrap();
    let second = cluster.n(2);
    let mark = second.log_mark();
    let held = std::thread::scope(|scope| {
        scope.spawn(|| Garbd::run_backup(cluster, 2, None));
        DonorProgram::hold_at(cluster, program.repository(), "copying").expect("the program copies")
    });
    let refused = Garbd::backup_and_wait(cluster, 1, None, PATIENCE);
    let log = first.log_since(refused.donor_mark);
    assert!(standstills(&log).is_empty(), "{log}");
    assert!(log.contains("no other member is Synced ('n2' is Donor/Desynced)"), "{log}");
    // Somebody who knows what he does.
    let forced = Garbd::backup_and_wait(cluster, 1, Some("by-hand.force"), PATIENCE);
    let log = first.log_since(forced.donor_mark);
    assert!(!standstills(&log).is_empty() && log.contains("forced: no other member is Synced"), "{log}");
    held.go_on();
    second.wait_donor_done(mark, PATIENCE);
    fs::write(first.cnf(), cnf).unwrap();
}
