//! The look at all files while the server runs; that under the freeze is in `frozen_list`.
//!
//! It makes no client wait. It tries everything that can be tried without a freeze, and is what `check`
//! does as well. A table that is made, renamed or dropped while it goes on looks like one that is missing, so
//! an objection counts when every look has it, of several.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::demand::Demands;
use super::error::CaptureError;
use super::facts::Facts;
use super::files::FileList;
use super::layout::ServerLayout;
use super::walk::{ListOptions, list_files};

/// So many looks, as long as something is missing.
const LOOKS: usize = 4;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(300);

/// Looks at a server that runs; the list may have objections. Every file is opened.
pub fn look_ahead(
    layout: &ServerLayout,
    facts: &mut Facts,
    options: &ListOptions,
) -> Result<(FileList, Demands), CaptureError> {
    let options = ListOptions { try_reading: true, ..options.clone() };
    let mut last = look(layout, facts, &options)?;
    // A table of one name that is made and dropped all the time may be missed by several looks.
    for _ in 1..LOOKS {
        if last.0.objections.is_empty() {
            break;
        }
        let before: BTreeSet<PathBuf> =
            last.0.objections.into_iter().map(|objection| objection.path).collect();
        std::thread::sleep(PAUSE);
        let (mut list, demands) = look(layout, facts, &options)?;
        list.objections.retain(|objection| before.contains(&objection.path));
        list.objections.dedup_by(|one, other| one.path == other.path);
        last = (list, demands);
    }
    Ok(last)
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
