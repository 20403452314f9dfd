//! What a real donor does behind its backup: the older backup goes, metrics are written, the node comes back, and what is
//! left can be restored.

mod support;

use support::cli::open_folder;
use support::cnf::CLUSTER_NAME;
use support::program::{gtid, rejoin_by_ist, text, with_program};
use support::prometheus::Metrics;
use support::scratch::ServerUser;
use support::{Cluster, ClusterOptions, Garbd, PATIENCE, Program, wait_until};

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_donor_prunes_and_is_synced_again() {
    let folder = open_folder();
    ServerUser::current().own(folder.path());
    let metrics = folder.path().join("x.prom");
    let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .group("wsrep_sst_backup", "keep-last=1")
        .group("wsrep_sst_backup", "prune-after-backup")
        .group("wsrep_sst_backup", &format!("metrics-file={}", metrics.display()));
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    let held = program.back_up(&cluster, 2);
    program.ok(&["hold", text(&held, "/id"), "--note", "the first"]);
    let goes = program.back_up(&cluster, 2);
    cluster.n(1).exec("CREATE DATABASE later");

    let outcome = Garbd::backup_and_wait(&cluster, 2, None, PATIENCE);
    cluster.n(2).wait_synced(PATIENCE);
    // The node is Synced before its program has pruned.
    let id = text(&goes, "/id");
    let is_gone = || program.files().iter().all(|file| !file.contains(id));
    assert!(wait_until(PATIENCE, is_gone), "{:?}", program.files());
    let manifests = program.manifests();
    let newest = manifests.last().expect("a backup");
    assert_eq!(cluster.n(2).frozen_since(outcome.donor_mark), Some(gtid(newest)));
    let ids: Vec<&str> = manifests.iter().map(|manifest| text(manifest, "/id")).collect();
    assert_eq!((ids.len(), ids[0]), (2, text(&held, "/id")), "{ids:?}");
    let log = cluster.n(2).log_since(outcome.donor_mark);
    assert!(log.contains(&format!("prune: {id} goes: not among the last 1")), "{log}");

    let is = |name: &str| Metrics::read(&metrics).get(name, &[("cluster", CLUSTER_NAME)]);
    assert!(wait_until(PATIENCE, || is("kept_backups") == Some(2.0)), "{:?}", Metrics::read(&metrics));
    let frozen = newest["frozen_ms"].as_f64().expect("a number") / 1e3;
    assert!((is("last_success_frozen_seconds").expect("a number") - frozen).abs() < 0.001);
    let told = Metrics::read(&metrics);
    let node = text(newest, "/node");
    assert_eq!(
        told.get("last_run_success", &[("cluster", CLUSTER_NAME), ("node", node)]),
        Some(1.0),
        "{told:?}"
    );

    // A server waits for the program when it is stopped: nothing of that may hang.

    cluster.n(2).stop();
    cluster.n(2).wipe_datadir();
    program.restore(newest, &cluster.n(2).datadir(), &[]);
    cluster.n(2).own_datadir();
    rejoin_by_ist(cluster.n(2), newest);
}
