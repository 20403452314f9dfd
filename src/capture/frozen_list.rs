//! The look at all files under the freeze.

use super::entry::Entry;
use super::error::CaptureError;
use super::facts::Facts;
use super::files::FileList;
use super::layout::ServerLayout;
use super::plan::Plan;
use super::standstill;
use super::walk::list_files;
use super::watch::Watch;
use crate::quiesce::Files;

/// Lists the files of a frozen server that has come to rest, where it does (under a lock InnoDB goes on writing); an error where something is missing that was there before.
pub(super) fn list_frozen(
    layout: &ServerLayout,
    facts: &mut Facts,
    plan: Plan,
    watch: &Watch,
    worth: Files,
) -> Result<FileList, CaptureError> {
    let mut list = list_files(layout, &plan.options)?;
    if worth == Files::Clean {
        standstill::come_to_rest(&mut list, layout, watch)?;
        standstill::note_pages(&mut list, layout);
    }
    let unmet = plan.demands.unmet_now(&list, &layout.datadir, facts);
    list.objections.extend(unmet);
    list.refuse()?;
    // The redo log is read behind every page, so that no page in the archive is newer than the end of the log there.
    list.entries.sort_by_key(Entry::is_redo_log);
    list.tablespaces = plan.tablespaces;
    Ok(list)
}
