//! What is asked of a node before anything is changed: once before everything is compared, and once more when the archive has been read.

use std::fs;
use std::path::{Path, PathBuf};

use super::compare::refuse_directory;
use super::newer_logs::{self, NewerLogs};
use super::node_places::{self, DeltaNode};
use super::{foreign_engines, lineage};
use crate::archive::Index;
use crate::catalog::BackupReader;
use crate::model::{MemberKind, WsrepGtid};
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::request::RestoreRequest;
use crate::restore::{old_datadir, target, wsrep_home};

/// What was found.
#[derive(Debug)]
pub(super) struct NodeFindings {
    /// Where `grastate.dat` may be besides the data directory.
    pub(super) homes: Vec<PathBuf>,
    /// The seqno of the files, where they tell.
    pub(super) stands_at: Option<i64>,
    /// Binary logs that are newer than the backup.
    pub(super) newer_logs: NewerLogs,
}

/// Refuses places that cannot be written to, or are used by a server; those of another server or history; and what would be lost.
pub(super) fn look(
    source: &BackupReader,
    request: &RestoreRequest,
    node: &DeltaNode,
    (index, places): (&Index, &Destinations),
    gtid: &WsrepGtid,
) -> Result<NodeFindings, RestoreError> {
    let (target, options) = (places.target(), node.options.as_ref());
    target::check_writable(places.external_roots().iter().map(AsRef::as_ref).chain([target]))?;
    old_datadir::refuse(places)?;
    target::check_free_of_others(places, index, &source.location())?;
    refuse_repository(&source.location(), target)?;
    node_places::check_goes_there(index, places, node)?;
    node_places::check_external(index, places, node)?;
    node_places::check_no_others(index, places, node)?;
    foreign_engines::refuse(target, options)?;
    let homes = wsrep_home::all_homes(request, source.manifest(), places)?;
    let stands_at = lineage::check(places, &homes, &node_places::undo_folders(index, places, node), gtid)?;
    let newer_logs = newer_logs::find(index, places, source.manifest(), options);
    newer_logs::refuse(&newer_logs, request.purpose)?;
    for link in index.members.iter().filter(|member| member.kind == MemberKind::Symlink) {
        let place = places.of(link).filter(|_| !places.is_passed_over(link));
        place.map_or(Ok(()), |place| refuse_directory(&place))?;
    }
    Ok(NodeFindings { homes, stands_at, newer_logs })
}

/// Backups among the files of a server are no files that a restore may look through.
fn refuse_repository(repository: &str, target: &Path) -> Result<(), RestoreError> {
    match fs::canonicalize(repository) {
        Ok(place) if place.starts_with(target) => Err(RestoreError::Refused(format!(
            "the repository '{}' lies in the data directory '{}'; move it out of there first",
            place.display(),
            target.display()
        ))),
        _ => Ok(()),
    }
}
