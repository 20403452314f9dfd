//! Restores whose redo log was stored in part: each of them starts, without a recovery. As many of a log of the format of MariaDB 10.8, and of the same encrypted.
//!
//! Two nodes, of which one is written to and changes its tables all the time; backups of the other are restored as servers of their own. What the
//! server says of its start and of its tables counts.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::common::{heading, say};
use crate::promises::Promises;
use crate::support::encryption::ServerKeys;
use crate::support::program::{number, with_program};
use crate::support::{Cluster, ClusterOptions, Garbd, PATIENCE, Program, Replica, Writer};

const STARTS: &str = "a restore whose redo log was stored in part starts";
const CLEAN: &str = "it neither recovers nor complains";
const TABLES: &str = "its tables are whole, and can be written to";
const SMALL: &str = "less than 1 MiB of its redo log was stored";

/// What is looked at here.
pub(crate) const PROMISES: [&str; 4] = [STARTS, CLEAN, TABLES, SMALL];

/// A backup is asked for so often.
const ATTEMPTS: u32 = 4;

/// What a server must not say that starts on a clean data directory.
const COMPLAINTS: [&str; 5] = ["[ERROR]", "crash recovery", "in the future", "corrupt", "Missing FILE_"];

/// Runs the part.
pub(crate) fn run(program: &Path, backups: u32, promises: &mut Promises) -> Result<()> {
    heading(&format!("{backups} restores whose redo log was stored in part"));
    of_a_format(program, backups, &[], promises)?;
    heading(&format!("{backups} restores whose encrypted redo log was stored in part"));
    let keys = ServerKeys::new();
    of_a_format(program, backups, &keys.lines(), promises)
}

/// Of servers with these lines.
fn of_a_format(program: &Path, backups: u32, lines: &[String], promises: &mut Promises) -> Result<()> {
    let program = program.to_str().context("the program's path is not UTF-8")?;
    let options = with_program(ClusterOptions::new(), program);
    let options = lines.iter().fold(options, |options, line| options.mysqld(line));
    let cluster = Cluster::start(2, &options);
    let program = Program::of(&cluster);
    let writer = Writer::start(cluster.n(1), 200);
    let over = Arc::new(AtomicBool::new(false));
    let changes = {
        let (over, mut session) = (Arc::clone(&over), cluster.n(1).session());
        thread::spawn(move || {
            let mut round = 0;
            while !over.load(Ordering::Relaxed) {
                round += 1;
                for statement in changes(round) {
                    // DDL and writes of other sessions may be in each other's way.
                    let _ = crate::support::sql::query(&mut session, &statement);
                }
            }
            round
        })
    };
    for turn in 1..=backups {
        one(&cluster, &program, turn, lines, promises);
    }
    over.store(true, Ordering::Relaxed);
    let rounds = changes.join().map_err(|_| anyhow::anyhow!("the session with the DDL has panicked"))?;
    let stats = writer.stop();
    say(&format!("meanwhile {} commits and {rounds} rounds of DDL", stats.commits));
    Ok(())
}

/// Tables come, change, and go.
fn changes(round: u32) -> Vec<String> {
    let table = format!("writer.t{}", round % 7);
    vec![
        format!("CREATE TABLE IF NOT EXISTS {table} (a INT PRIMARY KEY AUTO_INCREMENT, b VARCHAR(300))"),
        format!("INSERT INTO {table} (b) SELECT REPEAT(MD5(RAND()), 9) FROM writer.log LIMIT 300"),
        format!("ALTER TABLE {table} ADD KEY (b), ADD COLUMN c{round} INT DEFAULT {round}"),
        format!("OPTIMIZE TABLE {table}"),
        format!("TRUNCATE TABLE writer.t{}", (round + 3) % 7),
        format!("DROP TABLE IF EXISTS writer.t{}", (round + 5) % 7),
    ]
}

/// A backup that is refused while a table comes or goes is asked for again.
fn backup(cluster: &Cluster, program: &Program) -> Option<Value> {
    (0..ATTEMPTS).find_map(|_| {
        let outcome = Garbd::run_backup(cluster, 2, None);
        cluster.n(2).wait_donor_done(outcome.donor_mark, PATIENCE);
        let made = program.manifests().pop();
        if made.is_none() {
            let log = cluster.n(2).log_since(outcome.donor_mark);
            let why =
                log.lines().find(|line| line.contains("WSREP_SST: [ERROR]")).unwrap_or("for no reason told");
            say(&format!("refused, and asked for again: {why}"));
        }
        made
    })
}

fn one(cluster: &Cluster, program: &Program, turn: u32, lines: &[String], promises: &mut Promises) {
    let Some(manifest) = backup(cluster, program) else {
        promises.note(SMALL, Err(format!("turn {turn}: no backup in {ATTEMPTS} attempts")));
        return;
    };
    let index = program.archive(&manifest).index();
    let log = index.iter().map(|line| &line["member"]).find(|member| member["path"] == "ib_logfile0");
    let stored = log.map_or(i64::MAX, |log| number(log, "/stored"));
    let is_small = stored < 1 << 20 && manifest["live_redo"].is_object();
    promises.check(SMALL, is_small, || format!("backup {turn}: {stored} bytes"));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let server = Replica::prepare(cluster.scratch(), "restored", &lines);
    program.restore(&manifest, &server.datadir(), &["--as", "standalone"]);
    let mark = server.log_mark();
    server.start();
    promises.check(STARTS, true, String::new);
    let said = server.log_since(mark);
    let complaint = COMPLAINTS.iter().find(|complaint| said.contains(**complaint));
    promises.check(CLEAN, complaint.is_none(), || format!("backup {turn}: {complaint:?} in:\n{said}"));
    let broken = broken_tables(&server);
    promises.check(TABLES, broken.is_empty(), || format!("backup {turn}: {}", broken.join("; ")));
    say(&format!("{turn:>4}  {stored:>6} bytes of the redo log stored, started"));
    server.stop();
    let _ = std::fs::remove_dir_all(server.dir());
    let folder = program.repository().join(cluster_folder(program));
    let _ = std::fs::remove_dir_all(folder);
}

/// What CHECK TABLE says of each table that is not OK, and what a write says.
fn broken_tables(server: &Replica) -> Vec<String> {
    let tables = server.sql("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'writer'");
    let mut broken = Vec::new();
    for table in tables {
        let said = server.sql(&format!("CHECK TABLE writer.`{}` EXTENDED", table[0]));
        broken.extend(said.into_iter().map(|row| row.join(" ")).filter(|row| !row.ends_with("status OK")));
    }
    if let Err(error) = server.try_sql("CREATE TABLE writer.after_restore AS SELECT * FROM writer.log") {
        broken.push(error.to_string());
    }
    broken
}

/// The only cluster's.
fn cluster_folder(program: &Program) -> String {
    let listing = std::fs::read_dir(program.repository()).into_iter().flatten().flatten();
    let folder = listing
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .find(|name| !name.contains('.'));
    folder.unwrap_or_else(|| "none".into())
}
