//! Clients whose rows tell at which write set a dump was taken.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::cluster::Cluster;
use super::node::Node;
use super::program::number;
use super::sql;

/// Clients of both nodes that each add a row and count it, in one transaction, which is one write set.
pub struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<u64>>,
}

impl Clients {
    /// Makes their tables, in the database `d`.
    pub fn prepare(node: &Node) {
        node.client(
            "CREATE DATABASE d; USE d; CREATE TABLE log (id BIGINT PRIMARY KEY, n BIGINT) ENGINE=InnoDB;
             CREATE TABLE acc (id INT PRIMARY KEY, n BIGINT) ENGINE=InnoDB; INSERT INTO acc VALUES (1,0),(2,0),(3,0);",
        );
    }

    pub fn start(cluster: &Cluster) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let client = |number: u64| {
            let (stop, node) = (Arc::clone(&stop), cluster.n(1 + usize::from(number == 2)));
            let mut session = node.session();
            std::thread::spawn(move || {
                let mut commits = 0;
                let mut next = 0;
                while !stop.load(Ordering::Relaxed) {
                    next += 1;
                    let id = number * 1_000_000 + next;
                    let statements = [
                        "BEGIN".to_owned(),
                        format!("INSERT INTO d.log VALUES ({id}, {id})"),
                        format!("UPDATE d.acc SET n = n + 1 WHERE id = {number}"),
                        "COMMIT".to_owned(),
                    ];
                    let run = |statement: &String| sql::query(&mut session, statement).map(drop);
                    commits += u64::from(statements.iter().try_for_each(run).is_ok());
                }
                commits
            })
        };
        let threads = (1..=3).map(client).collect();
        Self { stop, threads }
    }

    /// How many transactions there were.
    pub fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    }
}

/// The text of a compressed file of statements.
pub fn statements(file: &Path) -> String {
    let file = File::open(file).unwrap_or_else(|e| panic!("cannot open '{}': {e}", file.display()));
    let mut statements = String::new();
    MultiGzDecoder::new(file).read_to_string(&mut statements).expect("statements are compressed text");
    statements
}

/// The dump is exact at the position of its manifest, where at the write set `base` there were so many rows, and only these clients wrote since.
pub fn assert_exact(dump: &str, manifest: &Value, base: i64, rows_before: i64) {
    let log = rows(dump, "log");
    let seqno = number(manifest, "/gtid/seqno");
    assert_eq!(i64::try_from(log.len()).unwrap() - rows_before, seqno - base, "{manifest:#}");
    let counted: u64 = rows(dump, "acc").iter().map(|row| row[1]).sum();
    assert_eq!(counted, log.len() as u64, "rows of two tables are of one moment");
}

/// The rows of a table of `d`, as a dump has them: each in a line of its own, or, by older programs, all in one.
fn rows(dump: &str, table: &str) -> Vec<Vec<u64>> {
    let database =
        dump.split("\nUSE `").find(|part| part.starts_with("d`;")).expect("the database is dumped");
    let begin = format!("INSERT INTO `{table}` VALUES");
    let statements = database.split(&begin).skip(1).map(|rest| rest.split(";\n").next().unwrap());
    statements.flat_map(|statement| statement.split("),")).map(numbers).collect()
}

fn numbers(row: &str) -> Vec<u64> {
    let row = row.trim_matches(|c: char| c.is_whitespace() || "()".contains(c));
    row.split(',').map(|number| number.parse().unwrap()).collect()
}
