//! What a backup can become besides a node: a whole new cluster, an asynchronous replica, a server of its own. And
//! what an interrupted restore must never become: a server.

#[path = "cluster_restore/interrupted.rs"]
mod interrupted;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use interrupted::{interrupted, refused};
use serde_json::Value;
use support::fixtures::{create_replicated_zoo, fill_bulk};
use support::program::{gtid, text, with_program};
use support::{
    Cluster, ClusterOptions, Join, PATIENCE, Program, Replica, Server, Writer, all_checksums,
    assert_same_rows, replica,
};

/// An account such as MariaDB 11.6 and later make for the time of a state transfer.
const SST_ACCOUNT: &str = "wsrep.sst.1234_n1";

/// Rows of all tables, by database and table.
type Rows = BTreeMap<(String, String), support::rows::RowChecksum>;

fn options() -> ClusterOptions {
    with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_replica_and_a_whole_new_cluster_from_backups_of_one_that_runs_with_wsrep_gtid_mode() {
    let cluster = Cluster::start(3, &options().gtid_mode(77));
    let program = Program::of(&cluster);
    create_replicated_zoo(&cluster);
    replica::create_account(cluster.n(1));
    cluster.n(1).exec(&format!("CREATE USER '{SST_ACCOUNT}'@localhost IDENTIFIED BY 'secret'"));
    cluster.n(1).exec(&format!("GRANT ALL PRIVILEGES ON *.* TO '{SST_ACCOUNT}'@localhost WITH GRANT OPTION"));
    let writer = Writer::start(cluster.n(1), 200);
    writer.wait_for_more(20);
    let earlier = program.back_up(&cluster, 2);
    let later = program.back_up(&cluster, 2);
    let rows = replicate(&cluster, &program, &earlier, &later, writer);
    cluster.nodes().for_each(|node| node.stop());
    new_cluster(&cluster, &program, &later, &rows);
}

/// A replica from the earlier backup follows n3, which did not give it. What it holds at the GTID of the later backup
/// is found without that backup: its rows must be those.
fn replicate(cluster: &Cluster, program: &Program, earlier: &Value, later: &Value, writer: Writer) -> Rows {
    let replica = Replica::prepare(cluster.scratch(), "r1", &["log_bin=binlog", "log_slave_updates=ON"]);
    let dropping = cluster.dir().join("drop.sql").display().to_string();
    let said = program.restore(earlier, &replica.datadir(), &["--as", "replica", "--init-file", &dropping]);
    assert!(said.contains(SST_ACCOUNT) && said.contains(&format!("init_file = {dropping}")), "{said}");
    let script = edited_script(&replica, cluster.n(3).port());
    let options = fs::read_to_string(replica.cnf()).unwrap();
    fs::write(replica.cnf(), format!("{options}\n[mysqld]\ninit_file={dropping}\n")).unwrap();
    replica.start();
    let count = format!("SELECT COUNT(*) FROM mysql.user WHERE user = '{SST_ACCOUNT}'");
    assert_eq!((replica.scalar(&count), cluster.n(1).scalar(&count)), ("0".into(), "1".into()));
    let until = text(later, "/mariadb_gtid/binlog_pos");
    let stop = format!("START SLAVE UNTIL master_gtid_pos = '{until}'");
    fs::write(&script, fs::read_to_string(&script).unwrap().replace("START SLAVE", &stop)).unwrap();
    replica.client(&format!("source {}", script.display()));
    replica.wait_for(until, PATIENCE, || {
        replica.assert_no_error();
        replica.variable("gtid_slave_pos") == until
    });
    let rows = all_checksums(&replica);
    replica.exec("START SLAVE");
    writer.wait_for_more(30);
    let stats = writer.stop();
    assert!(stats.commits > 0, "{stats:?}");
    replica.wait_caught_up(cluster.n(3), PATIENCE);
    let end = assert_same_rows([&*replica as &Server, cluster.n(1), cluster.n(2), cluster.n(3)]);
    assert_ne!(end, rows, "the client went on after the later backup");
    rows
}

/// What a restore refuses for the sake of a server that would not start ([`wsrep_sst_backup::restore::unstartable`]): it does not.
#[test]
#[ignore = "needs MariaDB and Galera"]
fn with_options_that_a_restore_refuses_no_server_starts() {
    let cluster = Cluster::prepare(1, &ClusterOptions::new());
    let node = cluster.n(1);
    let keys = cluster.dir().join("keys");
    fs::write(&keys, format!("1;{}\n", "0a".repeat(32))).unwrap();
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o644)).unwrap();
    let with = |options: &[&str]| {
        let mut server = Command::new("mariadbd");
        server.args(["--no-defaults", "--bootstrap", "--innodb-log-file-size=8M"]);
        server
            .arg(format!("--datadir={}", node.datadir().display()))
            .arg(format!("--user={}", cluster.scratch().user().name));
        let output = server.args(options).stdin(Stdio::null()).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (starts, said) = with(&[]);
    assert!(starts, "{said}");
    for option in ["--innodb-page-size=4096", "--aria-block-size=4096"] {
        let (starts, said) = with(&[option]);
        assert!(!starts, "{option}: {said}");
    }
    let two_files = "--innodb-data-file-path=ibdata1:12M;ibdata2:12M:autoextend";
    let (starts, said) = with(&[two_files]);
    assert!(starts, "{said}");
    let (starts, said) = with(&[]);
    assert!(!starts, "with one file of two: {said}");
    let plugin = [
        "--plugin-load-add=file_key_management",
        &format!("--file-key-management-filename={}", keys.display()),
    ];
    let (starts, said) = with(&[&plugin[..], &[two_files, "--innodb-encrypt-log=ON"]].concat());
    assert!(starts, "{said}");
    let (starts, said) = with(&[two_files, "--innodb-encrypt-log=ON"]);
    assert!(!starts, "without the plugin of the keys: {said}");
}

