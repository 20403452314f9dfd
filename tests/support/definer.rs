//! Tables that come, change and go while something else happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::node::Node;

/// Makes, alters, empties and drops tables on a node until it is dropped.
#[derive(Debug)]
pub struct Definer {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Definer {
    /// On this node, in the database `ddl`.
    pub fn start(node: &Node) -> Self {
        Self::start_in(node, "ddl")
    }

    /// The same in another database, which is made.
    pub fn start_in(node: &Node, database: &str) -> Self {
        node.exec(&format!("CREATE DATABASE {database}"));
        let database = database.to_owned();
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ended, count) = (Arc::clone(&stop), Arc::clone(&rounds));
        let mut session = node.session();
        let thread = std::thread::spawn(move || {
            use mysql::prelude::Queryable;
            while !ended.load(Ordering::Relaxed) {
                let round = count.fetch_add(1, Ordering::Relaxed);
                for statement in [
                    format!("CREATE TABLE {database}.t{round} (a INT PRIMARY KEY, b VARCHAR(300), KEY (b))"),
                    format!("INSERT INTO {database}.t{round} VALUES (1, REPEAT('x', 300)), (2, 'y')"),
                    format!("ALTER TABLE {database}.t{round} ADD COLUMN c INT, ALGORITHM=COPY"),
                    format!("RENAME TABLE {database}.t{round} TO {database}.r{round}"),
                    format!("TRUNCATE {database}.r{}", round.saturating_sub(1)),
                    format!("DROP TABLE IF EXISTS {database}.r{}", round.saturating_sub(3)),
                ] {
                    // Of the first rounds some tables are not there; a donor's lock makes none of these fail elsewhere.
                    let _ = session.query_drop(statement);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        Self { stop, rounds, thread: Some(thread) }
    }

    /// So many tables were begun.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }
}

impl Drop for Definer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
