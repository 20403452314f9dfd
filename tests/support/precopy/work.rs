//! What goes on in a server while it is copied ahead: rows are written, and tables come, change and go.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use mysql::prelude::Queryable;

use super::kinds::SERVER_KINDS;
use super::server::PATIENCE;
use crate::support::sql;

/// Kinds of servers, which take turns with the seeds.
const KINDS: u64 = SERVER_KINDS.len() as u64;

/// Statements that write rows; ROUND is a number.
const WRITES: [&str; 6] = [
    "UPDATE d.t SET b = MD5(CONCAT(b, ROUND)) WHERE a % 97 = ROUND % 97",
    "INSERT IGNORE INTO d.t SELECT 1000000 + ROUND * 1000 + seq, REPEAT(MD5(seq), 5) FROM d.s WHERE seq <= 200",
    "DELETE FROM d.t WHERE a > 1000000 AND a % 3 = ROUND % 3",
    "UPDATE d.c SET b = REPEAT(MD5(b), 3) WHERE a % 11 = ROUND % 11",
    "UPDATE d.p SET b = CONCAT(REPEAT('x', 2000), ROUND) WHERE a % 13 = ROUND % 13",
    "UPDATE d.m SET b = MD5(b) WHERE a % 401 = ROUND % 401",
];

/// DDL, of which each is a group that belongs together. What a server does not know, as one without keys those of encryption, it refuses.
const DDL: [&[&str]; 17] = [
    &["CREATE TABLE d.nROUND (a INT PRIMARY KEY, b TEXT, FULLTEXT (b)) SELECT a, b FROM d.t LIMIT 500"],
    &["ALTER TABLE d.t ADD KEY kROUND (b, a)", "ALTER TABLE d.t DROP KEY kROUND"],
    &[
        "CREATE TABLE d.xROUND LIKE d.s",
        "INSERT INTO d.xROUND SELECT * FROM d.s",
        "RENAME TABLE d.xROUND TO d.yROUND",
    ],
    &["OPTIMIZE TABLE d.c"],
    &["TRUNCATE TABLE d.u", "INSERT INTO d.u SELECT a, b FROM d.t LIMIT 700"],
    &["RENAME TABLE d.s TO d.swap, d.u2 TO d.s, d.swap TO d.u2"],
    &["DROP TABLE IF EXISTS d.nOLD", "DROP TABLE IF EXISTS d.yOLD", "DROP TABLE IF EXISTS d.bOLD"],
    &["ALTER TABLE d.parts EXCHANGE PARTITION p0 WITH TABLE d.part"],
    &["ALTER TABLE d.t ENGINE=InnoDB"],
    &[
        "FLUSH TABLES d.e FOR EXPORT",
        "COPY e e_aside",
        "UNLOCK TABLES",
        "ALTER TABLE d.i DISCARD TABLESPACE",
        "COPY e_aside i",
        "ALTER TABLE d.i IMPORT TABLESPACE",
    ],
    &["SET GLOBAL innodb_undo_log_truncate=ON", "SET GLOBAL innodb_purge_rseg_truncate_frequency=1"],
    &["ALTER TABLE d.p ADD COLUMN cROUND INT", "UPDATE d.p SET cROUND = a"],
    &[
        "CREATE TABLE d.zROUND (a INT PRIMARY KEY, b VARCHAR(200)) ENGINE=MyISAM SELECT a, b FROM d.t LIMIT 100",
        "ALTER TABLE d.zROUND ENGINE=InnoDB",
        "DROP TABLE d.zROUND",
    ],
    // An empty table is filled in bulk, without undo, where nothing is to be checked.
    &[
        "SET unique_checks=0, foreign_key_checks=0",
        "CREATE TABLE d.bROUND LIKE d.e",
        "INSERT INTO d.bROUND SELECT a, b FROM d.t LIMIT 3000",
        "SET unique_checks=1, foreign_key_checks=1",
    ],
    &[
        "ALTER TABLE d.u PAGE_COMPRESSED=1",
        "UPDATE d.u SET b = REPEAT('ROUND', 40) WHERE a % 3 = 0",
        "ALTER TABLE d.u PAGE_COMPRESSED=0",
    ],
    &[
        "ALTER TABLE d.e ENCRYPTED=YES ENCRYPTION_KEY_ID=2",
        "ALTER TABLE d.e ENCRYPTED=YES ENCRYPTION_KEY_ID=1",
    ],
    // The server's own threads go over every table.
    &["SET GLOBAL innodb_encrypt_tables=OFF", "DO SLEEP(0.2)", "SET GLOBAL innodb_encrypt_tables=ON"],
];

