//! The core of all promises on one server, in a few minutes: an exact backup by each method that applies, a node restored that joins by IST, a whole
//! cluster, the program killed in the freeze, credentials. Plain `scripts/test` runs it on each server that is not the machine's own.
//!
//! All methods share one cluster; only that of `snapshot` is another one, on a file system that clones. What is exact is told by the server: the position at which it says that
//! it paused, the one that InnoDB finds in the restored files, and the rows of both nodes after the IST from there on.

#[path = "cluster_core/scene.rs"]
mod scene;
mod support;

use std::fs;

use nix::sys::signal::Signal;
use scene::{Core, options};
use serde_json::Value;
use support::program::{self, Ran, gtid, number, text, warnings};
use support::{BusyCluster, Clients, DonorProgram, Garbd, Join, PATIENCE, bad_disk, clients, wait_until};

#[test]
#[ignore = "needs MariaDB and Galera"]
fn by_each_method_a_backup_is_exact_and_becomes_a_node_and_a_whole_cluster() {
    let mut core = Core::start(&options());
    let freeze = core.by_account_of_the_transfer(|core| core.back_up("freeze"));
    let early = core.by_account_of_the_option_file(ahead);
    let mut manifests = vec![freeze, early];
    core.busy.end_definitions();
    killed_in_the_freeze(&core);
    // The program itself does not quote a backtick in a name (seen with 10.11.19): doc/limits.md.
    core.node(1).exec("DROP DATABASE `back``tick`");
    manifests.push(core.back_up("mariadb-backup"));
    pages_are_checked(&core);
    let cluster = core.back_up("freeze");
    core.busy.rejoin_from_each(&manifests);
    core.busy.end_writing();
    a_dump(&core.busy);
    whole_cluster(&core.busy, &cluster);
}

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and xfsprogs"]
fn clones_are_exact_and_become_a_node() {
    let mut core = Core::start(&options().on_xfs());
    let manifest = core.back_up("snapshot");
    core.busy.end_definitions();
    core.busy.rejoin_from_each(&[manifest]);
    core.busy.end_with_same_rows();
}

/// By precopy; where the redo log cannot be followed that is refused, and `auto` takes freeze in its place: each says why.
fn ahead(core: &Core) -> Value {
    if core.node(1).has_followable_redo() {
        return core.back_up("precopy");
    }
    let why = ["is that of MariaDB 10.5 to 10.7", "its redo log has several files"];
    let log = core.refused("precopy");
    assert!(why.iter().any(|why| log.contains(why)), "{log}");
    let manifest = core.back_up_by("auto", "freeze");
    let passed = manifest["method_reason"]["passed"].to_string();
    assert!(passed.contains("precopy") && why.iter().any(|why| passed.contains(why)), "{manifest:#}");
    manifest
}

/// A page that the disk has changed is found, and nothing else is.
fn pages_are_checked(core: &Core) {
    let (first, donor) = (core.node(1), core.node(2));
    first.sql_all(&[
        "CREATE TABLE bulk.victim (id INT PRIMARY KEY, v VARCHAR(500)) ENGINE=InnoDB",
        "USE bulk",
        "INSERT INTO victim SELECT seq, REPEAT('victim ', 60) FROM seq_1_to_2000",
    ]);
    // Its pages are on the disk when the server has ended, and no later write makes this one good again.
    donor.stop();
    donor.rejoin();
    bad_disk::spoil(&donor.datadir().join("bulk/victim.ibd"), 5);
    core.configure("method=freeze");
    let manifest = core.busy.program.back_up(&core.busy.cluster, 2);
    assert_eq!(number(&manifest, "/damaged_pages"), 1, "{manifest:#}");
    assert!(warnings(&manifest).contains("bulk/victim.ibd"), "{manifest:#}");
    bad_disk::spoil(&donor.datadir().join("bulk/victim.ibd"), 5);
}

