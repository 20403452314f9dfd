//! A node that is locked by SQL alone: what waits and what does not, and what a server recovers from a copy of its files.

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use support::fixtures::fill_bulk;
use support::sql::query;
use support::{Cluster, ClusterOptions, Node, PATIENCE, Position, Writer, wait_until};
use wsrep_sst_backup::cluster::Access;
use wsrep_sst_backup::config::Settings;
use wsrep_sst_backup::innodb::redo::{LogHead, pin_checkpoint};
use wsrep_sst_backup::lock::SqlLock;
use wsrep_sst_backup::quiesce::{Files, Limits, QuiesceError, Quiescer, Quiet, Wanted};

fn lock_of(cluster: &Cluster) -> SqlLock {
    let (node, other) = (cluster.n(1), format!("127.0.0.1:{}", cluster.n(2).port()));
    let settings = Settings {
        user: Some("backup".into()),
        members: vec![other.parse().unwrap()],
        ..Settings::default()
    };
    let mut access = Access::to_members(&settings, None);
    access.socket = Some(node.socket());
    SqlLock::new(access, node.socket(), Duration::from_secs(1), true)
}

fn quiesce(lock: SqlLock, seconds: u64) -> Result<Box<dyn Quiet>, QuiesceError> {
    let limits = Limits { timeout: Duration::from_secs(seconds), wanted: &|| Wanted::Yes };
    Box::new(lock).quiesce(&limits)
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_node_is_locked_by_sql_and_a_copy_of_it_recovers_to_that_position() {
    let cluster = Cluster::start(2, &ClusterOptions::new());
    fill_bulk(cluster.n(1), "t", 4);
    for statement in ["CREATE USER backup@'%'", "GRANT ALL ON *.* TO backup@'%'", "CREATE DATABASE d"] {
        cluster.n(1).exec(statement);
    }
    for table in ["t", "u"] {
        cluster.n(1).exec(&format!("CREATE TABLE d.{table} (a INT PRIMARY KEY AUTO_INCREMENT)"));
    }
    writes_get_on_between_slices(&cluster);
    released_by_anybody(&cluster);
    for _ in 0..3 {
        copy_recovers(&cluster);
    }
    without_the_right(&cluster);
}

/// Somebody holds a table for seconds: the lock has it afterwards, and writes on other tables of this node are let through meanwhile.
fn writes_get_on_between_slices(cluster: &Cluster) {
    let node = cluster.n(1);
    let mut holder = node.session();
    query(&mut holder, "LOCK TABLES d.t WRITE").unwrap();
    let writer = Writer::start(node, 100);
    assert!(wait_until(PATIENCE, || writer.take_stats().commits > 0));
    let lock = lock_of(cluster);
    let taker = std::thread::spawn(move || quiesce(lock, 60).map(drop));
    // Three slices, and writes behind each of them.
    for _ in 0..3 {
        let waits = || {
            node.scalar("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO = 'FLUSH TABLES WITH READ LOCK'")
        };
        assert!(wait_until(PATIENCE, || waits() != "0"), "a slice begins");
        writer.take_stats();
        assert!(wait_until(PATIENCE, || waits() == "0"), "it ends");
        assert!(wait_until(PATIENCE, || writer.take_stats().commits > 1), "what waited gets on");
        assert!(!taker.is_finished());
    }
    query(&mut holder, "UNLOCK TABLES").unwrap();
    taker.join().unwrap().unwrap();
    assert_eq!(writer.stop().errors, 0);
    node.wait_synced(PATIENCE);
    // And where it is never given back, the lock is given up.
    query(&mut holder, "LOCK TABLES d.t WRITE").unwrap();
    let error = quiesce(lock_of(cluster), 2).err().expect("not to be had").to_string();
    assert!(error.contains("was not to be had for 2 s (flush-timeout)"), "{error}");
    node.exec("INSERT INTO d.u VALUES (NULL)");
}

fn released_by_anybody(cluster: &Cluster) {
    let node = cluster.n(1);
    let writes = || node.sql_all(&["SET SESSION lock_wait_timeout=10", "INSERT INTO d.u VALUES (NULL)"]);
    let is_locked = || {
        node.sql_all(&["SET SESSION lock_wait_timeout=0", "SELECT 1"]).len() == 1
            && node.state() == "Donor/Desynced"
    };
    let lock = lock_of(cluster);
    let release = lock.release();
    let quiet = quiesce(lock, 9).unwrap();
    assert!(is_locked());
    assert!(std::thread::spawn(move || release.release()).join().unwrap());
    writes();
    assert!(quiet.resume().is_err());
    node.wait_synced(PATIENCE);
    // An administrator's KILL.
    let quiet = quiesce(lock_of(cluster), 9).unwrap();
    let ids = node.sql("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'backup'");
    assert_eq!(ids.len(), 1, "{ids:?}");
    node.exec(&format!("KILL {}", ids[0][0]));
    writes();
    assert!(quiet.resume().is_err(), "what was read under it is not of one moment");
    node.wait_synced(PATIENCE);
}

fn copy_recovers(cluster: &Cluster) {
    let node = cluster.n(1);
    let writers: Vec<Writer> = (0..3).map(|_| Writer::start(node, 300)).collect();
    for writer in &writers {
        assert!(wait_until(PATIENCE, || writer.take_stats().commits > 0));
    }
    // With innodb_flush_log_at_trx_commit=0, as the harness has it, the last commits are in memory.
    assert_eq!(node.variable("innodb_flush_log_at_trx_commit"), "0");
    let quiet = quiesce(lock_of(cluster), 60).unwrap();
    let position = quiet.position().cloned().unwrap();
    assert_eq!(quiet.files(), Files::Crashed);
    assert_eq!(node.status("wsrep_last_committed"), position.seqno.to_string());
    let number = |name: &str| node.status(name).parse::<u64>().unwrap();
    let lsn = number("Innodb_lsn_current");
    let log = node.datadir().join("ib_logfile0");
    let head = LogHead::read(&File::open(&log).unwrap()).unwrap();
    let copy = cluster.make_dir("copy");
    copy_files(
        node,
        &copy,
        &["--exclude=./ib_logfile0", "--exclude=./galera.cache", "--exclude=./grastate.dat"],
    );
    // The server goes on writing pages, and makes a checkpoint.
    node.sql_all(&["SET GLOBAL innodb_max_dirty_pages_pct=0", "SET GLOBAL innodb_log_checkpoint_now=ON"]);
    let newer = LogHead::read(&File::open(&log).unwrap()).unwrap().newest();
    copy_files(node, &copy, &["./ib_logfile0"]);
    node.exec("SET GLOBAL innodb_max_dirty_pages_pct=90");
    let resumed = quiet.resume().map_err(drop).unwrap();
    println!("locked for {} ms at {position}, LSN {lsn}", resumed.frozen.as_millis());
    let clone = File::options().read(true).write(true).open(copy.join("ib_logfile0")).unwrap();
    // Background work of InnoDB may have gone on since the lock; what was flushed when it was taken is there.
    let pinned = pin_checkpoint(&head, &clone, number("Innodb_lsn_flushed").min(lsn)).unwrap();
    assert!(newer > head.newest(), "{newer:?} {:?}", head.newest());
    assert_eq!((pinned.checkpoint, pinned.taken_out), (head.newest(), Some(newer)));
    // They write to the same rows, so that one may be the victim of a deadlock.
    for writer in writers {
        let stats = writer.stop();
        assert!(stats.errors <= 3, "{stats:?}");
    }
    let expected = Position { uuid: position.uuid.clone(), seqno: position.seqno };
    assert_eq!(recovered(node, &copy), Some(expected));
    node.wait_synced(PATIENCE);
    fs::remove_dir_all(&copy).unwrap();
}

fn copy_files(node: &Node, to: &Path, which: &[&str]) {
    let mut from = Command::new("tar");
    from.arg("-c").arg("-C").arg(node.datadir());
    from.args(which);
    if which.iter().all(|argument| argument.starts_with("--")) {
        from.arg(".");
    }
    let output = from.output().unwrap();
    let archive = to.join("copy.tar");
    fs::write(&archive, output.stdout).unwrap();
    assert!(Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(to).status().unwrap().success());
    fs::remove_file(archive).unwrap();
}

/// What a server finds as its position when it starts on these files.
fn recovered(node: &Node, datadir: &Path) -> Option<Position> {
    let output = Command::new("mariadbd")
        .arg(format!("--defaults-file={}", node.cnf().display()))
        .arg(format!("--datadir={}", datadir.display()))
        .args(["--wsrep-recover", "--log-error-verbosity=2"])
        .arg("--skip-networking")
        .args(["socket", "pid-file"].map(|name| format!("--{name}={}", datadir.join(name).display())))
        .arg(format!("--log-error={}", datadir.join("recover.log").display()))
        .output()
        .unwrap();
    let log = fs::read_to_string(datadir.join("recover.log")).unwrap_or_default();
    let found =
        log.lines().rev().find_map(|line| Position::parse(line.split_once("Recovered position: ")?.1));
    assert!(found.is_some(), "{}: {log}{}", output.status, String::from_utf8_lossy(&output.stderr));
    found
}

fn without_the_right(cluster: &Cluster) {
    let node = cluster.n(1);
    node.exec("REVOKE ALL, GRANT OPTION FROM backup@'%'");
    node.exec("GRANT PROCESS, REPLICA MONITOR ON *.* TO backup@'%'");
    let begun = Instant::now();
    let error = quiesce(lock_of(cluster), 5).err().expect("refused").to_string();
    assert!(error.contains("RELOAD"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