/// The statements that the restore has written, with the test's own address and password.
fn edited_script(replica: &Replica, port: u16) -> std::path::PathBuf {
    let path = replica.datadir().join("wsrep_sst_backup_replica.sql");
    let script = fs::read_to_string(&path).unwrap();
    let edited = script
        .replace("MASTER_HOST = 'n2'", "MASTER_HOST = '127.0.0.1'")
        .replace("MASTER_PORT = 3306", &format!("MASTER_PORT = {port}, MASTER_CONNECT_RETRY = 1"))
        .replace("MASTER_PASSWORD = ''", "MASTER_PASSWORD = 'repl'");
    assert!(edited.contains("'127.0.0.1'") && edited.contains("MASTER_USER = 'repl'"), "{script}");
    fs::write(&path, edited).unwrap();
    path
}

/// The three old nodes are gone; one backup makes three new ones.
fn new_cluster(cluster: &Cluster, program: &Program, manifest: &Value, rows: &Rows) {
    let mut said = Vec::new();
    for (node, purpose, bootstraps) in
        [(1, "cluster", "safe_to_bootstrap: 1"), (2, "node", "safe_to_bootstrap: 0"), (3, "node", ": 0")]
    {
        let node = cluster.n(node);
        node.wipe_datadir();
        said.push(program.restore(manifest, &node.datadir(), &["--as", purpose]));
        let state = fs::read_to_string(node.datadir().join("grastate.dat")).unwrap();
        assert!(state.trim_end().ends_with(bootstraps), "{state}");
    }
    assert!(said[0].contains("galera_new_cluster") && said[0].contains("On every other node"), "{}", said[0]);
    assert!(!said[1].contains("galera_new_cluster"), "{}", said[1]);

    let first = cluster.n(1);
    let mark = first.log_mark();
    first.start(true);
    first.wait_synced(PATIENCE);
    assert_eq!(first.join_since(mark), Join::NoTransfer);
    assert_eq!(first.position().uuid, gtid(manifest).uuid, "the history goes on");
    for number in [2, 3] {
        let joined = cluster.n(number).rejoin();
        match &joined {
            Join::Ist { local, first, .. } => {
                assert_eq!((local, *first), (&gtid(manifest), local.seqno + 1));
            }
            other => assert_eq!(*other, Join::NoTransfer),
        }
        println!("n{number}: {joined:?}");
    }
    for node in cluster.nodes() {
        assert_eq!(node.status("wsrep_cluster_size"), "3");
        assert_eq!(all_checksums(node), *rows, "{}", node.name());
    }
    drop_account(first, &said[0]);
    let writer = Writer::start(cluster.n(3), 200);
    writer.wait_for_more(30);
    let stats = writer.stop();
    assert!(stats.commits > 20 && stats.errors <= stats.commits / 20, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|n| &**n));
}

