//! What runs have left: folders without a manifest, and what was begun beside one and never ended.

use jiff::Timestamp;

use super::signs::QUIET;
use crate::catalog::{
    Attempt, CatalogError, HoldState, MANIFEST, TOLERANCE, find_hold, object_name, read_manifest,
};
use crate::model::{BackupId, BackupState};
use crate::storage::{ObjectInfo, Storage, StorageError, Unfinished};

/// Why a folder stays that had no manifest.
pub(super) const COMPLETE: &str = "it has a manifest now";

/// Something that is no backup, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The folder.
    pub id: BackupId,
    /// What of it.
    pub what: Left,
    /// Its size.
    pub bytes: u64,
    /// Whether it goes, and the reason for that.
    pub goes: bool,
    /// Why it goes or stays.
    pub reason: String,
}

/// What a run has left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The whole folder, which has no manifest. Where only an upload was begun there is nothing else of it.
    Folder,
    /// A temporary file, or an upload, beside a manifest.
    Unfinished(Unfinished),
}

/// A folder without a manifest, and whether it goes.
pub(super) struct JudgedLeftover {
    pub(super) leftover: Leftover,
    /// A program may still work in it.
    pub(super) may_run: bool,
}

impl JudgedLeftover {
    /// A folder that this user cannot look into stays. A run of the last day may be at work in it.
    pub(super) fn unseen(attempt: &Attempt, why: &str, now: Timestamp) -> Self {
        let id = attempt.id.clone();
        let may_run = id.started().is_none_or(|began| now.duration_since(began) <= QUIET);
        let reason = format!("UNKNOWN: {why}");
        Self { leftover: Leftover { id, what: Left::Folder, bytes: 0, goes: false, reason }, may_run }
    }
}

/// Whether a folder without a manifest is what a run has left, and what is unfinished in it.
pub(super) fn judge(
    storage: &dyn Storage,
    attempt: &Attempt,
    unfinished: &[Unfinished],
    now: Timestamp,
) -> Result<JudgedLeftover, StorageError> {
    let Attempt { cluster, id, status } = attempt;
    let folder = format!("{cluster}/{id}");
    let known = [id.started(), status.as_ref().map(|status| status.updated), storage.last_written(&folder)?];
    let begun = unfinished.iter().map(|unfinished| unfinished.modified);
    let last = known.into_iter().flatten().chain(begun).max();
    let is_finished =
        status.as_ref().is_some_and(|status| matches!(status.state, BackupState::Failed | BackupState::Done));
    let held = find_hold(storage, cluster, id)?.as_ref().map(HoldState::words);
    let is_silent = last.is_some_and(|last| now.duration_since(last) > QUIET);
    let objects = storage.objects(&folder)?;
    let is_complete = has_manifest(storage, cluster, id, &objects)?;
    let story = match status {
        None if objects.is_empty() && unfinished.iter().any(|it| it.upload.is_some()) => {
            "nothing but an unfinished upload: its program has died".to_owned()
        }
        None => "no manifest and no status: its program has died".to_owned(),
        Some(status) => match (status.state, &status.error) {
            (BackupState::Done, _) => "what is left of a removed backup".into(),
            (BackupState::Failed, Some(error)) => format!("failed: {error}"),
            (BackupState::Failed, None) => "failed".into(),
            _ => "not complete: its program has died".into(),
        },
    };
    let reason = match (&held, last) {
        _ if is_complete => COMPLETE.into(),
        (Some(words), _) => words.clone(),
        (None, None) => "not complete, and nothing tells its age".into(),
        (None, Some(_)) if is_silent => story,
        (None, Some(last)) if last.duration_since(now) > TOLERANCE => {
            format!("FROM THE FUTURE ({}): a clock is wrong", last.strftime("%Y-%m-%d %H:%M:%S UTC"))
        }
        (None, Some(_)) if is_finished => format!("{story}; it goes when it is a day old"),
        (None, Some(_)) => "not complete, and it may still run: something has changed within a day".into(),
    };
    let objects = objects.iter().map(|object| object.bytes);
    let unfinished = unfinished.iter().map(|unfinished| unfinished.bytes);
    let bytes = objects.chain(unfinished).fold(0, u64::saturating_add);
    let goes = is_silent && held.is_none() && !is_complete;
    let leftover = Leftover { id: id.clone(), what: Left::Folder, bytes, goes, reason };
    Ok(JudgedLeftover { leftover, may_run: !is_silent && !is_finished && !is_complete })
}

/// Whether a folder with these objects has a manifest. One that the list shows and that is not there for who reads it is an error: such a
/// list and such objects do not tell whether this is a backup.
pub(super) fn has_manifest(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
    objects: &[ObjectInfo],
) -> Result<bool, StorageError> {
    let is_listed = |objects: &[ObjectInfo]| objects.iter().any(|object| object.name == MANIFEST);
    if !is_listed(objects) {
        return Ok(false);
    }
    match read_manifest(storage, cluster, id) {
        Err(CatalogError::NotFound(_)) => {}
        Err(CatalogError::Storage(error)) => return Err(error),
        _ => return Ok(true),
    }
    // Another program may have removed it between the list and the look.
    if !is_listed(&storage.objects(&format!("{cluster}/{id}"))?) {
        return Ok(false);
    }
    let cause = std::io::Error::other(
        "the list of its folder shows it, and it is not there for who reads it; have whoever runs the storage look at that",
    );
    Err(StorageError::new("read", object_name(cluster, id, MANIFEST), cause))
}

/// What is thought of something unfinished in the folder of a complete backup.
pub(super) fn beside_a_manifest(id: &BackupId, unfinished: Unfinished, now: Timestamp) -> Leftover {
    let goes = is_quiet(&unfinished, now);
    let what = match unfinished.upload {
        None => "temporary file, last written at",
        Some(_) => "unfinished upload, begun at",
    };
    let until = if goes { "" } else { ": it goes when it is a day old" };
    let reason = format!("{what} {}{until}", unfinished.modified.strftime("%Y-%m-%d %H:%M:%S UTC"));
    Leftover { id: id.clone(), bytes: unfinished.bytes, what: Left::Unfinished(unfinished), goes, reason }
}

/// Whether nobody works on it any more.
pub(super) fn is_quiet(unfinished: &Unfinished, now: Timestamp) -> bool {
    now.duration_since(unfinished.modified) > QUIET
}
