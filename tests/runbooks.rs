//! The runbooks of `doc/runbooks.md`, and the first backup of `README.md`, as they are printed, on a real cluster of three nodes.
//!
//! Only their environment is the test's: a folder in PATH with the commands of a machine (`systemctl`, `journalctl`,
//! `galera_new_cluster`), the program with the machine's option file, a `~/.my.cnf`, and values for what a block assigns
//! at its top.
#![allow(unreachable_pub, reason = "helpers are modules of this binary")]

#[path = "runbooks/book.rs"]
mod book;
#[path = "runbooks/machine.rs"]
mod machine;
mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use machine::{Host, Machine};
use serde_json::Value;
use support::fixtures::{create_replicated_zoo, fill_bulk};
use support::program::{gtid, text, with_program};
use support::{
    Cluster, ClusterOptions, Join, PATIENCE, Program, Replica, Server, Writer, all_checksums,
    assert_same_rows,
};

const TEXT: &str = concat!(include_str!("../doc/runbooks.md"), include_str!("../README.md"));

#[test]
fn every_block_of_the_runbooks_is_run_by_this_test() {
    book::assert_each_is_run_by(include_str!("runbooks.rs"));
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn the_five_runbooks_do_what_they_say() {
    let options = with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    let cluster = Cluster::start(3, &options);
    let program = Program::of(&cluster);
    create_replicated_zoo(&cluster);
    fill_bulk(cluster.n(1), "t", 16);
    let writer = Writer::start(cluster.n(1), 100);
    std::thread::sleep(Duration::from_millis(500));
    the_first_backup(&cluster, &program);
    let manifest = program.back_up(&cluster, 2);
    a_new_replica(&cluster);
    one_node_lost(&cluster, &manifest);
    let stats = writer.stop();
    assert!(stats.commits > 0, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|node| &**node));
    let manifest = program.back_up(&cluster, 2);
    a_clone_for_testing(&cluster);
    a_table_dropped(&cluster, &manifest);
    whole_cluster_lost(&cluster, &manifest);
}

fn the_first_backup(cluster: &Cluster, program: &Program) {
    let said = Machine::of(cluster, Host::Node(cluster.n(3))).run("first-backup", &[]);
    let manifest = program.newest();
    let id = text(&manifest, "/id");
    assert!(said.contains("0 errors") && said.contains(&format!("Backup {id} is complete at ")), "{said}");
    assert!(said.contains("is intact") && said.contains("\nibdata1\n"), "{said}");
    assert_ne!(text(&manifest, "/node"), "n1", "the client writes to that one");
}

/// Another server than the nodes, with option lines of its own, which finds the cluster's repository.
fn elsewhere(cluster: &Cluster, name: &str, lines: &[&str]) -> Replica {
    let repository = format!("repository={}/repository", cluster.dir().display());
    let lines = [lines, &["[wsrep_sst_backup]", &repository, "cluster=wsb_test"]].concat();
    Replica::prepare(cluster.scratch(), name, &lines)
}

fn path(server: &Server) -> String {
    server.datadir().display().to_string()
}

fn a_new_replica(cluster: &Cluster) {
    let replica = elsewhere(cluster, "r1", &["log_bin=binlog", "log_slave_updates=ON"]);
    let master = cluster.n(2);
    Machine::of(cluster, Host::Node(cluster.n(3))).run("new-replica/cluster", &[("PASSWORD", "pass-word")]);
    let said = Machine::of(cluster, Host::Server(&replica)).run(
        "new-replica/replica",
        &[
            ("DATADIR", &path(&replica)),
            ("MASTER", "127.0.0.1"),
            ("PORT", &master.port().to_string()),
            ("PASSWORD", "pass-word"),
        ],
    );
    assert!(said.contains("Slave_IO_Running: Yes") && said.contains("Slave_SQL_Running: Yes"), "{said}");
    // The client goes on: the replica has what was written after it began to follow.
    replica.wait_caught_up(master, PATIENCE);
    master.exec("CREATE TABLE writer.later (id INT PRIMARY KEY)");
    master.exec("INSERT INTO writer.later VALUES (4711)");
    replica.wait_caught_up(master, PATIENCE);
    assert_eq!(replica.scalar("SELECT id FROM writer.later"), "4711");
    let (mut here, mut there) = (all_checksums(&replica), all_checksums(master));
    let log = ("writer".to_owned(), "log".to_owned());
    assert!(here.remove(&log).is_some() && there.remove(&log).is_some(), "{here:?}");
    assert_eq!(here, there);
    replica.stop();
}

fn one_node_lost(cluster: &Cluster, manifest: &Value) {
    let node = cluster.n(3);
    node.kill9();
    let mark = node.log_mark();
    let said = Machine::of(cluster, Host::Node(node)).run("one-node-lost", &[("DATADIR", &path(node))]);
    assert!(said.contains("wsrep_local_state_comment\tSynced"), "{said}");
    assert!(said.contains("Receiving IST: "), "{said}");
    let Join::Ist { local, first, .. } = node.join_since(mark) else { panic!("{}", node.log_tail()) };
    assert_eq!((&local, first), (&gtid(manifest), local.seqno + 1));
    assert!(node.dir().join("data.lost/ibdata1").exists(), "the old files are kept");
}

