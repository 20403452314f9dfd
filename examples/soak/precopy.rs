//! Backups by the method `precopy` of servers of every kind that are written to and change their tables: what comes of each is the server's files, byte for byte.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use anyhow::{Context, Result};

use crate::common::{heading, say};
use crate::promises::Promises;
use crate::support::precopy::{Compared, PrecopySeen, PrecopyStage};

const EXACT: &str =
    "what restore, and stock tar with the script, make of a backup by precopy is the server's files";
const BOTH: &str = "the redo log names the changed pages, and so do their LSNs, on the same backup";

/// What is looked at here.
pub(crate) const PROMISES: [&str; 2] = [EXACT, BOTH];

/// Runs the part. The seed of a round decides its kind of server, what is done and when.
pub(crate) fn run(program: &Path, rounds: u32, first_seed: u64, promises: &mut Promises) -> Result<()> {
    heading(&format!("{rounds} servers that are copied ahead"));
    let program = program.to_str().context("the program's path is not UTF-8")?;
    let stage = PrecopyStage::new(program);
    let (mut total, mut kinds) = (Total::default(), BTreeMap::<&str, [u32; 2]>::new());
    for seed in first_seed..first_seed + u64::from(rounds) {
        let kind = PrecopyStage::kind(seed).name;
        // The harness reports by panicking, and says what and where.
        let Ok(seen) = catch_unwind(AssertUnwindSafe(|| stage.round(seed, false))) else {
            promises.note(EXACT, Err(format!("PRECOPY_SEED={seed} ({kind})")));
            continue;
        };
        promises.note(EXACT, Ok(()));
        if seen.is_by_log {
            promises.note(BOTH, Ok(()));
        }
        kinds.entry(kind).or_default()[usize::from(!seen.is_by_log)] += 1;
        say(&format!("{seed:>4}  {kind}: {}", told(&seen)));
        total.add(&seen);
    }
    for (kind, [by_log, by_lsn]) in kinds {
        say(&format!("{kind}: {by_log} by the redo log, {by_lsn} by LSN"));
    }
    promises.figures(EXACT, format!("{} statements meanwhile", total.statements));
    let Compared { pages, changed, stored, by_lsn } = total.compared;
    promises.figures(BOTH, format!("of {pages} pages {changed} changed, {stored} named, {by_lsn} by LSN"));
    Ok(())
}

fn told(seen: &PrecopySeen) -> String {
    let PrecopySeen { is_by_log, statements, compared, .. } = seen;
    let way = if *is_by_log { "redo log" } else { "LSN" };
    format!(
        "by {way}; of {} pages {} changed and {} stored, {} by LSN; {statements} statements",
        compared.pages, compared.changed, compared.stored, compared.by_lsn
    )
}

/// Of all rounds; pages of those in which both ways are compared.
#[derive(Default)]
struct Total {
    statements: u64,
    compared: Compared,
}

impl Total {
    fn add(&mut self, seen: &PrecopySeen) {
        self.statements += seen.statements;
        if seen.is_by_log {
            self.compared.pages += seen.compared.pages;
            self.compared.changed += seen.compared.changed;
            self.compared.stored += seen.compared.stored;
            self.compared.by_lsn += seen.compared.by_lsn;
        }
    }
}
