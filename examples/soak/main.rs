//! Checks that take too long for `scripts/test`: many backups in a row, the memory of large ones, many faults.
//!
//! `scripts/soak` builds the program and runs this with its path. [`series`] takes backups one after the other from a
//! cluster that is written to; [`redo`] starts servers on restores, [`crash`] on those of a node's own clones; [`precopy`] compares what was copied from servers that work with their files; [`memory`] takes some of much data and of many files; [`faults`] lets something happen to
//! each. Each promise that is looked at is
//! named beforehand in [`promises`]: one that nothing was seen of counts as broken, as when a part ends early.

#[path = "../common/mod.rs"]
mod common;
mod crash;
mod faults;
mod leftovers;
mod memory;
mod precopy;
mod promises;
mod redo;
mod series;
#[path = "../../tests/support/mod.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, anyhow, ensure};
use clap::{Parser, ValueEnum};
use common::machine::{self, Machine};
use common::{heading, say, show};
use promises::Promises;

/// Takes many backups, and large ones, and checks every promise on each.
#[derive(Debug, Parser)]
#[command(name = "soak")]
struct Options {
    /// The program under test
    #[arg(value_name = "PATH-OF-wsrep_sst_backup")]
    program: PathBuf,
    /// Backups in a row
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(2..))]
    backups: u32,
    /// Data for the memory part, in GiB
    #[arg(long, value_name = "GIB", default_value = "3", value_parser = common::format::parse_gib)]
    size: u64,
    /// Most memory that the program may have resident, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    memory_limit: u64,
    /// Rounds in which the donor program is killed; the other faults have a third, storage faults four thirds of it
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(3..))]
    rounds: u32,
    /// Rounds of the precopy part
    #[arg(long, value_name = "ROUNDS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    precopy_rounds: u32,
    /// Random numbers of the first round of the precopy part: each round that fails names its own
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Only the rows of the crash part whose names have this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    row: String,
    /// Which part to run
    #[arg(long, value_enum, default_value_t = Part::All)]
    part: Part,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Many backups of three nodes, a restored node, rows compared
    Series,
    /// Peak memory of donor, verify and restore
    Memory,
    /// Restores whose redo log was stored in part, each started
    Redo,
    /// Backups by a node's own clones under many settings, each recovered
    Crash,
    /// Backups copied ahead of servers of every kind that work, compared byte by byte
    Precopy,
    /// A fault at a random moment of each backup
    Faults,
    /// All of them
    All,
}

fn main() -> ExitCode {
    if let Some(code) = common::measured::as_parent() {
        return code;
    }
    let options = Options::parse();
    let begun = Instant::now();
    let mut promises = Promises::default();
    match start(&options) {
        Ok(()) => run(&options, &mut promises),
        Err(error) => {
            say(&format!("{error:#}"));
            return ExitCode::FAILURE;
        }
    }
    heading("Summary");
    show(&promises.table());
    say(&format!("took {:.0} s in all", begun.elapsed().as_secs_f64()));
    if promises.all_kept() {
        println!("\n{}", common::talk::styled("1;32", "Every promise was kept"));
        ExitCode::SUCCESS
    } else {
        println!("\n{}", common::talk::styled("1;31", "A promise was broken"));
        ExitCode::FAILURE
    }
}

/// Refuses at once what would fail after minutes.
fn start(options: &Options) -> Result<()> {
    ensure!(options.program.is_file(), "no program '{}': run scripts/soak", options.program.display());
    let place = Path::new("/tmp");
    heading("The machine");
    Machine::look(place)?.tell();
    let series = u64::from(options.backups) * series::STORED_BY_EACH;
    let room = match options.part {
        Part::Series => series,
        Part::Redo | Part::Crash => 8 * series::STORED_BY_EACH,
        Part::Precopy => 20 * series::STORED_BY_EACH,
        Part::Faults => u64::from(options.rounds) * series::STORED_BY_EACH,
        Part::Memory | Part::All => series.max(3 * options.size),
    };
    machine::ensure_room(place, room + (2 << 30))
}

fn run(options: &Options, promises: &mut Promises) {
    let wants = |part| options.part == Part::All || options.part == part;
    if wants(Part::Series) {
        promises.declare(&series::PROMISES);
        part("series", promises, |promises| series::run(&options.program, options.backups, promises));
    }
    if wants(Part::Redo) {
        promises.declare(&redo::PROMISES);
        part("redo", promises, |promises| redo::run(&options.program, options.backups, promises));
    }
    if wants(Part::Crash) {
        promises.declare(&crash::PROMISES);
        part("crash", promises, |promises| crash::run(&options.program, &options.row, promises));
    }
    if wants(Part::Memory) {
        promises.declare(&memory::PROMISES);
        let limit = options.memory_limit << 20;
        part("memory", promises, |promises| memory::run(&options.program, options.size, limit, promises));
    }
    if wants(Part::Precopy) {
        promises.declare(&precopy::PROMISES);
        part("precopy", promises, |promises| {
            precopy::run(&options.program, options.precopy_rounds, options.seed, promises)
        });
    }
    if wants(Part::Faults) {
        promises.declare(&faults::PROMISES);
        let rounds = faults::Rounds(options.rounds);
        part("faults", promises, |promises| faults::run(&options.program, rounds, promises));
    }
}

/// Runs one part. The harness reports by panicking: that ends the part, not the program.
fn part(name: &str, promises: &mut Promises, work: impl FnOnce(&mut Promises) -> Result<()>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| work(promises))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(anyhow!("{}", text.unwrap_or("a panic without a message")))
    });
    if let Err(error) = outcome {
        say(&format!(
            "{}: {error:#}",
            common::talk::styled("1;31", &format!("the part '{name}' ended early"))
        ));
        promises.ended_early(name);
    }
}
