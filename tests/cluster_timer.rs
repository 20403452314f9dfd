//! The same timer on every node: one backup results, whoever of them is first.

mod support;

use support::fixtures::fill_bulk;
use support::program::with_program;
use support::{Administrator, Asking, Cluster, ClusterOptions, PATIENCE, Program, Told};

/// The program under test.
const BINARY: &str = env!("CARGO_BIN_EXE_wsrep_sst_backup");
const NODES: usize = 3;

/// What the service of every node runs, started on all of them in the same moment.
fn all_at_once(administrator: &Administrator, cluster: &Cluster, age: &str) -> Vec<Told> {
    let flag = format!("--unless-newer-than={age}");
    let asking: Vec<_> = (1..=NODES).map(|node| administrator.on(cluster, node, &[&flag])).collect();
    asking.into_iter().map(Asking::finish).collect()
}

/// How often each outcome has come; every service has succeeded.
#[track_caller]
fn outcomes(told: &[Told]) -> (usize, usize) {
    for told in told {
        assert_eq!(told.status, Some(0), "{told}");
    }
    let count = |outcome: &str| told.iter().filter(|told| told.text("outcome") == outcome).count();
    (count("complete"), count("recent"))
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn timers_on_every_node_give_one_backup() {
    let cluster = Cluster::start(NODES, &with_program(ClusterOptions::new(), BINARY));
    fill_bulk(cluster.n(1), "orders", 4);
    let administrator = Administrator::new(&cluster, BINARY);
    let program = Program::of(&cluster);
    let frozen = || {
        let of = |node: &support::Node| node.log().matches("the server is frozen at").count();
        cluster.nodes().map(of).sum::<usize>()
    };
    let before = frozen();

    let told = all_at_once(&administrator, &cluster, "20h");
    assert_eq!(outcomes(&told), (1, NODES - 1), "{told:?}");
    assert_eq!((program.manifests().len(), frozen() - before), (1, 1));
    let id = program.manifests()[0]["id"].clone();
    assert!(told.iter().all(|told| told.json["id"] == id), "{told:?}");

    // The next morning's late timers, of nodes that were switched off at night.
    let told = all_at_once(&administrator, &cluster, "20h");
    assert_eq!(outcomes(&told), (0, NODES), "{told:?}");
    assert_eq!((program.manifests().len(), frozen() - before), (1, 1));

    // The next night.
    let told = all_at_once(&administrator, &cluster, "1s");
    assert_eq!(outcomes(&told), (1, NODES - 1), "{told:?}");
    assert_eq!((program.manifests().len(), frozen() - before), (2, 2));

    // Somebody takes a backup by hand: the timers wait for that one.
    // The copy is short: one that went past it between two looks proves nothing, and the next is taken.
    let (by_hand, held) = loop {
        let by_hand = administrator.on(&cluster, 1, &["--donor=n2"]);
        match support::DonorProgram::hold_at(&cluster, program.repository(), "copying") {
            Some(held) => break (by_hand, held),
            None => assert_eq!(by_hand.finish().text("outcome"), "complete"),
        }
        cluster.nodes().for_each(|node| node.wait_synced(PATIENCE));
    };
    let flag = "--unless-newer-than=1s";
    let mut waiting = administrator.on(&cluster, 3, &[flag]);
    waiting.wait_said("is being made: waiting for its end");
    held.go_on();
    assert_eq!(by_hand.finish().text("outcome"), "complete");
    assert_eq!(waiting.finish().text("outcome"), "recent");
    cluster.nodes().for_each(|node| node.wait_synced(PATIENCE));
    let leases = std::fs::read_dir(program.repository()).unwrap().flatten();
    let leases: Vec<_> = leases.filter(|entry| entry.path().is_file()).collect();
    assert!(leases.is_empty(), "{leases:?}");
}
