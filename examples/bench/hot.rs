//! How long a server stands still by the method `precopy`, and by `freeze`, taking turns, with one large table: when nothing is written to it, and while each twentieth of its pages
//! is written to.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::common::format::millis;
use crate::common::sysbench::{self, DATABASE};
use crate::common::{Table, gib, heading, say, show};
use crate::freeze::median;
use crate::support::program::{number, with_program};
use crate::support::{Cluster, ClusterOptions, Garbd, Node, Program, sql};

/// Bytes that a row takes, nearly, and rows of a page of 16 KiB.
pub(crate) const ROW: u64 = 238;
const ROWS_OF_A_PAGE: u64 = (16 << 10) / ROW;
/// One of so many pages is hot.
const HOT: u64 = 20;
const METHODS: [&str; 2] = ["precopy", "freeze"];
/// A backup may take this long.
const LIMIT: Duration = Duration::from_secs(3600);

/// Runs the part.
pub(crate) fn run(program: &Path, bytes: u64, runs: u32) -> Result<()> {
    let program = program.to_str().context("the program's path is not UTF-8")?;
    heading(&format!("One table of {}", gib(bytes)));
    let options = with_program(ClusterOptions::new(), program)
        .mysqld("innodb_log_file_size=96M")
        .mysqld("innodb_buffer_pool_size=256M")
        .group("wsrep_sst_backup", "compression-level=1");
    let cluster = Cluster::start(1, &options);
    let bench =
        Bench { program: Program::of(&cluster), cnf: fs::read_to_string(cluster.n(1).cnf())?, cluster };
    let rows = bytes / ROW;
    sysbench::add_tables(bench.node(), bench.cluster.dir(), 1, 1, rows)?;
    let mut table = Table::new(&["written to", "by", "beyond the flush (each run)", "median", "pages"], 2);
    bench.measure("nothing", runs, &mut table)?;
    let hot = Hot::start(bench.node(), rows)?;
    bench.measure("5 % of the pages", runs, &mut table)?;
    say(&format!("{} rows were written meanwhile", hot.stop()?));
    heading("Milliseconds");
    show(&table.to_string());
    Ok(())
}

struct Bench {
    cluster: Cluster,
    program: Program,
    /// The node's option file as it was.
    cnf: String,
}

impl Bench {
    fn node(&self) -> &Node {
        self.cluster.n(1)
    }

    fn measure(&self, written: &str, runs: u32, table: &mut Table) -> Result<()> {
        let mut seen = [Vec::new(), Vec::new()];
        let mut named = String::new();
        for _ in 0..runs {
            for (method, seen) in METHODS.iter().zip(&mut seen) {
                let (manifest, pages) = self.back_up(method)?;
                let beyond = number(&manifest, "/frozen_ms") - number(&manifest, "/flush_ms");
                let load = fs::read_to_string("/proc/loadavg")?;
                let load = load.split(' ').next().unwrap_or_default();
                say(&format!("{written}: {method}: {beyond} ms beyond the flush, load {load} {pages}"));
                if !pages.is_empty() {
                    named = pages;
                }
                seen.push(beyond);
            }
        }
        for (method, seen) in METHODS.iter().zip(seen) {
            let each: Vec<String> = seen.iter().map(ToString::to_string).collect();
            let pages = if *method == "precopy" { named.as_str() } else { "" };
            table.row(&[written, method, &each.join(" "), &median(seen).to_string(), pages]);
        }
        Ok(())
    }

    /// Takes a backup and removes it; also which pages the donor says that it has read again.
    fn back_up(&self, method: &str) -> Result<(Value, String)> {
        fs::write(self.node().cnf(), format!("{}method={method}\n", self.cnf))?;
        let outcome = Garbd::run_backup(&self.cluster, 1, None);
        self.node().wait_donor_done(outcome.donor_mark, LIMIT);
        let log = self.node().log_since(outcome.donor_mark);
        let manifest = self.program.manifests().pop().with_context(|| log.clone())?;
        for entry in fs::read_dir(self.program.repository())? {
            fs::remove_dir_all(entry?.path()).ok();
        }
        let named = log.split_once("the redo log names ").and_then(|(_, rest)| rest.split_once(" pages"));
        Ok((manifest, named.map(|(pages, _)| pages.to_owned()).unwrap_or_default()))
    }
}

/// A client that writes one row of each hot page, again and again.
pub(crate) struct Hot {
    over: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    /// The longest time from one answer to the next, milliseconds.
    longest: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Hot {
    pub(crate) fn start(node: &Node, rows: u64) -> Result<Self> {
        let over = Arc::new(AtomicBool::new(false));
        let [written, longest] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let mut session = sql::connect(&node.socket(), LIMIT)?;
        let (is_over, count, pause) = (Arc::clone(&over), Arc::clone(&written), Arc::clone(&longest));
        let thread = std::thread::spawn(move || {
            let mut answered = Instant::now();
            let hot = (1..=rows).step_by(usize::try_from(ROWS_OF_A_PAGE * HOT)?);
            for id in hot.cycle().take_while(|_| !is_over.load(Ordering::Relaxed)) {
                let statement = format!("UPDATE {DATABASE}.sbtest1 SET pad = REVERSE(pad) WHERE id = {id}");
                sql::query(&mut session, &statement)?;
                count.fetch_add(1, Ordering::Relaxed);
                pause.fetch_max(millis(answered.elapsed()), Ordering::Relaxed);
                answered = Instant::now();
            }
            Ok(())
        });
        Ok(Self { over, written, longest, thread })
    }

    /// The longest time from one answer to the next since the start or the last call.
    pub(crate) fn take_longest(&self) -> Duration {
        Duration::from_millis(self.longest.swap(0, Ordering::Relaxed))
    }

    /// Ends it; how many rows were written.
    pub(crate) fn stop(self) -> Result<u64> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the client has panicked"))??;
        Ok(self.written.load(Ordering::Relaxed))
    }
}
