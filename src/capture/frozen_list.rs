//! The server is made to stand still, says what it is, and all its files are looked at: how a capture of files begins.

use super::entry::Entry;
use super::error::CaptureError;
use super::facts::Facts;
use super::files::FileList;
use super::identify::identify;
use super::layout::ServerLayout;
use super::method::Host;
use super::plan::Plan;
use super::redo_log::choose_redo;
use super::standstill;
use super::walk::list_files;
use super::watch::Watch;
use crate::output::BackupIdentity;
use crate::quiesce::{Files, Quiet};

/// A server that stands still, and its files.
pub(super) struct FrozenServer {
    /// Dropping it lets the server run.
    pub(super) quiet: Box<dyn Quiet>,
    /// At which position it stands, and what it is.
    pub(super) identity: BackupIdentity,
    /// Its files in this moment.
    pub(super) list: FileList,
}

/// Makes the server stand still, lists its files, and tells whoever waits how many bytes they have.
pub(super) fn freeze_and_list(
    host: &mut dyn Host,
    layout: &ServerLayout,
    facts: &mut Facts,
    plan: Plan,
    watch: &Watch,
) -> Result<FrozenServer, CaptureError> {
    let quiet = host.quiesce()?;
    let worth = quiet.files();
    let identity = identify(quiet.as_ref(), facts, layout)?;
    let mut list = list_frozen(layout, facts, plan, watch, worth)?;
    choose_redo(&mut list, worth);
    host.listener().total(list.bytes);
    quiet.total(list.bytes);
    Ok(FrozenServer { quiet, identity, list })
}

/// Lists the files of a frozen server that has come to rest, where it does (under a lock InnoDB goes on writing); an error where something is missing that was there before.
fn list_frozen(
    layout: &ServerLayout,
    facts: &mut Facts,
    mut plan: Plan,
    watch: &Watch,
    worth: Files,
) -> Result<FileList, CaptureError> {
    plan.options.is_crashed = worth == Files::Crashed;
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
    list.tablespaces = plan.tablespaces.ok();
    list.warnings.extend(plan.engines.left_out_elsewhere(&layout.datadir));
    Ok(list)
}