/// The advice about the left-over account is right: it is there, and the statement removes it. MariaDB 11.6 and later, which
/// make such accounts (the backup has one of its donor, too), also remove those that they find.
fn drop_account(server: &Server, said: &str) {
    let count = format!("SELECT COUNT(*) FROM mysql.global_priv WHERE user = '{SST_ACCOUNT}'");
    let drops: Vec<&str> =
        said.lines().filter_map(|line| Some(line.split_once("mariadb -e \"DROP")?.1)).collect();
    let there = server.scalar(&count);
    assert!(there == "1" || drops.len() > 1, "{there} of {drops:?}");
    let statement = drops.iter().find(|drop| drop.contains(SST_ACCOUNT)).expect("how to drop it");
    server.exec(&format!("DROP{}", statement.trim_end_matches('"')));
    assert_eq!(server.scalar(&count), "0");
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_replica_of_the_donor_a_standalone_server_and_restores_that_are_interrupted() {
    let cluster = Cluster::start(2, &options());
    let program = Program::of(&cluster);
    create_replicated_zoo(&cluster);
    replica::create_account(cluster.n(1));
    fill_bulk(cluster.n(1), "t", 48);
    let writer = Writer::start(cluster.n(1), 200);
    let manifest = program.back_up(&cluster, 2);
    standalone(&cluster, &program, &manifest);
    follow_the_donor(&cluster, &program, &manifest, writer);
    let writer = Writer::start(cluster.n(1), 200);
    let cnf = fs::read_to_string(cluster.n(2).cnf()).unwrap();
    // The slowest to unpack: there is time to interrupt it.
    fs::write(cluster.n(2).cnf(), format!("{cnf}compression=bzip2\n")).unwrap();
    let manifest = program.back_up(&cluster, 2);
    interrupted(&cluster, &program, &manifest);
    refused(&cluster, &program);
    let stats = writer.stop();
    assert!(stats.commits > 0 && stats.errors <= stats.commits / 20, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|n| &**n));
}

/// Without `wsrep_gtid_mode` the nodes' GTIDs differ, so the master is the donor. The script is run as it was written.
fn follow_the_donor(cluster: &Cluster, program: &Program, manifest: &Value, writer: Writer) {
    let replica = Replica::prepare(cluster.scratch(), "r1", &["log_bin=binlog", "log_slave_updates=ON"]);
    program.restore(manifest, &replica.datadir(), &["--as", "replica"]);
    assert!(!replica.datadir().join("grastate.dat").exists());
    let script = edited_script(&replica, cluster.n(2).port());
    replica.start();
    let behind = all_checksums(&replica);
    replica.client(&format!("source {}", script.display()));
    replica.wait_caught_up(cluster.n(2), PATIENCE);
    writer.wait_for_more(30);
    let stats = writer.stop();
    assert!(stats.commits > 0 && stats.errors <= stats.commits / 20, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|n| &**n));
    replica.wait_caught_up(cluster.n(2), PATIENCE);
    let followed = assert_same_rows([&*replica as &Server, cluster.n(2)]);
    assert_ne!(followed, behind, "nothing was replicated");
    replica.assert_no_error();
    replica.stop();
}

/// A server outside of any cluster, with the rows of the donor.
fn standalone(cluster: &Cluster, program: &Program, manifest: &Value) {
    let server = Replica::prepare(cluster.scratch(), "s1", &[]);
    let said = program.restore(manifest, &server.datadir(), &["--as", "standalone"]);
    for name in ["grastate.dat", "gvwstate.dat", "wsrep_sst_backup_replica.sql"] {
        assert!(!server.datadir().join(name).exists(), "{name}");
    }
    server.start();
    // MariaDB 11.6 and later make one for every donor.
    let accounts = server.scalar("SELECT COUNT(*) FROM mysql.global_priv WHERE user LIKE 'wsrep.sst.%'");
    assert_eq!(said.contains("wsrep.sst."), accounts != "0", "{accounts} accounts: {said}");
    assert_eq!(server.variable("wsrep_on"), "0");
    let (mut here, mut there) = (all_checksums(&server), all_checksums(cluster.n(2)));
    let log = ("writer".to_owned(), "log".to_owned());
    let (rows, now) = (here.remove(&log).unwrap().rows, there.remove(&log).unwrap().rows);
    assert!(rows > 0 && rows <= now, "{rows} of {now}");
    assert_eq!(here, there);
    server.stop();
}
