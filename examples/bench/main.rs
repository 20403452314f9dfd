//! Speed and memory, beside the programs that an administrator would use instead: same data, same machine, one run.
//!
//! `scripts/bench` builds the program and runs this with its path. [`peers`] says what the others do, [`ours`] what we
//! do, [`report`] how to read the table, which [`picture`] draws. [`freeze`], [`hot`], [`beside`], [`load`], [`delta`] and [`cores`] are parts of their own: how long a server stands still by clones, how long where data is copied ahead, what clients wait for, what a backup takes and does while one writes, how long a restore takes of which most is there, and what more processors bring. Each row is measured several times, the rows taking turns, so that whatever
//! else the machine does meets all of them; the median counts.

mod beside;
#[path = "../common/mod.rs"]
mod common;
mod cores;
mod delta;
mod freeze;
mod hot;
mod load;
mod ours;
mod peers;
mod picture;
mod report;
mod stage;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Parser, ValueEnum};
use common::machine::{self, Machine};
use common::{heading, say, show};
use report::{Report, Row};
use stage::Stage;

/// Measures backup and restore against tar, zstd, pigz, sha256sum and mariadb-backup.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Options {
    /// The program under test
    #[arg(value_name = "PATH-OF-wsrep_sst_backup")]
    program: PathBuf,
    /// Data in the server's tables, in GiB [default: 3]
    #[arg(value_parser = common::format::parse_gib)]
    size_gib: Option<u64>,
    /// How often each row is measured; the median counts [default: 5]
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
    /// Half a GiB, each row once: a look in two or three minutes, not a figure to quote
    #[arg(long, conflicts_with_all = ["size_gib", "runs"])]
    quick: bool,
    /// What is measured
    #[arg(long, value_enum, default_value_t = Part::Peers)]
    part: Part,
    /// Writes all figures of all runs there
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws the tables of `peers` there, as SVG
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

impl Options {
    fn bytes(&self) -> u64 {
        self.size_gib.unwrap_or(if self.quick { 1 << 29 } else { 3 << 30 })
    }

    /// Small tables, where they are what is measured.
    fn tables(&self) -> u32 {
        if self.quick { 1000 } else { 20_000 }
    }

    fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { 5 })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Speed and memory beside other programs
    Peers,
    /// The same with 20,000 small tables (1000 with --quick)
    Small,
    /// How long a server stands still by clones
    Freeze,
    /// How long a server stands still that is copied ahead, beside one that is read while it stands still
    Precopy,
    /// What clients wait for beside a backup
    Beside,
    /// What a backup takes, and does to a cluster, while a client writes
    Load,
    /// A restore into a data directory of which most is as it was
    Delta,
    /// Throughput in memory by processors and threads
    Cores,
}

fn main() -> ExitCode {
    if let Some(code) = common::measured::as_parent() {
        return code;
    }
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("\n{}: {error:#}", common::talk::styled("1;31", "The benchmark failed"));
            ExitCode::FAILURE
        }
    }
}

/// The data at most in all its shapes: tables, restored tables, archives of which some are not compressed.
const ROOM: u64 = 6;
/// A table of a few rows at most, bytes.
const SMALL_TABLE: u64 = 192 << 10;
/// The rows of `peers` that are measured with small tables, too.
const SMALL_ROWS: [&str; 9] = [
    "tar",
    "tar | zstd -1 -T0",
    peers::COMPRESSED_STREAM,
    "wsrep_sst_backup, none",
    "wsrep_sst_backup, zstd (the default)",
    "zstd -dc | tar -x",
    "zstd -dc | mbstream -x; --prepare",
    "wsrep_sst_backup verify",
    "wsrep_sst_backup restore",
];

fn run(options: &Options) -> Result<()> {
    ensure!(options.program.is_file(), "no program '{}': run scripts/bench", options.program.display());
    let begun = Instant::now();
    if !matches!(options.part, Part::Peers | Part::Small) {
        let is_kept = options.json.is_some() || options.picture.is_some();
        ensure!(!is_kept, "--json and --picture are for the parts peers and small");
        heading("The machine");
        Machine::look(std::path::Path::new("/tmp"))?.tell();
        let runs = options.runs();
        match options.part {
            Part::Beside => beside::run(&options.program, runs)?,
            Part::Precopy => hot::run(&options.program, options.bytes(), runs)?,
            Part::Load => load::run(&options.program, options.bytes(), runs)?,
            Part::Delta => delta::run(&options.program, options.bytes(), runs)?,
            Part::Cores => cores::run(&options.program, options.bytes(), runs)?,
            _ => freeze::run(&options.program, options.bytes(), runs)?,
        }
        say(&format!("took {:.0} s in all", begun.elapsed().as_secs_f64()));
        return Ok(());
    }
    let runs = options.runs();
    heading("A server with data");
    let stage = Stage::start(&options.program)?;
    let is_small = options.part == Part::Small;
    let bytes = if is_small { u64::from(options.tables()) * SMALL_TABLE } else { options.bytes() };
    machine::ensure_room(stage.dir(), bytes * ROOM + (1 << 30))?;
    let machine = Machine::look(stage.dir())?;
    machine.tell();
    let data = if is_small { stage.fill_small(options.tables())? } else { stage.fill(bytes)? };
    let cached = stage.warm()?;
    say(&cached);

    let mut rows = peers::backups();
    rows.extend(ours::backups());
    rows.retain(|row| !is_small || SMALL_ROWS.contains(&row.name));
    measure(&stage, &mut rows, runs, "Backup")?;
    let mut restores = peers::restores();
    restores.extend(ours::restores());
    restores.retain(|row| !is_small || SMALL_ROWS.contains(&row.name));
    measure(&stage, &mut restores, runs, "Restore")?;
    rows.append(&mut restores);

    let report = Report {
        day: jiff::Zoned::now().date().to_string(),
        machine,
        server: stage.version(),
        data,
        data_bytes: stage.data_bytes()?,
        cached,
        runs,
        rows,
    };
    heading(&format!("{}, {}", report.data, report.server));
    show(&report.tables());
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report.json())? + "\n";
        std::fs::write(file, text).with_context(|| format!("cannot write '{}'", file.display()))?;
        say(&format!("all runs: '{}'", file.display()));
    }
    if let Some(file) = &options.picture {
        std::fs::write(file, picture::svg(&report))
            .with_context(|| format!("cannot write '{}'", file.display()))?;
        say(&format!("drawn: '{}'", file.display()));
    }
    say(&format!("took {:.0} s in all", begun.elapsed().as_secs_f64()));
    Ok(())
}

/// Measures every row of a group, round after round.
fn measure(stage: &Stage, rows: &mut [Row], runs: u32, what: &str) -> Result<()> {
    for round in 1..=runs {
        heading(&format!("{what}, round {round} of {runs}"));
        for row in rows.iter_mut() {
            stage.prepare(row)?;
            let run = (row.work)(stage).with_context(|| format!("in the row '{}'", row.name))?;
            say(&format!("{:<45} {:>8} s", row.name, common::seconds(run.measured.wall)));
            row.runs.push(run);
        }
    }
    Ok(())
}
