//! Speed and memory, beside the programs that an administrator would use instead: same data, same machine, one run.
//!
//! `scripts/bench` builds the program and runs this with its path. [`peers`] says what the others do, [`ours`] what we
//! do, [`report`] how to read the table, which [`picture`] draws. [`freeze`], [`hot`], [`beside`] and [`delta`] are parts of their own: how long a server stands still by clones, how long where data is copied ahead, what clients wait for, and how long a restore takes of which most is there. Each row is measured several times, the rows taking turns, so that whatever
//! else the machine does meets all of them; the median counts.

mod beside;
#[path = "../common/mod.rs"]
mod common;
mod delta;
mod freeze;
mod hot;
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
use common::{gib, heading, say, show};
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

    fn runs(&self) -> u32 {
        self.runs.unwrap_or(if self.quick { 1 } else { 5 })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Speed and memory beside other programs
    Peers,
    /// How long a server stands still by clones
    Freeze,
    /// The same with SIZE_GIB of tables only
    FreezeData,
    /// How long a server stands still that is copied ahead, beside one that is read while it stands still
    Precopy,
    /// What clients wait for beside a backup
    Beside,
    /// A restore into a data directory of which most is as it was
    Delta,
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

fn run(options: &Options) -> Result<()> {
    ensure!(options.program.is_file(), "no program '{}': run scripts/bench", options.program.display());
    let begun = Instant::now();
    if options.part != Part::Peers {
        heading("The machine");
        Machine::look(std::path::Path::new("/tmp"))?.tell();
        let runs = options.runs();
        match options.part {
            Part::Beside => beside::run(&options.program, runs)?,
            Part::Precopy => hot::run(&options.program, options.bytes(), runs)?,
            Part::Delta => delta::run(&options.program, options.bytes(), runs)?,
            Part::FreezeData => freeze::run_data(&options.program, options.bytes(), runs)?,
            _ => freeze::run(&options.program, options.bytes(), runs)?,
        }
        say(&format!("took {:.0} s in all", begun.elapsed().as_secs_f64()));
        return Ok(());
    }
    let runs = options.runs();
    heading("A server with data");
    let stage = Stage::start(&options.program)?;
    machine::ensure_room(stage.dir(), options.bytes() * ROOM + (1 << 30))?;
    let machine = Machine::look(stage.dir())?;
    machine.tell();
    stage.fill(options.bytes())?;
    let cached = stage.warm()?;
    say(&cached);

    let mut rows = peers::backups();
    rows.extend(ours::backups());
    measure(&stage, &mut rows, runs, "Backup")?;
    let mut restores = peers::restores();
    restores.extend(ours::restores());
    measure(&stage, &mut restores, runs, "Restore")?;
    rows.append(&mut restores);

    let report = Report {
        day: jiff::Zoned::now().date().to_string(),
        machine,
        server: stage.version(),
        data_bytes: stage.data_bytes()?,
        cached,
        runs,
        rows,
    };
    heading(&format!("{} of data, {}", gib(report.data_bytes), report.server));
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
