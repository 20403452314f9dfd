//! From two finished streams to a backup: durable objects first, the manifest last.

use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::identity::Identity;
use super::members::object_names;
use super::warnings::bounded;
use super::{DonateError, Run};
use crate::archive::ArchiveSummary;
use crate::capture::Watch;
use crate::catalog::{BackupReader, MANIFEST, object_name};
use crate::model::{ArchiveObject, FORMAT, IndexObject, Manifest, ToolIdentity};
use crate::seal::AGE;
use crate::storage::{ObjectWriter, StorageError};

/// How long a manifest is looked for whose storing was not answered, at most: no longer than one operation may take in any
/// case.
const LOOK_FOR: Duration = Duration::from_secs(60);

/// What the copy brought.
pub(super) struct Taken {
    pub(super) frozen_time: Duration,
    pub(super) vanished: u64,
    pub(super) warnings: Vec<String>,
    /// Those that name files.
    pub(super) about_files: Vec<String>,
}

/// Makes archive and index durable, then lets the manifest appear.
pub(super) fn publish(
    run: &Run,
    identity: Identity,
    taken: Taken,
    summary: ArchiveSummary<Box<dyn ObjectWriter>, Box<dyn ObjectWriter>>,
    watch: &Watch,
) -> Result<Manifest, DonateError> {
    summary.archive.commit()?;
    summary.index.commit()?;
    // To make many gigabytes durable takes its time; who has stopped us meanwhile wants no backup.
    if let Some(abort) = watch.aborted() {
        return Err(abort.into());
    }
    let mut warnings = taken.warnings;
    if taken.vanished > 0 {
        warnings.push(format!(
            "{} files vanished between the listing and the copy (server logs do)",
            taken.vanished
        ));
    }
    let mut about_files = taken.about_files;
    // What is lost comes first, where there is more than a manifest has room for.
    let lost =
        summary.lost.iter().map(|(path, what)| format!("'{path}': {what}: the server's own file is damaged"));
    about_files.splice(0..0, lost);
    about_files.extend(summary.leftovers.iter().map(|(path, what)| format!("'{path}': {what}")));
    for warning in warnings.iter().chain(&about_files) {
        log::warn!("{warning}");
    }
    if run.settings.encrypt_to.is_empty() {
        warnings.append(&mut about_files);
    } else if !about_files.is_empty() {
        // The manifest is not encrypted.
        warnings.push(format!("{} more name files: they stand in the donor's error log", about_files.len()));
    }
    let (warnings, more_warnings) = bounded(warnings);
    let (archive, index) = object_names(&run.settings);
    let recipients: Vec<String> = run.settings.encrypt_to.iter().map(ToString::to_string).collect();
    let manifest = Manifest {
        format: FORMAT,
        id: run.id.clone(),
        cluster: run.names.cluster.clone(),
        node: run.names.node.clone(),
        request: run.request.request.clone(),
        method: run.settings.method.chosen().to_string(),
        started: run.started,
        frozen_at: identity.frozen_at,
        finished: Timestamp::now(),
        flush_ms: millis(identity.flush_time),
        frozen_ms: millis(taken.frozen_time),
        gtid: identity.gtid,
        donor_gtid: Some(run.request.gtid.position()),
        mariadb_gtid: identity.mariadb_gtid,
        replication: identity.replication,
        server: identity.server,
        data_bytes: summary.data_bytes,
        files: summary.files,
        archive: ArchiveObject {
            name: archive,
            bytes: summary.archive_bytes,
            sha256: summary.archive_sha256,
            compression: run.settings.compression,
            encryption: (!recipients.is_empty()).then(|| AGE.into()),
            recipients,
        },
        index: IndexObject { name: index, bytes: summary.index_bytes, sha256: summary.index_sha256 },
        damaged_pages: summary.damaged_pages,
        missing_pages: summary.missing_pages,
        warnings,
        more_warnings,
        tool: tool(),
    };
    let bytes = manifest.to_bytes().map_err(|error| StorageError::new("write", MANIFEST, error.into()))?;
    if bytes.len() as u64 > BackupReader::SMALL {
        let cause = io::Error::other(format!(
            "it would have {} bytes, and no reader takes more than {}",
            bytes.len(),
            BackupReader::SMALL
        ));
        return Err(StorageError::new("write", MANIFEST, cause).into());
    }
    put_manifest(run, &bytes, watch)?;
    Ok(manifest)
}

/// Lets the manifest appear. Where the answer to that is lost, it is looked for with patience: it may have arrived, or be on
/// its way still, and must find its archive when it does.
fn put_manifest(run: &Run, bytes: &[u8], watch: &Watch) -> Result<(), DonateError> {
    let name = object_name(&run.folder, &run.id, MANIFEST);
    let error = match run.storage.put(&name, bytes) {
        Err(error) if error.is_uncertain() => error,
        outcome => return Ok(outcome?),
    };
    log::warn!("{error}: it may have been stored all the same; looking for it");
    let begun = Instant::now();
    let patience = LOOK_FOR.min(run.settings.stall_timeout);
    loop {
        match run.storage.read_small(&name, bytes.len() as u64) {
            Ok(found) if found == bytes => {
                log::info!("the manifest is there");
                return Ok(());
            }
            Err(error) if error.is_denied() => break,
            _ => {}
        }
        if begun.elapsed() >= patience || watch.aborted().is_some() {
            break;
        }
        std::thread::sleep(patience / 40);
    }
    Err(DonateError::Unsettled(run.id.clone(), error))
}

/// Takes back what a failed run has published, the manifest first: so long as that may be there nothing else goes. What was
/// never there is no error.
pub(super) fn discard(run: &Run) {
    let (archive, index) = object_names(&run.settings);
    for name in [MANIFEST, &archive, &index] {
        let Err(error) = run.storage.remove(&object_name(&run.folder, &run.id, name)) else { continue };
        if name == MANIFEST && may_be_there(run) {
            log::warn!(
                "{error}; what is left of this run stays until 'prune' removes it, when it is a day old"
            );
            return;
        }
        log::warn!("{error}");
    }
}

/// Whether there may be a manifest.
fn may_be_there(run: &Run) -> bool {
    let objects = run.storage.objects(&format!("{}/{}", run.folder, run.id));
    objects.map_or(true, |objects| objects.iter().any(|object| object.name == MANIFEST))
}

pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn tool() -> ToolIdentity {
    ToolIdentity { version: env!("CARGO_PKG_VERSION").into() }
}
