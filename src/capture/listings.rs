//! The two looks at all files: one while the server runs, one under the freeze.
//!
//! The first one makes no client wait. It tries everything that can be tried without a freeze, and is what `check`
//! does as well. A table that is made, renamed or dropped while it goes on looks like one that is missing, so
//! an objection counts when a second look has it too.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::demand::Demands;
use super::error::CaptureError;
use super::facts::Facts;
use super::files::{Entry, FileList};
use super::layout::ServerLayout;
use super::plan::Plan;
use super::standstill;
use super::walk::{ListOptions, list_files};
use super::watch::Watch;

/// Between two looks of which the first had objections.
const PAUSE: Duration = Duration::from_millis(300);

/// Looks at a server that runs; the list may have objections. Every file is opened.
pub fn look_ahead(
    layout: &ServerLayout,
    facts: &mut Facts,
    options: &ListOptions,
) -> Result<(FileList, Demands), CaptureError> {
    let options = ListOptions { try_reading: true, ..options.clone() };
    let (first, demands) = look(layout, facts, &options)?;
    if first.objections.is_empty() {
        return Ok((first, demands));
    }
    let before: BTreeSet<PathBuf> = first.objections.into_iter().map(|objection| objection.path).collect();
    std::thread::sleep(PAUSE);
    let (mut list, demands) = look(layout, facts, &options)?;
    list.objections.retain(|objection| before.contains(&objection.path));
    list.objections.dedup_by(|one, other| one.path == other.path);
    Ok((list, demands))
}

fn look(
    layout: &ServerLayout,
    facts: &mut Facts,
    options: &ListOptions,
) -> Result<(FileList, Demands), CaptureError> {
    // The question comes first: what is made after it is listed all the same.
    let demands = Demands::of(layout, facts);
    let mut list = list_files(layout, options)?;
    // What was not seen is not missing.
    if !list.is_cut {
        let unmet = demands.unmet(&list, &layout.datadir);
        list.objections.extend(unmet);
    }
    Ok((list, demands))
}

/// Lists the files of a frozen server that has come to rest; an error where something is missing that was there before.
pub(super) fn list_frozen(
    layout: &ServerLayout,
    facts: &mut Facts,
    plan: Plan,
    watch: &Watch,
) -> Result<FileList, CaptureError> {
    let mut list = list_files(layout, &plan.options)?;
    standstill::come_to_rest(&mut list, layout, watch)?;
    standstill::note_pages(&mut list, layout);
    let unmet = plan.demands.unmet_now(&list, &layout.datadir, facts);
    list.objections.extend(unmet);
    list.refuse()?;
    // The redo log is read behind every page, so that no page in the archive is newer than the end of the log there.
    list.entries.sort_by_key(Entry::is_redo_log);
    list.tablespaces = plan.tablespaces;
    Ok(list)
}
