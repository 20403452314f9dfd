//! The harness itself, proved on a real cluster: what other tests rely on.

mod support;

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::fixtures::{self, create_zoo};
use support::{
    Cluster, ClusterOptions, Garbd, Join, PATIENCE, Position, Replica, Writer, all_checksums,
    assert_joined_by_ist, assert_same_rows, log, replica, row_checksum,
};

const UUID: &str = "12e724f4-e4e4-11f1-8966-db0ef6fd68ff";

#[test]
fn a_position_is_read_up_to_the_end_of_its_number() {
    let expected = Some(Position { uuid: UUID.to_owned(), seqno: 9 });
    assert_eq!(Position::parse(&format!("{UUID}:9 (20)")), expected);
    assert_eq!(Position::parse(&format!("{UUID}:-1")).map(|p| p.seqno), Some(-1));
    assert_eq!(Position::parse("9:9"), None);
}

#[test]
fn a_copy_followed_by_write_sets_is_not_taken_for_ist() {
    let log = format!(
        "WSREP: State transfer required: \n\tGroup state: {UUID}:4\n\tLocal state: 00000000-0000-0000-0000-000000000000:-1\n\
         WSREP_SST: [INFO] rsync SST completed on joiner (20261120 13:12:48.184)\n\
         WSREP: Installed new state from SST: {UUID}:2\nWSREP: Receiving IST... 100.0% (1/1 events) complete.\n"
    );
    let installed = Position::parse(&format!("{UUID}:2"));
    assert_eq!(log::join_in(&log), Join::Sst { installed });
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn three_nodes_hold_the_same_zoo() {
    let begun = Instant::now();
    let cluster = Cluster::start(3, &ClusterOptions::new());
    println!("three nodes Synced in {:.1} s", begun.elapsed().as_secs_f64());
    assert_eq!(cluster.n(1).status("wsrep_cluster_size"), "3");
    create_zoo(&cluster);
    let sums = assert_same_rows(cluster.nodes().map(|n| &**n));
    for (database, table) in fixtures::odd_names() {
        assert_eq!(sums[&(database, table)].rows, 30);
    }
    let in_zoo = |table: &str| sums[&("zoo".to_owned(), table.to_owned())].rows;
    assert_eq!((in_zoo("aria"), in_zoo("merged"), in_zoo("child"), in_zoo("empty")), (200, 250, 87, 0));
    assert_eq!(sums[&("elsewhere".to_owned(), "innodb".to_owned())].rows, 150);
    for node in cluster.nodes() {
        let place = node.outside_dir(fixtures::OUTSIDE).join("elsewhere/innodb.ibd");
        assert!(place.is_file(), "no '{}'", place.display());
    }
    // One value differs on one node: seen, although the row counts agree.
    cluster
        .n(3)
        .sql_all(&["SET SESSION wsrep_on = OFF", "UPDATE zoo.no_key SET b = 'other' WHERE a = 1 LIMIT 1"]);
    let differs = std::panic::catch_unwind(|| assert_same_rows(cluster.nodes().map(|n| &**n)));
    assert!(differs.is_err());
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_node_comes_back_by_ist_and_a_wiped_one_by_sst() {
    let cluster = Cluster::start(2, &ClusterOptions::new());
    let (first, second) = (cluster.n(1), cluster.n(2));
    let writer = Writer::start(first, 200);
    writer.wait_for_more(20);
    second.stop();
    writer.wait_for_more(20);
    let mark = second.log_mark();
    let Join::Ist { local, first: from, last, .. } = second.rejoin() else {
        panic!("no IST: {:?}", second.join_since(mark));
    };
    assert_eq!(from, local.seqno + 1);
    assert!(last > from + 10, "the writer's write sets were sent: {from}-{last}");
    assert!(assert_joined_by_ist(second, mark).contains("Receiving IST: "));

    second.stop();
    second.wipe_datadir();
    let mark = second.log_mark();
    assert!(matches!(second.rejoin(), Join::Sst { installed: Some(_) }));
    assert!(std::panic::catch_unwind(|| assert_joined_by_ist(second, mark)).is_err());

    let stats = writer.stop();
    assert!(stats.commits > 200, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|n| &**n));
    second.kill9();
    assert_eq!(second.pid(), None);
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn garbd_takes_the_distribution_s_own_script_to_done() {
    let cluster = Cluster::start(1, &ClusterOptions::new());
    let node = cluster.n(1);
    let outcome = Garbd::backup_and_wait(&cluster, 1, Some("label-7"), PATIENCE);
    assert!(outcome.log.contains("'backup:label-7'"), "{}", outcome.log);
    let log = node.log_since(outcome.donor_mark);
    assert!(log.contains("wsrep_sst_backup --role 'donor' --address 'label-7'"), "{log}");
    let paused = node.paused_since(outcome.donor_mark);
    assert_eq!(paused.len(), 1);
    let sent = log.lines().find_map(|l| Position::parse(l.split_once("WSREP: SST sent: ")?.1));
    assert_eq!(sent.as_ref().map(|p| &p.uuid), paused.first().map(|p| &p.uuid));
    assert!(node.script_lines(outcome.donor_mark).iter().any(|l| l.contains("completed on donor")));
    assert_eq!(node.state(), "Synced");

    // A node that does not answer: garbd would wait for ever.
    node.signal(Signal::SIGSTOP);
    let outcome = Garbd::run_backup_within(&cluster, 1, None, Duration::from_secs(2));
    node.signal(Signal::SIGCONT);
    assert_eq!(outcome.status, None);
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn bulk_data_has_the_size_that_was_asked_for() {
    let cluster = Cluster::start(1, &ClusterOptions::new().without_binlog());
    let node = cluster.n(1);
    fixtures::fill_bulk(node, "t", 24);
    let bytes = std::fs::metadata(node.datadir().join("bulk/t.ibd")).unwrap().len();
    assert!((20..=48).contains(&(bytes >> 20)), "{bytes} bytes");
    fixtures::create_many_tables(node, 40);
    assert_eq!(std::fs::read_dir(node.datadir().join("many")).unwrap().count(), 3 * 40 + 1);
    assert_eq!(node.variable("log_bin"), "0");
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_failing_program_is_run_from_our_folder_and_seen_to_fail() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("fails");
    std::fs::write(&program, "#!/bin/sh\necho \"WSREP_SST: [ERROR] no\" >&2\nexit 7\n").unwrap();
    let options = ClusterOptions::new().binary(&program).group("wsrep_sst_backup", "repository={base}/repo");
    let cluster = Cluster::start(1, &options);
    let outcome = Garbd::backup_and_wait(&cluster, 1, None, PATIENCE);
    assert_eq!(cluster.n(1).script_lines(outcome.donor_mark), ["WSREP_SST: [ERROR] no"]);
    let cnf = std::fs::read_to_string(cluster.n(1).cnf()).unwrap();
    assert!(cnf.contains(&format!("repository={}/repo", cluster.dir().display())));
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn files_lie_where_the_settings_put_them() {
    let options = ClusterOptions::new()
        .page_size(4096)
        .gtid_mode(77)
        .outside("innodb_data_home_dir", "shared")
        .outside("innodb_log_group_home_dir", "redo")
        .outside("innodb_undo_directory", "undo")
        .outside("aria_log_dir_path", "arialogs")
        .mysqld("innodb_undo_tablespaces=2");
    let cluster = Cluster::start(2, &options);
    cluster.n(1).exec("CREATE DATABASE d");
    for node in cluster.nodes() {
        assert_eq!(node.variable("innodb_page_size"), "4096");
        for file in ["shared/ibdata1", "redo/ib_logfile0", "undo/undo001", "arialogs/aria_log_control"] {
            assert!(node.dir().join(file).is_file(), "{}: no {file}", node.name());
        }
        node.wait_for("the GTID", PATIENCE, || node.scalar("SELECT @@gtid_binlog_pos").contains("77-"));
    }
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_replica_follows_a_node() {
    let cluster = Cluster::start(1, &ClusterOptions::new());
    let node = cluster.n(1);
    replica::create_account(node);
    let start = node.scalar("SELECT @@gtid_binlog_pos");
    node.stop();
    let replica = Replica::prepare(cluster.scratch(), "r1", &["log_bin=binlog"]);
    let copy = format!("cp -a {}/. {}", node.datadir().display(), replica.datadir().display());
    assert!(std::process::Command::new("sh").args(["-c", &copy]).status().unwrap().success());
    node.start(true);
    node.wait_synced(PATIENCE);
    let writer = Writer::start(node, 100);
    writer.wait_for_more(20);
    writer.stop();
    replica.start();
    replica.follow(node, &start);
    replica.wait_caught_up(node, PATIENCE);
    assert_eq!(row_checksum(&replica, "writer", "log"), row_checksum(node, "writer", "log"));
    assert_eq!(all_checksums(&replica), all_checksums(node));
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn nothing_outlives_a_cluster() {
    let cluster = Cluster::start(1, &ClusterOptions::new());
    let dir = cluster.dir().to_owned();
    let pid = cluster.n(1).pid().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _cluster = cluster;
        panic!("a test that fails");
    }));
    assert!(unwound.is_err());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(std::env::var_os("KEEP").is_some() || !dir.exists());
}