fn a_clone_for_testing(cluster: &Cluster) {
    // Its option files are those of a node: nothing but the block keeps it away from the cluster.
    let address = format!("wsrep_cluster_address=gcomm://{}", cluster.members());
    let clone = elsewhere(
        cluster,
        "c1",
        &[
            "wsrep_on=ON",
            "wsrep_provider=/usr/lib/galera/libgalera_smm.so",
            "wsrep_cluster_name=wsb_test",
            &address,
            "!include {dir}/99-clone.cnf",
        ],
    );
    let options = clone.dir().join("99-clone.cnf");
    // An !include of a file that is not there is an error; the folder of a real system would just not have it.
    fs::write(&options, "").unwrap();
    // The data directory is a link to another disk: there the old files stay, and the new ones go.
    let disk = clone.dir().join("disk");
    fs::rename(clone.datadir(), &disk).unwrap();
    symlink(&disk, clone.datadir()).unwrap();
    let said = Machine::of(cluster, Host::Server(&clone))
        .run("clone", &[("DATADIR", &path(&clone)), ("OPTIONS", options.to_str().unwrap())]);
    assert!(said.contains("0\t4711\tOFF"), "{said}");
    assert_eq!(fs::read_link(clone.datadir()).unwrap(), disk);
    assert!(disk.join("ibdata1").exists() && clone.dir().join("disk.before").is_dir());
    assert_eq!(clone.status("wsrep_cluster_size"), "0");
    for node in cluster.nodes() {
        assert_eq!(node.status("wsrep_cluster_size"), "3", "{}", node.name());
    }
    assert_same_rows([&*clone as &Server, cluster.n(1)]);
    clone.exec("DROP DATABASE writer");
    assert!(cluster.n(1).try_sql("SELECT 1 FROM writer.log LIMIT 1").is_ok(), "the cluster keeps its own");
    clone.stop();
}

/// Tables with more to them than rows, beside a large one.
const DROPPED: [(&str, &str); 7] = [
    ("bulk", "t"),
    ("zoo", "words"),
    ("zoo", "parent"),
    ("zoo", "parts"),
    ("zoo", "versions"),
    ("zoo", "counter"),
    ("täble €", "größe"),
];

fn a_table_dropped(cluster: &Cluster, manifest: &Value) {
    let node = cluster.n(1);
    let before = all_checksums(node);
    let more = || {
        let history = "SELECT id, v, row_start, row_end FROM zoo.versions FOR SYSTEM_TIME ALL ORDER BY 1, 3";
        let triggers = "SELECT trigger_name, event_object_table FROM information_schema.triggers \
                        WHERE trigger_schema = 'zoo'";
        (node.sql(history), node.sql(triggers))
    };
    let more_before = more();
    assert!(more_before.0.len() == 30 && more_before.1.len() == 1, "{more_before:?}");
    for (database, table) in DROPPED {
        assert!(before.contains_key(&(database.to_owned(), table.to_owned())), "{database}.{table}");
        node.sql_all(&["SET SESSION foreign_key_checks = 0", &format!("DROP TABLE `{database}`.`{table}`")]);
        let scratch = cluster.dir().join("scratch");
        let said = Machine::of(cluster, Host::Node(node)).run(
            "table-dropped",
            &[
                ("TIME", text(manifest, "/finished")),
                ("DATABASE", database),
                ("TABLE", table),
                ("SCRATCH", scratch.to_str().unwrap()),
            ],
        );
        assert!(!scratch.exists(), "the block has cleaned up");
        assert_eq!(said.contains("All files of FULLTEXT indexes"), database == "zoo", "{said}");
    }
    assert_eq!(assert_same_rows(cluster.nodes().map(|node| &**node)), before);
    assert_eq!(more(), more_before);
    let found = node.scalar("SELECT COUNT(*) FROM zoo.words WHERE MATCH (v) AGAINST ('number17')");
    assert_eq!(found, "1", "a FULLTEXT index was made anew");
}

fn whole_cluster_lost(cluster: &Cluster, manifest: &Value) {
    let rows = all_checksums(cluster.n(1));
    cluster.n(1).exec("CREATE TABLE writer.lost (id INT PRIMARY KEY)");
    cluster.nodes().for_each(|node| node.kill9());
    let id = text(manifest, "/id");
    for (number, step) in
        [(1, "whole-cluster-lost/first"), (2, "whole-cluster-lost/other"), (3, "whole-cluster-lost/other")]
    {
        let node = cluster.n(number);
        // The runbook of one lost node has left its files here; an administrator has removed them.
        let _ = fs::remove_dir_all(node.dir().join("data.lost"));
        let mark = node.log_mark();
        let said = Machine::of(cluster, Host::Node(node)).run(step, &[("DATADIR", &path(node)), ("ID", id)]);
        if number == 1 {
            assert!(said.contains("is intact") && said.contains("wsrep_cluster_status\tPrimary"), "{said}");
            assert_eq!(node.position().uuid, gtid(manifest).uuid, "the history goes on");
        } else {
            assert!(said.contains(&format!("wsrep_cluster_size\t{number}")), "{said}");
        }
        assert!(!matches!(node.join_since(mark), Join::Sst { .. } | Join::Unfinished), "{}", node.log_tail());
    }
    let found = assert_same_rows(cluster.nodes().map(|node| &**node));
    assert_eq!(found, rows, "what was written after the backup is lost, and nothing else");
}
