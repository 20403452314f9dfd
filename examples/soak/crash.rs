//! Backups of a node by its own clones (`run`), under the settings of other people's servers: each recovers exactly.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result};

use crate::common::{heading, say};
use crate::promises::Promises;
use crate::support::crash_rows::{CRASH_CORE, CRASH_ROWS, CrashSeen, try_crash_row};

const EXACT: &str = "a backup by run's own clones recovers to its position, and joins by IST";

/// What is looked at here.
pub(crate) const PROMISES: [&str; 1] = [EXACT];

/// Of each combination of settings.
const BACKUPS: u32 = 3;

/// Runs the part.
pub(crate) fn run(program: &Path, row_name: &str, promises: &mut Promises) -> Result<()> {
    heading("Backups of a node by its own clones, under many settings");
    let program = program.to_str().context("the program's path is not UTF-8")?;
    let (mut locked, mut taken_out) = (Vec::new(), 0);
    let rows = CRASH_ROWS.iter().chain(&CRASH_CORE);
    for row in rows.filter(|row| row.name.contains(row_name)) {
        // The harness reports by panicking.
        let seen = catch_unwind(AssertUnwindSafe(|| try_crash_row(program, row, BACKUPS)));
        let CrashSeen { backups, taken_out: here, locked_ms } = seen.unwrap_or_default();
        promises.check(EXACT, backups >= BACKUPS, || format!("{}: {backups} of {BACKUPS}", row.name));
        say(&format!(
            "{}: {backups} of {BACKUPS} exact, locked for {locked_ms:?} ms, a checkpoint between clones in {here}",
            row.name
        ));
        taken_out += here;
        if !row.checkpoints {
            locked.extend(locked_ms);
        }
    }
    locked.sort_unstable();
    let of = |place: usize| locked.get(place).copied().unwrap_or_default();
    promises.figures(
        EXACT,
        format!(
            "locked for {}, {}, {} ms (min, median, max); {taken_out} checkpoints between clones",
            of(0),
            of(locked.len() / 2),
            of(locked.len().saturating_sub(1))
        ),
    );
    Ok(())
}
