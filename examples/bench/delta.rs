//! `restore --delta` into a data directory that differs, beside `restore` into an empty one, taking turns.
//!
//! One row is a node's own data directory as its server has left it: after the backup it has got new rows and written to recent ones, and was shut down. Of
//! the others what differs is made in the files themselves: pages of 16 KiB of the tables, with other bytes in them, so that it is known how
//! many and where. Before each run nothing is dirty, and archive and data directory are in the page cache.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wsrep_sst_backup::archive::read_full;

use crate::common::machine::settle;
use crate::common::sysbench::DATABASE;
use crate::common::{Table, gib, heading, mib, say, show};
use crate::freeze::median;
use crate::ours;
use crate::stage::Stage;

const PAGE: u64 = 16 << 10;

/// What is done to the data directory before a restore into it.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// It is emptied; restored without `--delta`.
    Emptied,
    /// The server's own files after some writing.
    Written,
    Nothing,
    /// The last twentieth of each table.
    Newest,
    /// Each 20th page of one table in twenty, at least of one.
    HotTable,
    /// Each 20th page of all tables.
    Everywhere,
}

const CHANGES: [(Change, &str); 6] = [
    (Change::Emptied, "restore into an empty directory"),
    (Change::Written, "--delta, the node's own files after a day"),
    (Change::Nothing, "--delta, nothing differs"),
    (Change::Newest, "--delta, the last 5 % of each table"),
    (Change::HotTable, "--delta, each 20th page of one table"),
    (Change::Everywhere, "--delta, each 20th page of all tables"),
];

/// Runs the part.
pub(crate) fn run(program: &Path, bytes: u64, runs: u32) -> Result<()> {
    let stage = Stage::start(program)?;
    stage.fill(bytes)?;
    let run = ours::back_up(&stage, "zstd", "auto")?;
    say(&format!("a backup of {} with its index", gib(run.stored.unwrap_or_default())));
    write_a_day(&stage)?;
    let mut seen = CHANGES.map(|_| Vec::new());
    let mut peak = 0;
    for _ in 0..runs {
        for ((change, name), seen) in CHANGES.iter().zip(&mut seen) {
            let pages = change.make(&stage)?;
            let measured = restore(&stage, *change)?;
            let ms = i64::try_from(measured.wall.as_millis())?;
            let load = fs::read_to_string("/proc/loadavg")?;
            let load = load.split(' ').next().unwrap_or_default();
            say(&format!("{name}: {ms} ms, {pages} pages changed, load {load}"));
            peak = peak.max(measured.peak);
            seen.push(ms);
        }
    }
    let whole = median(seen[0].clone());
    let mut table = Table::new(&["", "each run, ms", "median", "× restore"], 1);
    for ((_, name), seen) in CHANGES.iter().zip(seen) {
        let each: Vec<String> = seen.iter().map(ToString::to_string).collect();
        let middle = median(seen);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of some minutes")]
        let ratio = format!("{:.2}", middle as f64 / whole as f64);
        table.row(&[(*name).to_owned(), each.join(" "), middle.to_string(), ratio]);
    }
    heading("Restore");
    show(&table.to_string());
    say(&format!("most memory of all runs: {}", mib(peak)));
    Ok(())
}

/// New rows, a fiftieth of those that are there, and another text in the newest thirtieth, in each table. Then the server is shut down.
fn write_a_day(stage: &Stage) -> Result<()> {
    let server = stage.cluster.n(1);
    for table in tables(&stage.datadir().join(DATABASE))? {
        let name = table.file_stem().context("a table without a name")?.to_string_lossy().into_owned();
        let newest: u64 = server.scalar(&format!("SELECT MAX(id) FROM {DATABASE}.{name}")).parse()?;
        let (new, hot) = (newest / 50, newest - newest / 30);
        server.exec(&format!(
            "INSERT INTO {DATABASE}.{name} (k, c, pad) SELECT k, c, pad FROM {DATABASE}.{name} WHERE id <= {new}"
        ));
        server.exec(&format!("UPDATE {DATABASE}.{name} SET pad = REVERSE(pad) WHERE id > {hot}"));
    }
    server.stop();
    Ok(())
}

/// Pages of the server's tables that the restored ones have not.
fn pages_written(stage: &Stage) -> Result<u64> {
    let page = usize::try_from(PAGE)?;
    let mut written = 0;
    for table in tables(&stage.datadir().join(DATABASE))? {
        let restored = stage.target.join(DATABASE).join(table.file_name().unwrap_or_default());
        let (mut now, mut then) = (File::open(&table)?, File::open(restored)?);
        let (mut one, mut other) = (vec![0; page], vec![0; page]);
        while read_full(&mut now, &mut one)? == page {
            let is_there = read_full(&mut then, &mut other)? == page;
            written += u64::from(!is_there || one != other);
        }
    }
    Ok(written)
}

fn restore(stage: &Stage, change: Change) -> Result<crate::common::Measured> {
    let target = stage.target.to_str().context("the path is not UTF-8")?;
    let more: &[&str] = if matches!(change, Change::Emptied) { &[] } else { &["--delta"] };
    let words = [&["restore", "latest", "--as", "node", "--to", target], more].concat();
    Ok(ours::command(stage, &words)?.measured)
}

impl Change {
    /// How many pages it has changed.
    fn make(self, stage: &Stage) -> Result<u64> {
        let mut changed = 0;
        if matches!(self, Self::Written) {
            changed = pages_written(stage)?;
        }
        if matches!(self, Self::Emptied | Self::Written) {
            for entry in fs::read_dir(&stage.target)? {
                let path = entry?.path();
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) }?;
            }
        }
        if matches!(self, Self::Written) {
            let copy = "cp -a --sparse=auto \"$D/.\" \"$T/\"";
            stage.helper.script(copy, &[("D", &stage.datadir()), ("T", &stage.target)])?;
        }
        let tables = match self {
            Self::Emptied | Self::Written | Self::Nothing => Vec::new(),
            _ => tables(&stage.target.join(DATABASE))?,
        };
        for (number, table) in tables.iter().enumerate() {
            let file = File::options().read(true).write(true).open(table)?;
            let count = file.metadata()?.len() / PAGE;
            let pages: Vec<u64> = match self {
                Self::Newest => (count - count / 20..count).collect(),
                Self::Everywhere => (0..count).step_by(20).collect(),
                Self::HotTable if number % 20 == 0 => (0..count).step_by(20).collect(),
                Self::Emptied | Self::Written | Self::Nothing | Self::HotTable => Vec::new(),
            };
            for page in &pages {
                file.write_all_at(&page.to_le_bytes().repeat(64), page * PAGE + 100)?;
            }
            changed += pages.len() as u64;
        }
        let read = "find \"$T\" -type f -print0 | xargs -0 -r cat >/dev/null; find \"$R\" -type f -print0 | xargs -0 cat >/dev/null";
        stage.helper.script(read, &[("T", &stage.target), ("R", stage.program.repository())])?;
        settle(stage.dir())?;
        Ok(changed)
    }
}

/// The files of tables in a directory, the largest first.
fn tables(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "ibd") {
            found.push((fs::metadata(&path)?.len(), path));
        }
    }
    ensure!(!found.is_empty(), "there are no tables in '{}'", folder.display());
    found.sort_by(|one, other| other.cmp(one));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