/// kill -9 in the freeze: the node is Synced and takes writes, and there is nothing that looks like a backup.
fn killed_in_the_freeze(core: &Core) {
    core.configure("method=freeze\ncompression-level=19\nthreads=1");
    let (cluster, program) = (&core.busy.cluster, &core.busy.program);
    let donor = core.node(2);
    for _ in 0..5 {
        let (before, mark) = (program.manifests().len(), donor.log_mark());
        let held = std::thread::scope(|scope| {
            let garbd = scope.spawn(|| Garbd::run_backup(cluster, 2, None));
            let held = DonorProgram::hold_at(cluster, program.repository(), "copying");
            if let Some(program) = held {
                program.signal(Signal::SIGKILL);
            }
            garbd.join().unwrap();
            held
        });
        donor.wait_donor_done(mark, PATIENCE);
        if held.is_none() {
            continue;
        }
        assert!(wait_until(PATIENCE, || program::donors_running(cluster).is_empty()));
        donor.sql_all(&["CREATE DATABASE thawed", "DROP DATABASE thawed"]);
        assert_eq!(program.manifests().len(), before);
        let listed = program.json(&["list"]);
        assert_eq!(listed["backups"].as_array().map(Vec::len), Some(before), "{listed:#}");
        assert!(listed["incomplete"].as_array().is_some_and(|list| !list.is_empty()), "{listed:#}");
        return;
    }
    panic!("the program was never seen in the freeze");
}

/// One transaction is one write set while nobody asks by garbd, so that the rows of a dump say at which one it was taken.
fn a_dump(busy: &BusyCluster) {
    let (n1, n2) = (busy.cluster.n(1), busy.cluster.n(2));
    Clients::prepare(n1);
    assert!(wait_until(PATIENCE, || n1.position() == n2.position()));
    let base = n1.position().seqno;
    let running = Clients::start(&busy.cluster);
    assert!(wait_until(PATIENCE, || n1.position().seqno > base + 20));
    let mut command = busy.program.on(n2, &["run", "--json"]);
    let ran = Ran::finish(command.env("WSREP_SST_BACKUP_METHOD", "logical").spawn().unwrap());
    assert_eq!(ran.status, Some(0), "{}{}", ran.out, ran.err);
    n2.wait_synced(PATIENCE);
    assert!(running.stop() > 20);
    let manifests = busy.program.manifests();
    let manifest = manifests.iter().find(|manifest| text(manifest, "/method") == "logical").unwrap();
    let dump = clients::statements(&busy.program.archive(manifest).path);
    clients::assert_exact(&dump, manifest, base, 0);
    busy.program.ok(&["verify", text(manifest, "/id")]);
}

/// Both nodes are lost; one backup makes them anew, and only the first one starts by itself.
fn whole_cluster(busy: &BusyCluster, manifest: &Value) {
    let (first, second) = (busy.cluster.n(1), busy.cluster.n(2));
    for node in [first, second] {
        node.stop();
        node.wipe_datadir();
    }
    for (node, purpose) in [(first, "cluster"), (second, "node")] {
        busy.program.restore(manifest, &node.datadir(), &["--as", purpose]);
        let state = fs::read_to_string(node.datadir().join("grastate.dat")).unwrap();
        let begins = if purpose == "cluster" { "safe_to_bootstrap: 1" } else { "safe_to_bootstrap: 0" };
        assert!(state.trim_end().ends_with(begins), "{state}");
    }
    let mark = first.log_mark();
    first.start(true);
    first.wait_synced(PATIENCE);
    assert_eq!(first.join_since(mark), Join::NoTransfer);
    assert_eq!(first.position().uuid, gtid(manifest).uuid, "the history goes on");
    let joined = second.rejoin();
    assert!(matches!(joined, Join::Ist { .. } | Join::NoTransfer), "{joined:?}");
    support::assert_same_rows([&**first, &**second]);
    first.exec("INSERT INTO writer.log (n, payload) VALUES (1, 'after')");
    wait_until(PATIENCE, || first.position() == second.position());
    let rows = support::assert_same_rows([&**first, &**second]);
    assert!(rows.len() > 20, "{} tables", rows.len());
}
