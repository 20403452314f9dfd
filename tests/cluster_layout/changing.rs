//! Files that change while they are copied: log tables, and the redo log under temporary tables.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::support::fixtures::{create_replicated_zoo, fill_bulk};
use super::support::program::{rejoin_by_ist, text};
use super::support::sql::literal;
use super::support::{Cluster, Program, Server, Writer, assert_same_rows, sql};
use super::{assert_no_replica, check_tables, options};

#[test]
#[ignore = "needs MariaDB and Galera"]
fn small_pages_without_binlog_while_logs_and_temporary_tables_change() {
    changing_files(4096);
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn large_pages_without_binlog_while_logs_and_temporary_tables_change() {
    changing_files(65_536);
}

/// The server logs to tables, and a client makes temporary tables, while the donor is frozen and copied.
fn changing_files(page_size: u32) {
    // Compressed slowly, so that the files are open for long.
    let options = options()
        .page_size(page_size)
        .without_binlog()
        .mysqld("log_output=TABLE")
        .mysqld("general_log=ON")
        .mysqld("slow_query_log=ON")
        .mysqld("long_query_time=0")
        .group("wsrep_sst_backup", "compression=bzip2");
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    for node in cluster.nodes() {
        // ROW_FORMAT=COMPRESSED does not exist for large pages; another format is taken then.
        node.exec("SET GLOBAL innodb_strict_mode = OFF");
    }
    create_replicated_zoo(&cluster);
    fill_bulk(cluster.n(1), "t", 8);
    let donor = cluster.n(2);
    for n in 0..12 {
        let long = format!("SELECT {n}, LENGTH({})", literal(&"general log ".repeat(100_000)));
        donor.exec(&long);
    }
    let writer = Writer::start(cluster.n(1), 200);
    let client = Client::start(donor);
    let manifest = program.back_up(&cluster, 2);
    println!("page size {page_size}: {} statements on the donor meanwhile", client.stop());
    assert_eq!(manifest["server"]["innodb_page_size"], page_size);
    assert_eq!(manifest["damaged_pages"], 0);
    program.ok(&["verify", "latest"]);
    let archive = program.archive(&manifest);
    let changed: Vec<Value> =
        archive.index().iter().map(|l| l["member"].clone()).filter(|m| m["changed"] == true).collect();
    let changed: Vec<&str> = changed.iter().map(|m| text(m, "/path")).collect();
    println!("page size {page_size}: changed under the copy: {changed:?}");
    let moved = changed.contains(&"mysql/general_log.CSV");
    match text(&manifest, "/method") {
        "snapshot" => assert!(!moved, "a clone does not change"),
        // It is read without a pause, and compressed later.
        "precopy" => {}
        _ => assert!(moved, "nothing changed: nothing is proved"),
    }
    // The redo log behind all pages: with an older one a server whose system tablespace has moved on does not start.
    // Lines of blocks stand between those of members, wherever a block was stored.
    let lines = archive.index().into_iter().map(|line| line["member"].clone());
    let members: Vec<Value> = lines.filter(|member| !member.is_null()).collect();
    let place = |path: &str| members.iter().position(|member| member["path"] == path);
    let behind =
        members.iter().skip(place("ib_logfile0").unwrap() + 1).filter(|member| member["kind"] == "file");
    assert_eq!(behind.count(), 0, "behind the redo log");

    donor.stop();
    donor.wipe_datadir();
    archive.unpack_with_stock_tools(&donor.datadir());
    rejoin_by_ist(donor, &manifest);
    donor.stop();
    donor.wipe_datadir();
    program.restore(&manifest, &donor.datadir(), &[]);
    rejoin_by_ist(donor, &manifest);
    let stats = writer.stop();
    assert!(stats.commits > 0 && stats.errors <= stats.commits / 20, "{stats:?}");
    assert_same_rows(cluster.nodes().map(|n| &**n));
    check_tables(donor);
    assert_no_replica(&cluster, &program, &manifest);
    assert_ne!(donor.scalar("SELECT COUNT(*) FROM mysql.general_log"), "0");
    assert_ne!(donor.scalar("SELECT COUNT(*) FROM mysql.slow_log"), "0");
}

/// Queries and temporary tables on one server, until it is stopped.
struct Client {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Client {
    fn start(server: &Server) -> Self {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (seen, count, socket) = (Arc::clone(&stop), Arc::clone(&done), server.socket());
        let thread = std::thread::spawn(move || {
            let mut logging = sql::connect(&socket, Duration::from_secs(30)).unwrap();
            let other = Arc::clone(&seen);
            let temporary = std::thread::spawn(move || {
                let mut session = sql::connect(&socket, Duration::from_secs(30)).unwrap();
                while !other.load(Ordering::Relaxed) {
                    let _ = sql::query(&mut session, "CREATE TEMPORARY TABLE zoo.tmp (a INT) ENGINE=InnoDB");
                    let _ = sql::query(&mut session, "INSERT INTO zoo.tmp VALUES (1)");
                    let _ = sql::query(&mut session, "DROP TEMPORARY TABLE zoo.tmp");
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            while !seen.load(Ordering::Relaxed) {
                let _ = sql::query(&mut logging, "SELECT 'a line in the general log'");
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(1));
            }
            temporary.join().unwrap();
        });
        Self { stop, done, thread }
    }

    fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.done.load(Ordering::Relaxed)
    }
}
