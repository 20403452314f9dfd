//! What is to be done, found before anything is changed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::access;
use super::compare::{Fates, check_unchanged, compare};
use super::extras::{self, Extra, Extras};
use super::newer_logs::NewerLogs;
use super::node_looks::{self, NodeFindings};
use super::node_places::{DeltaNode, tell_unnamed};
use super::report::{DeltaReport, report};
use super::room::{self, DeltaRoom};
use super::server_files::ServerFiles;
use super::server_locks::{ServerLocks, aria_controls, locked_by_servers};
use crate::archive::{GRASTATE_MEMBER, Index};
use crate::catalog::BackupReader;
use crate::model::{MemberKind, WsrepGtid};
use crate::restore::archive_stream::open_stream;
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::frame::check_purpose;
use crate::restore::identity;
use crate::restore::request::{Control, RestoreRequest};
use crate::restore::start_file::hidden;
use crate::restore::target_lock::TargetLock;

/// What is to be done, while nobody else can use the directory.
pub struct DeltaPlan<'a> {
    pub(super) source: &'a BackupReader,
    pub(super) request: &'a RestoreRequest,
    node: &'a DeltaNode,
    pub(super) index: Index,
    pub(super) places: Destinations,
    pub(super) state: NodeFindings,
    pub(super) gtid: WsrepGtid,
    pub(super) fates: Fates,
    pub(super) extras: Extras,
    pub(super) room: DeltaRoom,
    pub(super) report: DeltaReport,
    /// Held till all is done.
    servers: ServerLocks,
    restores: TargetLock,
}

/// Compares everything, and changes nothing. Progress is told in bytes of files that were compared.
pub fn plan_delta<'a>(
    source: &'a BackupReader,
    request: &'a RestoreRequest,
    node: &'a DeltaNode,
    control: &Control<'_>,
) -> Result<DeltaPlan<'a>, RestoreError> {
    let gtid = history_of(source, request)?;
    let index = source.index()?;
    let first = index.plan_of(index.stream_members().iter().take(1));
    let identity = identity::read(&mut open_stream(source, &index, first, 1)?, source, &index)?;
    let places = Destinations::new(Path::new(identity.datadir()), &index, request)?;
    let target = places.target();
    if !fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
        return refused(format!(
            "there is no data directory at '{}'; restore without --delta makes one",
            target.display()
        ));
    }
    let Some(restores) = TargetLock::take(target)? else {
        return refused(format!(
            "'{}' cannot be locked, so that another restore into it would not be kept away; restore into an empty directory without --delta",
            target.display()
        ));
    };
    let state = node_looks::look(source, request, node, (&index, &places), &gtid)?;
    if node.is_unnamed {
        tell_unnamed(target);
    }
    let servers = ServerLocks::take(locked_by_servers(&index, &places))?;
    let fates = compare(&index, &places, request.threads, control)?;
    let names = ServerFiles::of(&places, target, node.options.as_ref());
    let extras = find_extras(&index, &places, &names)?;
    access::check(&index, &places, &fates, &extras)?;
    let room = room::check(&index, &places, &fates, &extras)?;
    let ahead = state
        .stands_at
        .and_then(|seqno| u64::try_from(seqno.checked_sub(gtid.seqno)?).ok())
        .filter(|ahead| *ahead > 0);
    let report = report(&index, &places, &fates, &extras, &names);
    let NewerLogs { lost, left, .. } = state.newer_logs.clone();
    let report = DeltaReport { newer_logs: lost, newer_logs_left: left, ahead, ..report };
    Ok(DeltaPlan {
        source,
        request,
        node,
        index,
        places,
        state,
        gtid,
        fates,
        extras,
        room,
        report,
        servers,
        restores,
    })
}

fn refused<T>(why: String) -> Result<T, RestoreError> {
    Err(RestoreError::Refused(why))
}

/// The position of a backup with which this is possible.
fn history_of(source: &BackupReader, request: &RestoreRequest) -> Result<WsrepGtid, RestoreError> {
    let manifest = source.manifest();
    if let Some(why) = manifest.content.refuses("--delta", &manifest.id) {
        return refused(why);
    }
    check_purpose(manifest, request.purpose)?;
    manifest.gtid.clone().ok_or_else(|| {
        RestoreError::Refused(format!(
            "backup '{}' is of a server that was no Galera node: nothing in a data directory tells that it is of the same server, so that --delta is \
             not possible; restore into an empty directory",
            manifest.id
        ))
    })
}

/// What is in the data directory and not in the backup.
fn find_extras(index: &Index, places: &Destinations, names: &ServerFiles) -> Result<Extras, RestoreError> {
    // The position is no file of the backup's, and goes by itself.
    let mut files = BTreeSet::from([places.target().join(GRASTATE_MEMBER)]);
    let mut folders = BTreeSet::new();
    for member in index.members.iter().filter(|member| !places.is_passed_over(member)) {
        let Some(place) = places.of(member) else { continue };
        let list = if member.kind == MemberKind::Directory { &mut folders } else { &mut files };
        list.insert(place);
    }
    files.extend(aria_controls(index, places).iter().map(|file| hidden(file)));
    extras::find(places, names, files, folders)
}

impl DeltaPlan<'_> {
    /// What would be done.
    pub fn report(&self) -> &DeltaReport {
        &self.report
    }

    /// All looks at the node once more, just before the first change: hours of reading may lie behind the first ones. What room there is now.
    pub(super) fn look_again(&self) -> Result<DeltaRoom, RestoreError> {
        let Self { index, places, fates, .. } = self;
        let target = places.target();
        let is_same_place = self.restores.is_of(target) && self.servers.are_in_place();
        if !is_same_place {
            return refused(changed_meanwhile(target));
        }
        let now = node_looks::look(self.source, self.request, self.node, (index, places), &self.gtid)?;
        let is_new = |log: &&PathBuf| self.state.newer_logs.all().all(|known| known != *log);
        if let Some(log) = now.newer_logs.all().find(is_new) {
            return refused(changed_meanwhile(log));
        }
        check_unchanged(index, places, fates).map_or(Ok(()), |place| refused(changed_meanwhile(&place)))?;
        let extras = self.extras_now()?;
        if extras.gone != self.extras.gone {
            let (now, before) = (paths_of(&extras), paths_of(&self.extras));
            let path = now.symmetric_difference(&before).next();
            return refused(changed_meanwhile(path.map_or(target, |path| path.as_path())));
        }
        access::check(index, places, fates, &self.extras)?;
        room::check(index, places, fates, &self.extras)
    }

    /// What is in the data directory and not in the backup now.
    pub(super) fn extras_now(&self) -> Result<Extras, RestoreError> {
        let names = ServerFiles::of(&self.places, self.places.target(), self.node.options.as_ref());
        find_extras(&self.index, &self.places, &names)
    }
}

fn paths_of(extras: &Extras) -> BTreeSet<&PathBuf> {
    extras.gone.iter().flat_map(Extra::paths).collect()
}

/// Why nothing is done where anything is another than when it was compared.
fn changed_meanwhile(path: &Path) -> String {
    format!(
        "'{}' has changed since everything was compared: somebody else uses the data directory, a server perhaps. Nothing was changed; see that no \
         server starts (systemctl mask mariadb), and run the same command again",
        path.display()
    )
}
