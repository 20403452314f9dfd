//! From two finished streams to a backup: durable objects first, the manifest last.

use std::io;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::identity::BackupIdentity;
use super::open::Written;
use super::warnings::bounded;
use super::{Destination, OutputError, tool};
use crate::archive::{ArchiveSummary, Finished};
use crate::catalog::{BackupReader, MANIFEST, ObjectDamage, misses_by_name};
use crate::model::{ArchiveObject, Content, IndexObject, Manifest, MethodReason, WsrepGtid};
use crate::seal::AGE;
use crate::storage::StorageError;

/// How long a manifest is looked for whose storing was not answered, at most: no longer than one operation may take in any
/// case.
const LOOK_FOR: Duration = Duration::from_secs(60);

/// How the data was captured.
pub struct Outcome {
    /// The method's name.
    pub method: &'static str,
    /// Why it is that one.
    pub reason: MethodReason,
    /// From the question until the server ran again.
    pub frozen_time: Duration,
    /// How long the program that captured the data held up the server by itself, where that was seen.
    pub paused: Option<Duration>,
    /// Files that were there when the list was made and gone when they were to be read.
    pub vanished: u64,
    /// What the administrator should know.
    pub warnings: Vec<String>,
    /// The same, where it names files.
    pub about_files: Vec<String>,
}

/// How the caller waits while the backup is published.
pub struct Patience<'a> {
    /// Whether the backup is still wanted.
    pub is_wanted: &'a dyn Fn() -> bool,
    /// The longest that one operation of the repository may take (`stall-timeout`).
    pub stall_timeout: Duration,
}

impl Written<'_> {
    /// Makes archive and index durable, looks whether they are there, then lets the manifest appear.
    pub fn publish(
        self,
        identity: BackupIdentity,
        mut outcome: Outcome,
        patience: &Patience<'_>,
    ) -> Result<Manifest, OutputError> {
        let Self { to, content, format, streams: Finished { archive, index, summary } } = self;
        archive.commit()?;
        index.commit()?;
        // To make many gigabytes durable takes its time; a run that was stopped meanwhile is to leave no backup.
        if !(patience.is_wanted)() {
            return Err(OutputError::Unwanted);
        }
        let warnings = warnings(to, &mut outcome, &summary);
        let manifest = manifest((to, content, format), identity, &outcome, summary, warnings);
        is_stored(to, &manifest)?;
        put_manifest(to, &to_bytes(&manifest)?, patience)?;
        Ok(manifest)
    }
}

/// What the manifest says, and how many more warnings there are; the log has all of them.
fn warnings(to: &Destination, outcome: &mut Outcome, summary: &ArchiveSummary) -> (Vec<String>, u64) {
    let mut warnings = std::mem::take(&mut outcome.warnings);
    if outcome.vanished > 0 {
        warnings.push(format!(
            "{} files vanished between the listing and the copy (server logs do)",
            outcome.vanished
        ));
    }
    let mut about_files = std::mem::take(&mut outcome.about_files);
    // What is lost comes first, where there is more than a manifest has room for.
    let lost =
        summary.lost.iter().map(|(path, what)| format!("'{path}': {what}: the server's own file is damaged"));
    about_files.splice(0..0, lost);
    about_files.extend(summary.leftovers.iter().map(|(path, what)| format!("'{path}': {what}")));
    for warning in warnings.iter().chain(&about_files) {
        log::warn!("{warning}");
    }
    if to.recipients.is_empty() {
        warnings.append(&mut about_files);
    } else if !about_files.is_empty() {
        // The manifest is not encrypted.
        warnings.push(format!("{} more name files: they stand in the donor's error log", about_files.len()));
    }
    bounded(warnings)
}

