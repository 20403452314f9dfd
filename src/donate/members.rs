//! The members that this program writes itself, before and behind the server's files.

use super::identity::Identity;
use super::{DonateError, Run};
use crate::archive::{
    ArchiveWriter, GRASTATE_MEMBER, IDENTITY_MEMBER, NewMember, SUMS_MEMBER, WriterOptions,
};
use crate::capture::{CaptureError, FileList};
use crate::catalog::{INDEX, SEALED, object_name};
use crate::config::Settings;
use crate::model::{ArchivePath, FORMAT, IndexHeader, WsrepGtid};
use crate::storage::{ObjectWriter, StorageError};
use crate::users;

pub(super) type Writer = ArchiveWriter<Box<dyn ObjectWriter>, Box<dyn ObjectWriter>>;

/// Archive and index, empty.
pub(super) struct Objects {
    archive: Box<dyn ObjectWriter>,
    index: Box<dyn ObjectWriter>,
}

/// Opens both objects. Before the freeze: what cannot be created costs none, and is taken away while the server runs.
pub(super) fn create_objects(run: &Run, expected: &FileList) -> Result<Objects, StorageError> {
    let name = |name: &str| object_name(&run.folder, &run.id, name);
    let (archive, index) = object_names(&run.settings);
    Ok(Objects {
        archive: run.storage.create_large(&name(&archive), at_most(expected))?,
        index: run.storage.create(&name(&index))?,
    })
}

/// The names of archive and index.
pub(super) fn object_names(settings: &Settings) -> (String, String) {
    let sealed = if settings.encrypt_to.is_empty() { "" } else { SEALED };
    (format!("{}{sealed}", settings.compression.archive_name()), format!("{INDEX}{sealed}"))
}

/// What the archive cannot exceed, if the data does not grow by more than a tenth until the freeze: headers, digests
/// and what compression adds to data that cannot be compressed are far less than the rest.
fn at_most(expected: &FileList) -> u64 {
    let members = (expected.entries.len() as u64).saturating_mul(4096);
    let data = expected.bytes.saturating_add(expected.bytes / 8);
    data.saturating_add(members).saturating_add(64 << 20)
}

/// Writes the identity, before the first data byte.
pub(super) fn start_archive(run: &Run, identity: &Identity, objects: Objects) -> Result<Writer, DonateError> {
    let compression = run.settings.compression;
    let header = IndexHeader { format: FORMAT, id: run.id.clone(), gtid: identity.gtid.clone(), compression };
    let options =
        WriterOptions { compression, level: run.settings.compression_level, threads: run.settings.threads };
    let mut archive =
        ArchiveWriter::create(objects.archive, objects.index, header, options, &run.settings.encrypt_to)
            .map_err(CaptureError::from)?;
    let content = identity
        .to_bytes(run)
        .map_err(|error| DonateError::System("cannot write the identity", error.into()))?;
    archive.append_generated(own_member(run, IDENTITY_MEMBER), &content).map_err(CaptureError::from)?;
    Ok(archive)
}

/// The members that follow the data; the server runs again while they are written.
pub(super) fn finish_members(run: &Run, gtid: &WsrepGtid, archive: &mut Writer) -> Result<(), CaptureError> {
    archive.append_generated(own_member(run, GRASTATE_MEMBER), gtid.grastate(false).as_bytes())?;
    archive.append_sums(own_member(run, SUMS_MEMBER))?;
    Ok(())
}

/// A file of our own belongs to the server's user, who runs this program.
fn own_member(run: &Run, name: &str) -> NewMember {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    NewMember {
        path: ArchivePath::new(name),
        mode: 0o640,
        uid,
        gid,
        user: users::user_name(uid),
        group: users::group_name(gid),
        mtime: run.started.as_second(),
        mtime_nsec: 0,
        system_tablespace: false,
        origin: None,
        listed: None,
    }
}