/// What goes on.
#[derive(Debug)]
pub struct Work {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Work {
    /// Two sessions that write and one with DDL, which do in each run what the seed says.
    pub(super) fn begin(seed: u64, socket: &Path, database: &Path) -> Self {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..3_u64)
            .map(|number| {
                let worker = Worker {
                    seed,
                    number,
                    socket: socket.to_owned(),
                    database: database.to_owned(),
                    stop: Arc::clone(&stop),
                    rounds: Arc::clone(&rounds),
                };
                std::thread::spawn(move || worker.run())
            })
            .collect();
        Self { stop, rounds, threads }
    }

    /// Ends it; how many statements or groups of them there were.
    pub(super) fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        self.rounds.load(Ordering::Relaxed)
    }
}

/// Where a round has failed nobody ends it.
impl Drop for Work {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Worker {
    seed: u64,
    number: u64,
    socket: PathBuf,
    database: PathBuf,
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
}

impl Worker {
    /// An error of one statement is that of the others' work.
    fn run(&self) {
        let mut word = self.seed.wrapping_mul(31).wrapping_add(self.number);
        let mut session = None;
        let mut round = self.seed % 7 * 1000;
        while !self.stop.load(Ordering::Relaxed) {
            round += 1;
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = usize::try_from(word >> 33).unwrap();
            if session.is_none() {
                session = sql::connect(&self.socket, PATIENCE).ok();
            }
            let Some(session) = &mut session else { continue };
            if self.number < 2 {
                let _ = session.query_drop(worded(WRITES[choice % WRITES.len()], round));
            } else {
                self.change(session, round, DDL[choice % DDL.len()]);
            }
            self.rounds.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn change(&self, session: &mut mysql::Conn, round: u64, group: &[&str]) {
        // Online, once in a while, in a third of the rounds of each kind of server: then the log cannot be followed.
        if (self.seed + self.seed / KINDS) % 3 == 2 && round % 9 == 3 {
            let size = if round.is_multiple_of(2) { 24 } else { 32 };
            let _ = session.query_drop(format!("SET GLOBAL innodb_log_file_size={}", size << 20));
        }
        for statement in group {
            if let Some(names) = statement.strip_prefix("COPY ") {
                self.copy(names);
            } else {
                let _ = session.query_drop(worded(statement, round));
            }
        }
    }

    /// Files of a table to those of another one, or to a place outside of the server, and back.
    fn copy(&self, names: &str) {
        let Some((from, to)) = names.split_once(' ') else { return };
        let outside = self.database.ancestors().nth(2).unwrap();
        for ending in ["ibd", "cfg"] {
            let at = |name: &str| {
                let folder = if name.ends_with("_aside") { outside } else { &self.database };
                folder.join(format!("{name}.{ending}"))
            };
            // A file that the server has is none to be written over.
            if to.ends_with("_aside") || !at(to).exists() {
                let _ = fs::copy(at(from), at(to));
            }
        }
    }
}

fn worded(statement: &str, round: u64) -> String {
    statement.replace("ROUND", &round.to_string()).replace("OLD", &round.saturating_sub(3).to_string())
}