fn manifest(
    (to, content, format): (&Destination, Content, u32),
    identity: BackupIdentity,
    outcome: &Outcome,
    summary: ArchiveSummary,
    (warnings, more_warnings): (Vec<String>, u64),
) -> Manifest {
    let (archive, index) = to.names(content);
    let recipients: Vec<String> = to.recipients.iter().map(ToString::to_string).collect();
    let reason = outcome.reason.clone();
    // The manifest is not encrypted.
    let reason = if recipients.is_empty() { reason } else { reason.without_words() };
    Manifest {
        format: format.max(content.format()).max(identity.format()),
        content,
        id: to.id.clone(),
        cluster: to.label.cluster.clone(),
        node: to.label.node.clone(),
        request: to.label.request.clone(),
        method: outcome.method.to_owned(),
        method_reason: Some(reason),
        started: to.label.started,
        frozen_at: identity.frozen_at,
        finished: Timestamp::now(),
        flush_ms: millis(identity.flush_time),
        frozen_ms: millis(outcome.frozen_time),
        paused_ms: outcome.paused.map(millis),
        gtid: identity.gtid,
        donor_gtid: to.label.asked.as_ref().map(WsrepGtid::position),
        mariadb_gtid: identity.mariadb_gtid,
        innodb_lsn: identity.innodb_lsn,
        replication: identity.replication,
        server: identity.server,
        data_bytes: summary.data_bytes,
        files: summary.files,
        files_state: identity.files,
        live_redo: summary.live_redo,
        archive: ArchiveObject {
            name: archive,
            bytes: summary.archive_bytes,
            sha256: summary.archive_sha256,
            compression: to.options.compression,
            encryption: (!recipients.is_empty()).then(|| AGE.into()),
            recipients,
        },
        dump: identity.dump,
        index: IndexObject { name: index, bytes: summary.index_bytes, sha256: summary.index_sha256 },
        damaged_pages: summary.damaged_pages,
        missing_pages: summary.missing_pages,
        warnings,
        more_warnings,
        tool: tool(),
    }
}

/// The manifest as it is stored; an error where no reader would take it.
fn to_bytes(manifest: &Manifest) -> Result<Vec<u8>, StorageError> {
    let bytes = manifest.to_bytes().map_err(|error| StorageError::new("write", MANIFEST, error.into()))?;
    if bytes.len() as u64 > BackupReader::SMALL {
        let cause = io::Error::other(format!(
            "it would have {} bytes, and no reader takes more than {}",
            bytes.len(),
            BackupReader::SMALL
        ));
        return Err(StorageError::new("write", MANIFEST, cause));
    }
    Ok(bytes)
}

/// Refuses to make a backup of objects that the repository has taken and does not have in the sizes that were written: a gateway
/// that has lost a part, a file system that has lost the end of a file. With a key that may only put nobody can look.
fn is_stored(to: &Destination, manifest: &Manifest) -> Result<(), OutputError> {
    match misses_by_name(to.storage.as_ref(), &to.folder, manifest) {
        Ok(None) => Ok(()),
        Ok(Some(ObjectDamage { object, what })) => {
            Err(OutputError::NotStored { object: to.object(&object), place: to.storage.location(), what })
        }
        Err(error) if error.is_denied() => {
            log::info!("{error}; so nobody has looked whether what was stored is there in its size");
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Lets the manifest appear. Where the answer to that is lost, it is looked for with patience: it may have arrived, or be on
/// its way still, and must find its archive when it does.
fn put_manifest(to: &Destination, bytes: &[u8], patience: &Patience<'_>) -> Result<(), OutputError> {
    let name = to.object(MANIFEST);
    let error = match to.storage.put(&name, bytes) {
        Err(error) if error.is_uncertain() => error,
        outcome => return Ok(outcome?),
    };
    log::warn!("{error}: it may have been stored all the same; looking for it");
    let begun = Instant::now();
    let longest = LOOK_FOR.min(patience.stall_timeout);
    loop {
        match to.storage.read_small(&name, bytes.len() as u64) {
            Ok(found) if found == bytes => {
                log::info!("the manifest is there");
                return Ok(());
            }
            Err(error) if error.is_denied() => break,
            _ => {}
        }
        if begun.elapsed() >= longest || !(patience.is_wanted)() {
            break;
        }
        std::thread::sleep(longest / 40);
    }
    Err(OutputError::Unsettled(to.id.clone(), error))
}

/// Whole milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
