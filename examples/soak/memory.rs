//! The peak memory of the program: much data, ten times the tables, ten times the files.
//!
//! The donor role runs with the default settings on a real server and is watched through `/proc`; `verify` and `restore`
//! of the same backups are measured by the kernel's accounts. `VmHWM` and `ru_maxrss` both count all that is resident, the
//! pages of the program itself included.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::common::machine::{cores, output};
use crate::common::{Helper, Observer, Table, gib, heading, mib, say, seconds, show, sysbench};
use crate::promises::Promises;
use crate::support::fixtures::create_many_tables;
use crate::support::program::{number, with_program};
use crate::support::{Cluster, ClusterOptions, Garbd, Program};

const DONOR: &str = "the donor role's memory stays within the limit";
const VERIFY: &str = "verify's memory stays within the limit";
const RESTORE: &str = "restore's memory stays within the limit";

/// What is looked at here.
pub(crate) const PROMISES: [&str; 3] = [DONOR, VERIFY, RESTORE];

/// Rows of a table that is there for its being a table.
const SMALL: u64 = 50;

/// Tables, ten times as many, and files.
const TABLES: u32 = 200;
const MORE_TABLES: u32 = 2000;
const FILES: u32 = 20_000;

/// Files that one MyISAM table has.
const FILES_OF_A_TABLE: u32 = 3;

/// A donor may take this long.
const LIMIT: Duration = Duration::from_secs(3600);

/// Runs the part.
pub(crate) fn run(program: &Path, bytes: u64, limit: u64, promises: &mut Promises) -> Result<()> {
    heading(&format!("Peak memory with {} of data, {} cores, limit {}", gib(bytes), cores(), mib(limit)));
    let stage = Stage::start(program)?;
    let mut table = Table::new(&["", "files", "data", "donor", "donor s", "verify", "restore"], 1);
    let mut peaks = [Vec::new(), Vec::new(), Vec::new()];
    for step in [Step::MuchData, Step::MoreTables, Step::ManyFiles] {
        let begun = Instant::now();
        let (name, least) = stage.make(step, bytes)?;
        say(&format!("{name}: made in {:.0} s", begun.elapsed().as_secs_f64()));
        let seen = stage.measure(least)?;
        for (promise, (peak, all)) in PROMISES.into_iter().zip(seen.peaks.into_iter().zip(&mut peaks)) {
            promises.check(promise, peak <= limit, || format!("{name}: {} > {}", mib(peak), mib(limit)));
            all.push(mib(peak));
        }
        let [donor, verify, restore] = seen.peaks.map(mib);
        let data = gib(u64::try_from(number(&seen.manifest, "/data_bytes"))?);
        let files = number(&seen.manifest, "/files").to_string();
        table.row(&[name, &files, &data, &donor, &seen.took, &verify, &restore]);
    }
    for (promise, all) in PROMISES.into_iter().zip(peaks) {
        promises.figures(promise, format!("{} of {}", all.join(", "), mib(limit)));
    }
    show(&table.to_string());
    Ok(())
}

/// What is added to the server before each measurement.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// The data, and tables with few rows, 200 in all.
    MuchData,
    /// As many of those more that the sum is 2000.
    MoreTables,
    /// As many small tables more that there are 20,000 files.
    ManyFiles,
}

/// What one step took, for donor, verify, restore.
struct Seen {
    peaks: [u64; 3],
    took: String,
    manifest: Value,
}

struct Stage {
    cluster: Cluster,
    program: Program,
    helper: Helper,
}

impl Stage {
    /// A cluster of one node, which garbd can ask. No settings but the repository and the account.
    fn start(program: &Path) -> Result<Self> {
        let program = program.to_str().context("the program's path is not UTF-8")?;
        let options = with_program(ClusterOptions::new(), program)
            .mysqld("innodb_log_file_size=96M")
            .mysqld("innodb_buffer_pool_size=256M");
        let cluster = Cluster::start(1, &options);
        let (program, helper) = (Program::of(&cluster), Helper::install(cluster.scratch())?);
        Ok(Self { cluster, program, helper })
    }

    /// Makes a step's tables: its name, and how many files there are then at least.
    fn make(&self, step: Step, bytes: u64) -> Result<(&'static str, u32)> {
        let (server, dir) = (self.cluster.n(1), self.cluster.dir());
        match step {
            Step::MuchData => {
                let filled = sysbench::fill(server, dir, bytes)?;
                sysbench::add_tables(server, dir, filled + 1, TABLES.saturating_sub(filled), SMALL)?;
                Ok(("200 tables", 2 * TABLES))
            }
            Step::MoreTables => {
                sysbench::add_tables(server, dir, TABLES + 1, MORE_TABLES - TABLES, SMALL)?;
                Ok(("2,000 tables", 2 * MORE_TABLES))
            }
            Step::ManyFiles => {
                create_many_tables(server, (FILES - 2 * MORE_TABLES).div_ceil(FILES_OF_A_TABLE));
                Ok(("20,000 files", FILES))
            }
        }
    }

    /// Takes a backup, verifies it, restores it, removes both.
    fn measure(&self, least: u32) -> Result<Seen> {
        let server = self.cluster.n(1);
        let observer = Observer::start(server.pid().context("the server does not run")?);
        let outcome = Garbd::backup_and_wait(&self.cluster, 1, None, LIMIT);
        let donor = observer.finish()?;
        let found = self.program.manifests();
        let [manifest] = found.as_slice() else {
            anyhow::bail!("there is no backup:\n{}", server.log_since(outcome.donor_mark));
        };
        let files = number(manifest, "/files");
        ensure!(files >= i64::from(least), "{files} files instead of {least} at least");
        say(&format!(
            "donor: {} in {} s, frozen for {} ms; looked at {} times, the last {} ms before its end",
            mib(donor.peak),
            seconds(donor.wall),
            number(manifest, "/frozen_ms"),
            donor.readings,
            donor.unseen.as_millis()
        ));
        let verify = self.command(&["verify", "latest"])?;
        let target = self.cluster.make_dir("target");
        let restore =
            self.command(&["restore", "latest", "--to", target.to_str().context("the path is not UTF-8")?])?;
        let folder = self.program.archive(manifest).path;
        let folder = folder.parent().context("an archive lies in a folder")?;
        output(std::process::Command::new("rm").arg("-rf").args([folder, &target]))?;
        Ok(Seen {
            peaks: [donor.peak, verify, restore],
            took: seconds(donor.wall),
            manifest: manifest.clone(),
        })
    }

    /// Peak memory of a command that must succeed.
    fn command(&self, words: &[&str]) -> Result<u64> {
        let repository = self.program.repository().to_str().context("the path is not UTF-8")?;
        let all = [words, &["--repository", repository]].concat();
        let (measured, said) = self.helper.program(&self.cluster.program(), &all)?;
        ensure!(measured.status == Some(0), "{words:?} failed:\n{said}");
        say(&format!(
            "{}: {} in {} s",
            words.first().unwrap_or(&""),
            mib(measured.peak),
            seconds(measured.wall)
        ));
        Ok(measured.peak)
    }
}
