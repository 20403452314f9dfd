//! What every restore begins and ends with, however its files come to their places.

use super::destinations::Destinations;
use super::error::{RestoreError, Undone};
use super::request::{Control, Purpose, RestoreRequest};
use super::target_lock::TargetLock;
use super::undo_log::UndoLog;
use super::{advice, replication, wsrep_home};
use crate::archive::{GRASTATE_MEMBER, StreamReader};
use crate::catalog::BackupReader;
use crate::model::Manifest;

/// Makes the target where it is not there, and holds it.
pub(super) fn begin(
    places: &Destinations,
    lock: Option<TargetLock>,
    created: &mut UndoLog,
) -> Result<Option<TargetLock>, RestoreError> {
    created.directory(places.target(), places.owner(), None)?;
    if lock.is_some() { Ok(lock) } else { TargetLock::take(places.target()) }
}

/// The whole object must be what the manifest says, also where no file lies.
pub(super) fn check_rest(
    stream: StreamReader,
    source: &BackupReader,
    control: &Control<'_>,
) -> Result<(), RestoreError> {
    (control.progress)(stream.position());
    let (digest, damage) = stream
        .finish()
        .map_err(|cause| RestoreError::Read(source.archive_failed(cause), Undone::default()))?;
    let Manifest { id, archive, .. } = source.manifest();
    let what = match digest {
        Some(digest) if digest.sha256 == archive.sha256 && digest.bytes == archive.bytes => return Ok(()),
        Some(digest) => format!("its SHA-256 is {}, the manifest says {}", digest.sha256, archive.sha256),
        // Where it had to be passed over.
        None => {
            damage.first().map_or_else(|| "it could not be read in one piece".into(), ToString::to_string)
        }
    };
    let undone = Undone::default();
    Err(RestoreError::Damaged { id: id.to_string(), path: archive.name.clone(), what, undone })
}

/// Refuses a purpose for which the backup has not what it takes.
pub(super) fn check_purpose(manifest: &Manifest, purpose: Purpose) -> Result<(), RestoreError> {
    if matches!(purpose, Purpose::Node | Purpose::Cluster) && manifest.gtid.is_none() {
        return Err(RestoreError::Refused(of_no_cluster(manifest)));
    }
    if purpose == Purpose::Replica {
        advice::replica_script(manifest).map_err(RestoreError::Refused)?;
    }
    Ok(())
}

/// Why no node can be made of it.
fn of_no_cluster(manifest: &Manifest) -> String {
    format!(
        "backup '{}' is of the server '{}', which was no Galera node: no node can be made of it, since it has no position in a cluster; \
         --as standalone makes a server of it, --as replica a replica",
        manifest.id, manifest.node
    )
}

/// `grastate.dat` for a node, the statements for a replica.
pub(super) fn write_state(
    manifest: &Manifest,
    request: &RestoreRequest,
    places: &Destinations,
    created: &mut UndoLog,
) -> Result<(), RestoreError> {
    if let Some(text) = state_of(manifest, request.purpose)? {
        let homes = wsrep_home::homes(request, manifest, places)?;
        for home in std::iter::once(places.target().to_path_buf()).chain(homes) {
            created.directory(&home, places.owner(), None)?;
            created.file_of_ours(&home.join(GRASTATE_MEMBER), text.as_bytes(), places.owner())?;
        }
    }
    if request.purpose == Purpose::Replica {
        let text = advice::replica_script(manifest).map_err(RestoreError::Refused)?;
        let place = places.target().join(replication::REPLICA_FILE);
        created.file_of_ours(&place, text.as_bytes(), places.owner())?;
    }
    Ok(())
}

/// What `grastate.dat` says of a directory that is restored for this; none where it has no such file.
pub(super) fn state_of(manifest: &Manifest, purpose: Purpose) -> Result<Option<String>, RestoreError> {
    if !matches!(purpose, Purpose::Node | Purpose::Cluster) {
        return Ok(None);
    }
    let gtid = manifest.gtid.as_ref().ok_or_else(|| RestoreError::Refused(of_no_cluster(manifest)))?;
    Ok(Some(gtid.grastate(purpose == Purpose::Cluster)))
}
