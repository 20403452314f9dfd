//! A real donor on a file system that clones: it stands still for milliseconds while others write and change tables, and what comes of
//! its backups is exact.

mod support;

use jiff::Timestamp;
use support::fixtures::{create_replicated_zoo, fill_bulk};
use support::program::{donors_running, number, rejoin_by_ist, text, with_program};
use support::{Cluster, ClusterOptions, Definer, PATIENCE, Program, Writer, assert_same_rows, wait_until};

fn time(manifest: &serde_json::Value, pointer: &str) -> Timestamp {
    text(manifest, pointer).parse().unwrap()
}

#[test]
#[ignore = "needs MariaDB and Galera, root, a loop device and xfsprogs"]
fn a_donor_that_clones_stands_still_for_milliseconds_and_its_backups_are_exact() {
    // So slow that tables change and go while their clones are read.
    let options = with_program(ClusterOptions::new().on_xfs(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
        .group("wsrep_sst_backup", "limit-rate=60M");
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    create_replicated_zoo(&cluster);
    fill_bulk(cluster.n(1), "t", 64);
    let writer = Writer::start(cluster.n(1), 200);
    let definer = Definer::start(cluster.n(1));
    let donor = cluster.n(2);
    assert!(wait_until(PATIENCE, || definer.rounds() > 3));
    let mut manifests = Vec::new();
    for round in 0..3 {
        let before = definer.rounds();
        // At the position where the server says that it has paused.
        let manifest = program.back_up(&cluster, 2);
        assert_eq!(text(&manifest, "/method"), "snapshot");
        assert_eq!(number(&manifest, "/damaged_pages"), 0);
        let beyond = number(&manifest, "/frozen_ms") - number(&manifest, "/flush_ms");
        let reading = time(&manifest, "/finished").duration_since(time(&manifest, "/frozen_at")).as_millis();
        eprintln!("round {round}: {beyond} ms beyond the flush, {reading} ms of reading");
        assert!(reading > 1500 && i128::from(beyond) * 3 < reading, "{beyond} ms of {reading}");
        assert!(definer.rounds() > before, "no table was made meanwhile: nothing is proved");
        donor.wait_synced(PATIENCE);
        assert!(wait_until(PATIENCE, || donors_running(&cluster).is_empty()));
        manifests.push(manifest);
    }
    drop(definer);
    for (index, manifest) in manifests.iter().enumerate() {
        program.ok(&["verify", text(manifest, "/id")]);
        donor.stop();
        donor.wipe_datadir();
        if index == 1 {
            program.archive(manifest).unpack_with_stock_tools(&donor.datadir());
        } else {
            program.restore(manifest, &donor.datadir(), &[]);
        }
        rejoin_by_ist(donor, manifest);
    }
    let stats = writer.stop();
    assert!(stats.commits > 0, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|node| &**node));
}
