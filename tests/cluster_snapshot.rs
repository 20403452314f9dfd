//! A real donor on a file system that clones: it stands still for milliseconds while others write and change tables, and what comes of
//! its backups is exact.

mod support;

use std::fs;

use jiff::Timestamp;
use support::bad_disk::spoil;
use support::fixtures::fill_bulk;
use support::program::{gtid, number, rejoin_by_ist, text, warnings, with_program};
use support::{
    BusyCluster, Cluster, ClusterOptions, Garbd, Node, PATIENCE, Program, Writer, assert_same_rows,
    wait_until,
};

fn time(manifest: &serde_json::Value, pointer: &str) -> Timestamp {
    text(manifest, pointer).parse().unwrap()
}

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and xfsprogs"]
fn a_donor_that_clones_stands_still_for_milliseconds_and_its_backups_are_exact() {
    // So slow that tables change and go while their clones are read.
    let options = with_program(ClusterOptions::new().on_xfs(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .group("wsrep_sst_backup", "limit-rate=60M");
    let mut busy = BusyCluster::start(&options);
    let mut manifests = Vec::new();
    for _ in 0..3 {
        let (manifest, beyond) = busy.back_up();
        assert_eq!(text(&manifest, "/method"), "snapshot");
        let reading = time(&manifest, "/finished").duration_since(time(&manifest, "/frozen_at")).as_millis();
        assert!(reading > 1500 && i128::from(beyond) * 3 < reading, "{beyond} ms of {reading}");
        manifests.push(manifest);
    }
    busy.end_definitions();
    busy.rejoin_from_each(&manifests);
    busy.end_with_same_rows();
}

/// Replaces a text, which must be there, in a node's option file.
fn edit(node: &Node, old: &str, new: &str) {
    let text = fs::read_to_string(node.cnf()).unwrap();
    assert!(text.contains(old), "no '{old}' in {text}");
    fs::write(node.cnf(), text.replace(old, new)).unwrap();
}

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and xfsprogs"]
fn while_clones_are_read_the_node_is_cut_off_and_its_disk_goes_bad() {
    let options =
        with_program(ClusterOptions::new().on_xfs().can_be_cut_off(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
            .group("wsrep_sst_backup", "limit-rate=6M");
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    let (other, donor) = (cluster.n(1), cluster.n(2));
    // So that it stays Primary by itself.
    other.set_provider_option("pc.weight", 2);
    fill_bulk(other, "t", 32);
    other.sql_all(&[
        "CREATE TABLE bulk.victim (id INT PRIMARY KEY, v VARCHAR(500)) ENGINE=InnoDB",
        "USE bulk",
        "INSERT INTO victim SELECT seq, REPEAT('victim ', 60) FROM seq_1_to_2000",
    ]);
    wait_until(PATIENCE, || other.position() == donor.position());
    // The binary log is elsewhere.
    donor.stop();
    let logs = donor.outside_dir("logs");
    edit(donor, "log_bin=binlog", &format!("log_bin={}/binlog", logs.display()));
    donor.rejoin();
    donor.wait_synced(PATIENCE);
    let victim = donor.datadir().join("bulk/victim.ibd");
    spoil(&victim, 5);

    let writer = Writer::start(other, 50);
    let mark = donor.log_mark();
    let said = |text: &str| donor.script_lines(mark).iter().any(|line| line.contains(text));
    let wait = |text: &str| assert!(wait_until(PATIENCE, || said(text)), "{text}: {}", donor.log_since(mark));
    let outcome = Garbd::run_backup(&cluster, 2, None);
    assert_eq!(outcome.status, Some(0), "{}", outcome.log);
    wait("the server runs again");
    // What goes bad now is not in the clones, and no matter of this backup.
    spoil(&victim, 6);
    assert!(wait_until(PATIENCE, || other.status("wsrep_cluster_size") == "2"), "garbd did not leave");
    donor.set_provider_option("gmcast.isolate", 1);
    assert!(wait_until(PATIENCE, || other.status("wsrep_cluster_size") == "1"), "nobody has noticed");
    wait("cut off from its cluster");
    assert!(!said("is complete at"), "{}", donor.log_since(mark));
    donor.set_provider_option("gmcast.isolate", 0);
    // The node is given back by the new view, and not by the end of the transfer.
    wait("is complete at");
    donor.wait_log(mark, "Donor monitor thread ended", PATIENCE);
    donor.wait_synced(PATIENCE);
    assert!(writer.stop().commits > 0, "the other one went on");

    let manifest = program.newest();
    assert_eq!(text(&manifest, "/method"), "snapshot");
    assert_eq!(Some(gtid(&manifest)), donor.frozen_since(mark));
    assert_eq!(number(&manifest, "/damaged_pages"), 1);
    assert!(said("bulk/victim.ibd") && warnings(&manifest).contains("bulk/victim.ibd"), "{manifest}");
    let ran = program.run(&["verify", text(&manifest, "/id")]);
    assert!(ran.out.contains("victim.ibd") || ran.err.contains("victim.ibd"), "{}{}", ran.out, ran.err);
    // The next one has both pages.
    edit(donor, "limit-rate=6M", "limit-rate=none");
    let next = program.back_up(&cluster, 2);
    assert_eq!(number(&next, "/damaged_pages"), 2);

    // Everything else is as it was at that position, the binary log too.
    spoil(&victim, 5);
    spoil(&victim, 6);
    let sound = program.back_up(&cluster, 2);
    assert_eq!((text(&sound, "/method"), number(&sound, "/damaged_pages")), ("snapshot", 0));
    let members = program.archive(&sound).members();
    let stored: Vec<&String> = members.iter().filter(|path| path.contains("/log_bin/binlog.")).collect();
    assert!(stored.len() >= 2 && stored.iter().any(|path| path.ends_with("binlog.index")), "{members:?}");
    donor.stop();
    donor.wipe_datadir();
    fs::remove_dir_all(&logs).unwrap();
    donor.outside_dir("logs");
    program.restore(&sound, &donor.datadir(), &[]);
    donor.own_datadir();
    cluster.scratch().user().own_tree(&logs);
    rejoin_by_ist(donor, &sound);
    assert_same_rows(cluster.nodes().map(|node| &**node));
}
