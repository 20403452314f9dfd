//! A real donor on a file system that cannot clone, copied ahead while others write and change tables: what comes of its backups is exact, and
//! whatever goes wrong on the way leaves no backup and a donor that is Synced.

mod support;

use std::fs;
use std::os::unix::fs::FileExt;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::program::{donors_running, number, text, with_program};
use support::{BusyCluster, Cluster, ClusterOptions, Garbd, PATIENCE, Program, wait_until};

/// So slow that tables change and go while they are copied ahead.
const SLOW: &str = "limit-rate=60M";

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_donor_that_is_copied_ahead_stands_still_for_its_changes_and_its_backups_are_exact() {
    let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .group("wsrep_sst_backup", SLOW)
        .group("wsrep_sst_backup", "method=precopy");
    let mut busy = BusyCluster::start(&options);
    let mut manifests = Vec::new();
    for _ in 0..2 {
        let (manifest, _) = busy.back_up();
        assert_eq!((text(&manifest, "/method"), number(&manifest, "/format")), ("precopy", 2));
        manifests.push(manifest);
    }
    stopped_runs_leave_nothing(&busy.cluster, &busy.program);
    busy.end_definitions();
    busy.rejoin_from_each(&manifests);
    let (cluster, program) = busy.end_with_same_rows();
    damage_is_found(&cluster, &program);
}

/// A run that is stopped, or killed, while it copies ahead: no backup, and a node that is Synced.
fn stopped_runs_leave_nothing(cluster: &Cluster, program: &Program) {
    let donor = cluster.n(2);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let before = program.manifests().len();
        let mark = donor.log_mark();
        std::thread::scope(|scope| {
            let garbd = scope.spawn(|| Garbd::run_backup(cluster, 2, None));
            donor.wait_log(mark, "the method is precopy", PATIENCE);
            for process in donors_running(cluster) {
                let pid = process.rsplit('/').next().and_then(|pid| pid.parse().ok()).unwrap();
                kill(Pid::from_raw(pid), signal).unwrap();
            }
            garbd.join().unwrap();
        });
        donor.wait_synced(PATIENCE);
        assert!(wait_until(PATIENCE, || donors_running(cluster).is_empty()));
        assert_eq!(program.manifests().len(), before, "{}", donor.log_since(mark));
    }
}

/// A page that is damaged on the disk is told, whether that happened before the copy or between it and the freeze.
fn damage_is_found(cluster: &Cluster, program: &Program) {
    let donor = cluster.n(2);
    donor.exec("CREATE DATABASE damaged");
    donor.exec("CREATE TABLE damaged.t (a INT PRIMARY KEY, b TEXT)");
    donor.sql_all(&["USE damaged", "INSERT INTO t SELECT seq, REPEAT(MD5(seq), 9) FROM seq_1_to_5000"]);
    donor.exec("FLUSH TABLES damaged.t FOR EXPORT");
    let file = fs::File::options().write(true).open(donor.datadir().join("damaged/t.ibd")).unwrap();
    file.write_all_at(b"not what the server wrote", 5 * 16384 + 100).unwrap();
    let manifest = program.back_up(cluster, 2);
    assert_eq!(number(&manifest, "/damaged_pages"), 1, "{manifest:#}");
    donor.wait_synced(PATIENCE);
}
