//! How long a server stands still by the method `snapshot`: by a state transfer, and by `run` under a lock of SQL, taking turns.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::common::sysbench;
use crate::common::{Table, heading, say, show};
use crate::support::fixtures::create_many_tables;
use crate::support::program::{Ran, number, with_program};
use crate::support::{Cluster, ClusterOptions, Garbd, Node, PATIENCE, Program};

/// Tables of MyISAM, of three files each.
const TABLES: u32 = 13_200;
/// Extents of the file that has many.
const EXTENTS: u64 = 500_000;

/// Runs the part.
pub(crate) fn run(program: &Path, bytes: u64, runs: u32) -> Result<()> {
    let program = program.to_str().context("the program's path is not UTF-8")?;
    let mut table = new_table();
    // A server for each: to drop thousands of tables takes longer than a new one.
    heading("Many files");
    let bench = Bench::start(program, runs);
    bench.measure("an empty server", &mut table)?;
    create_many_tables(bench.node(), TABLES);
    bench.measure("many small tables", &mut table)?;
    drop(bench);
    heading("A file of many extents");
    let bench = Bench::start(program, runs);
    let extents = bench.many_extents()?;
    bench.measure(&format!("a file of {extents} extents"), &mut table)?;
    drop(bench);
    data(program, bytes, runs, &mut table)?;
    heading("Milliseconds");
    show(&table.to_string());
    Ok(())
}

/// Runs the last row alone, for sizes of which the other rows know nothing.
pub(crate) fn run_data(program: &Path, bytes: u64, runs: u32) -> Result<()> {
    let mut table = new_table();
    data(program.to_str().context("the program's path is not UTF-8")?, bytes, runs, &mut table)?;
    heading("Milliseconds");
    show(&table.to_string());
    Ok(())
}

fn new_table() -> Table {
    Table::new(&["data", "files", "GiB", "by", "flush", "beyond (each run)", "median"], 1)
}

fn data(program: &str, bytes: u64, runs: u32, table: &mut Table) -> Result<()> {
    heading("Data");
    let bench = Bench::start(program, runs);
    sysbench::fill(bench.node(), bench.cluster.dir(), bytes)?;
    bench.measure("tables as of sysbench", table)
}

struct Bench {
    cluster: Cluster,
    program: Program,
    runs: u32,
}

impl Bench {
    fn start(program: &str, runs: u32) -> Self {
        let options = with_program(ClusterOptions::new().on_xfs(), program)
            .mysqld("innodb_log_file_size=96M")
            .mysqld("innodb_buffer_pool_size=256M")
            .mysqld("innodb_flush_log_at_trx_commit=1")
            .group("wsrep_sst_backup", "compression-level=1")
            .group("wsrep_sst_backup", "low-priority=off");
        let cluster = Cluster::start(1, &options);
        Self { program: Program::of(&cluster), runs, cluster }
    }

    fn node(&self) -> &Node {
        self.cluster.n(1)
    }

    fn measure(&self, data: &str, table: &mut Table) -> Result<()> {
        self.estimate()?;
        let mut seen = [Vec::new(), Vec::new()];
        let mut facts = (0, 0);
        for _ in 0..self.runs {
            for (by, seen) in seen.iter_mut().enumerate() {
                let manifest = if by == 0 { self.by_garbd()? } else { self.by_run()? };
                let (frozen, flush) = (number(&manifest, "/frozen_ms"), number(&manifest, "/flush_ms"));
                seen.push((frozen - flush, flush));
                facts = (number(&manifest, "/files"), number(&manifest, "/data_bytes"));
                for entry in fs::read_dir(self.program.repository())? {
                    fs::remove_dir_all(entry?.path()).ok();
                }
            }
        }
        for (by, seen) in ["garbd", "run"].iter().zip(&seen) {
            let beyond: Vec<String> = seen.iter().map(|(beyond, _)| beyond.to_string()).collect();
            let flush = median(seen.iter().map(|(_, flush)| *flush).collect());
            let middle = median(seen.iter().map(|(beyond, _)| *beyond).collect());
            say(&format!("{data}: {by}: beyond the flush {} ms, median {middle}", beyond.join(", ")));
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            let gib = format!("{:.2}", facts.1 as f64 / f64::from(1 << 30));
            let cells = [data.to_owned(), facts.0.to_string(), gib, (*by).to_owned()];
            let figures = [flush.to_string(), beyond.join(" "), middle.to_string()];
            table.row(&[cells.as_slice(), &figures].concat());
        }
        Ok(())
    }

    /// What `check` expects.
    fn estimate(&self) -> Result<()> {
        let ran = Ran::finish(self.program.on(self.node(), &["check", "--sample", "0", "--json"]).spawn()?);
        let told: Value = serde_json::from_str(&ran.out).unwrap_or_default();
        let findings = told["findings"].as_array().cloned().unwrap_or_default();
        for finding in
            findings.iter().filter(|one| ["method", "run"].contains(&one["topic"].as_str().unwrap_or("")))
        {
            say(&format!("check: {}", finding["text"].as_str().unwrap_or_default()));
        }
        Ok(())
    }

    fn by_garbd(&self) -> Result<Value> {
        let outcome = Garbd::run_backup(&self.cluster, 1, None);
        self.node().wait_donor_done(outcome.donor_mark, PATIENCE * 3);
        self.program.manifests().pop().with_context(|| self.node().log_since(outcome.donor_mark))
    }

    fn by_run(&self) -> Result<Value> {
        let ran = Ran::finish(self.program.on(self.node(), &["run", "--force"]).spawn()?);
        ensure!(ran.status == Some(0), "{}{}", ran.out, ran.err);
        self.program.manifests().pop().context("no backup")
    }

    /// A block of data, a block of nothing, and so on; how many extents came of it.
    fn many_extents(&self) -> Result<u64> {
        self.node().exec("CREATE DATABASE IF NOT EXISTS extents");
        let path = self.node().datadir().join("extents/extents.bin");
        let file = File::create(&path)?;
        let block = [0x5a; 4096];
        for number in 0..EXTENTS {
            file.write_all_at(&block, number * 8192)?;
        }
        file.sync_all()?;
        self.cluster.scratch().user().own(&path);
        // Its last line counts those that lie behind each other on the disk as one.
        let counted = Command::new("filefrag").arg("-v").arg(&path).output();
        let text =
            counted.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        let is_extent = |line: &&str| line.trim_start().starts_with(|c: char| c.is_ascii_digit());
        let count = text.lines().filter(is_extent).count() as u64;
        Ok(if count == 0 { EXTENTS } else { count })
    }
}

/// Of a few.
pub(crate) fn median(mut all: Vec<i64>) -> i64 {
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
