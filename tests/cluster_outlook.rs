//! What `restore --as node` says of IST before it restores, and what the node then really does.

mod support;

use serde_json::Value;
use support::fixtures::fill_bulk;
use support::program::with_program;
use support::{Cluster, ClusterOptions, Join, PATIENCE, Program};

/// A gcache that holds a few of the large write sets of `fill_bulk`.
const SMALL_GCACHE: &str = "gcache.size=24M";

/// Restores the newest backup into n3's data directory with `--json`; what is said of IST, and on stderr.
fn restore(cluster: &Cluster, program: &Program, more: &[&str]) -> (Value, String) {
    let node = cluster.n(3);
    node.wipe_datadir();
    let (to, file) = (node.datadir(), format!("--defaults-file={}", node.cnf().display()));
    let words = ["restore", "latest", "--json", "--to", to.to_str().unwrap(), &file];
    let ran = program.run(&[&words, more].concat());
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    node.own_datadir();
    let document: Value = serde_json::from_str(&ran.out).expect("JSON");
    (document["ist"].clone(), ran.err)
}

fn last_committed(cluster: &Cluster) -> u64 {
    cluster.n(1).status("wsrep_last_committed").parse().expect("a seqno")
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn what_is_said_of_ist_is_what_the_node_does() {
    let options =
        with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup")).provider(SMALL_GCACHE);
    let cluster = Cluster::start(3, &options);
    let program = Program::of(&cluster);
    let manifest = program.back_up(&cluster, 2);
    let seqno = manifest["gtid"]["seqno"].as_u64().unwrap();
    cluster.n(1).exec("CREATE DATABASE later");
    cluster.n(3).stop();

    let members = format!("127.0.0.1:{},127.0.0.1:1", cluster.n(1).port());
    let (ist, said) = restore(&cluster, &program, &["--members", &members]);
    assert_eq!((&ist["possible"], said.as_str()), (&Value::Bool(true), ""), "{ist}");
    assert_eq!(ist["writesets"].as_u64(), Some(last_committed(&cluster) - seqno), "{ist}");
    let join = cluster.n(3).rejoin();
    assert!(matches!(join, Join::Ist { .. }), "{join:?}");

    cluster.n(3).stop();
    fill_bulk(cluster.n(1), "bulk", 64);
    let (ist, said) = restore(&cluster, &program, &["--members", &members]);
    assert_eq!(ist["possible"], Value::Bool(false), "{ist}");
    assert!(said.starts_with("warning: IST is not possible any more: the backup is at seqno"), "{said}");
    let join = cluster.n(3).rejoin();
    assert!(matches!(join, Join::Sst { .. }), "{join:?}");
    cluster.n(3).wait_synced(PATIENCE);

    let (ist, _) = {
        cluster.n(3).stop();
        restore(&cluster, &program, &["--members", "127.0.0.1:1"])
    };
    assert_eq!(ist["possible"], Value::Null, "{ist}");
    assert!(ist["text"].as_str().unwrap().contains("127.0.0.1:1"), "{ist}");
}
