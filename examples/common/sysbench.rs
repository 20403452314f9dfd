//! Tables like those of sysbench's OLTP tests, made fast.
//!
//! `sbtest<n>(id, k, c, pad)` with a key on `k`: `c` holds ten groups of eleven random digits, `pad` five, with dashes
//! between them, so a row compresses as sysbench's do. The rows are written to a file and read by `LOAD DATA`, one
//! statement for each table: InnoDB fills an empty table in bulk, without undo and with sorted indexes, when
//! `unique_checks` and `foreign_key_checks` are off. They are not replicated: where each node of a cluster is filled the rows are the same.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use super::machine;
use crate::support::{Server, sql};

/// Bytes of a tablespace for each row, and those that InnoDB adds in advance (two lots of four extents), as seen with
/// MariaDB 10.11 at 300,000 rows.
const ROW: u64 = 238;
const IN_ADVANCE: u64 = 8 << 20;

/// Bytes of one table, as with sysbench's `--table-size=400000`.
const TABLE: u64 = 100 << 20;

/// What a session is told first; rows are numbered alike on each node.
const SESSION: [&str; 6] = [
    "wsrep_on = OFF",
    "sql_log_bin = 0",
    "unique_checks = 0",
    "foreign_key_checks = 0",
    "auto_increment_increment = 1",
    "auto_increment_offset = 1",
];

/// The database.
pub(crate) const DATABASE: &str = "sbtest";

/// Makes tables of 100 MiB at most, together of about `bytes`; how many. `dir` is a folder that the server may read.
pub(crate) fn fill(server: &Server, dir: &Path, bytes: u64) -> Result<u32> {
    let count = u32::try_from(bytes.div_ceil(TABLE)).context("too large")?;
    let each = bytes / u64::from(count.max(1));
    add_tables(server, dir, 1, count, (each.saturating_sub(IN_ADVANCE) / ROW).max(1))?;
    Ok(count)
}

/// Makes the tables `first` to `first + count - 1` with `rows` each, in as many sessions as there are cores.
pub(crate) fn add_tables(server: &Server, dir: &Path, first: u32, count: u32, rows: u64) -> Result<()> {
    server.exec(&format!("CREATE DATABASE IF NOT EXISTS {DATABASE}"));
    let next = AtomicU32::new(first);
    let work = || -> Result<()> {
        let mut session = sql::connect(&server.socket(), Duration::from_secs(600))?;
        for statement in SESSION {
            sql::query(&mut session, &format!("SET SESSION {statement}"))?;
        }
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= first + count {
                return Ok(());
            }
            fill_table(&mut session, dir, number, rows)?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..machine::cores()).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| anyhow!("a worker has panicked"))?)
    })
}

fn fill_table(session: &mut mysql::Conn, dir: &Path, number: u32, rows: u64) -> Result<()> {
    let file = dir.join(format!("{DATABASE}{number}.tsv"));
    write_rows(&file, u64::from(number), rows)
        .with_context(|| format!("cannot write '{}'", file.display()))?;
    let table = format!("{DATABASE}.sbtest{number}");
    let create = format!(
        "CREATE TABLE {table} (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL DEFAULT 0, \
         c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', KEY k_{number} (k)) ENGINE=InnoDB"
    );
    let load = format!(
        "LOAD DATA INFILE {} INTO TABLE {table} (k, c, pad)",
        sql::literal(&file.display().to_string())
    );
    for statement in [create, load] {
        sql::query(session, &statement).with_context(|| format!("in: {statement}"))?;
    }
    fs::remove_file(&file)?;
    Ok(())
}

fn write_rows(file: &Path, seed: u64, rows: u64) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, fs::File::create(file)?);
    let mut random = Random::new(seed);
    let mut line = Vec::with_capacity(256);
    for _ in 0..rows {
        line.clear();
        write!(line, "{}\t", 1 + random.below(rows))?;
        random.digits(&mut line, 10);
        line.push(b'\t');
        random.digits(&mut line, 5);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    out.flush()
}

/// Numbers without a pattern that a compressor finds: splitmix64, the same in every run.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x5851_f42d_4c95_7f2d))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// `groups` of eleven digits with dashes between them.
    fn digits(&mut self, line: &mut Vec<u8>, groups: u32) {
        for group in 0..groups {
            if group > 0 {
                line.push(b'-');
            }
            let mut number = self.below(100_000_000_000);
            for _ in 0..11 {
                line.push(
                    b"0123456789"
                        .get(usize::try_from(number % 10).unwrap_or_default())
                        .copied()
                        .unwrap_or(b'0'),
                );
                number /= 10;
            }
        }
    }
}
