//! Removes what a plan says, in the order that an interruption may cut anywhere.

use jiff::Timestamp;

use super::leftover::{COMPLETE, Left, Leftover, has_manifest, is_quiet, judge};
use super::plan::{ClusterPlan, Planned, PrunePlan};
use super::policy::RetentionVerdict;
use super::signs::signs;
use crate::catalog::{
    Attempt, CatalogError, DRILL, HOLD, INDEX, MANIFEST, STATUS, VERIFY, add_pruned, find_hold, object_name,
    read_manifest, read_status,
};
use crate::lease;
use crate::model::BackupId;
use crate::storage::{Storage, StorageError, Unfinished, at_once};

/// What has become of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Backups that are gone.
    pub backups: usize,
    /// Leftovers that are gone.
    pub leftovers: usize,
    /// Bytes of both.
    pub bytes: u64,
    /// What stays although the plan says otherwise, because something has changed since: name and reason.
    pub spared: Vec<String>,
    /// What could not be removed. Each with its cause.
    pub failed: Vec<String>,
    /// It was told to stop before it was through.
    pub stopped: bool,
}

/// Asked before each removal, by several threads at once.
pub type AskedToStop<'a> = &'a (dyn Fn() -> bool + Sync);

/// How one item ends when it does not go.
enum Stay {
    Changed(String),
    Failed(StorageError),
    Stopped,
}

impl From<StorageError> for Stay {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

/// Removes backups, oldest first (several at once where the storage is better off with that), then leftovers. What cannot be removed does not keep
/// the rest.
pub fn carry_out(storage: &dyn Storage, plan: &PrunePlan, stop: AskedToStop<'_>) -> Tally {
    let mut tally = Tally::default();
    for ClusterPlan { cluster, backups, leftovers, .. } in &plan.clusters {
        let going = |backup: &&Planned| matches!(backup.verdict, RetentionVerdict::Remove(_));
        let names = || backups.iter().filter(going).map(|backup| backup.id.clone());
        // Where there is no room for the names, there may be some when the backups are gone.
        let is_noted = names().next().is_none() || add_pruned(storage, cluster, names()).is_ok();
        let going: Vec<&Planned> = backups.iter().filter(going).collect();
        let outcomes = at_once(storage, &going, |backup| remove_backup(storage, cluster, &backup.id, stop));
        for (backup, outcome) in going.iter().zip(outcomes) {
            tally.backups += usize::from(tally.note(backup.id.as_str(), backup.bytes, outcome));
        }
        if tally.stopped {
            return tally;
        }
        if !is_noted && let Err(error) = add_pruned(storage, cluster, names()) {
            log::warn!("{error}; so 'copy --all' from another repository may bring back what is removed now");
        }
        let swept: Vec<&Leftover> = leftovers.iter().filter(|leftover| leftover.goes).collect();
        let now = if swept.is_empty() { plan.now } else { earliest_now(storage, cluster, plan.now) };
        let outcomes = at_once(storage, &swept, |leftover| match &leftover.what {
            Left::Folder => sweep(storage, cluster, leftover, now, stop),
            Left::Unfinished(unfinished) => {
                discard_quiet(storage, &format!("{cluster}/{}", leftover.id), unfinished, now, stop)
            }
        });
        for (Leftover { id, bytes, .. }, outcome) in swept.into_iter().zip(outcomes) {
            tally.leftovers += usize::from(tally.note(id.as_str(), *bytes, outcome));
        }
        if tally.stopped {
            return tally;
        }
    }
    remove_signs(storage, plan, stop, &mut tally);
    tally
}

/// The time by this machine's clock or by the storage's, whichever is earlier: what is a day old by the one may be at work by the other.
fn earliest_now(storage: &dyn Storage, cluster: &str, now: Timestamp) -> Timestamp {
    match lease::storage_time(storage, cluster) {
        Ok(Some(by_storage)) => by_storage.min(now),
        Ok(None) => now,
        Err(error) => {
            log::warn!("{error}; so the clock of this machine alone tells what is a day old");
            now
        }
    }
}

/// Those that have not grown since the plan was made.
fn remove_signs(storage: &dyn Storage, plan: &PrunePlan, stop: AskedToStop<'_>, tally: &mut Tally) {
    let Some(first) = plan.signs.first().filter(|_| !tally.stopped) else { return };
    let now = earliest_now(storage, lease::cluster_of(&first.name).unwrap_or_default(), plan.now);
    let still = match signs(storage, None, now) {
        Ok(still) => still,
        Err(error) => return tally.failed.push(error.to_string()),
    };
    for sign in plan.signs.iter().filter(|sign| still.contains(sign)) {
        let outcome = remove_one(storage, &sign.name, stop);
        tally.leftovers += usize::from(tally.note(&sign.name, sign.bytes, outcome));
        if tally.stopped {
            return;
        }
    }
}

impl Tally {
    /// Whether it is gone.
    fn note(&mut self, id: &str, bytes: u64, outcome: Result<(), Stay>) -> bool {
        match outcome {
            Ok(()) => {
                self.bytes = self.bytes.saturating_add(bytes);
                return true;
            }
            Err(Stay::Changed(why)) => self.spared.push(format!("{id} stays: {why}")),
            Err(Stay::Failed(error)) => self.failed.push(error.to_string()),
            Err(Stay::Stopped) => self.stopped = true,
        }
        false
    }
}

/// The manifest first: from then on there is no backup, only what is left of one.
fn remove_backup(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
    stop: AskedToStop<'_>,
) -> Result<(), Stay> {
    if let Some(held) = find_hold(storage, cluster, id)? {
        return Err(Stay::Changed(held.words()));
    }
    remove_one(storage, &object_name(cluster, id, MANIFEST), stop)?;
    remove_rest(storage, cluster, id, stop)
}

/// A folder without a manifest, unless it has got one since, or a program works in it again.
fn sweep(
    storage: &dyn Storage,
    cluster: &str,
    found: &Leftover,
    now: Timestamp,
    stop: AskedToStop<'_>,
) -> Result<(), Stay> {
    let id = &found.id;
    match read_manifest(storage, cluster, id) {
        Err(CatalogError::NotFound(_)) => {}
        Err(CatalogError::Storage(error)) => return Err(error.into()),
        _ => return Err(Stay::Changed(COMPLETE.into())),
    }
    let status = read_status(storage, cluster, id);
    let unfinished = storage.unfinished(&format!("{cluster}/{id}"))?;
    let attempt = Attempt { cluster: cluster.to_owned(), id: id.clone(), status };
    let again = judge(storage, &attempt, &unfinished, now)?;
    if !again.leftover.goes {
        return Err(Stay::Changed(again.leftover.reason));
    }
    if again.leftover.bytes > found.bytes {
        return Err(Stay::Changed("it has grown meanwhile: a program is at work in it".into()));
    }
    remove_rest(storage, cluster, id, stop)
}

/// Everything but the manifest, which must be gone, from the list too; the folder last.
fn remove_rest(
    storage: &dyn Storage,
    cluster: &str,
    id: &BackupId,
    stop: AskedToStop<'_>,
) -> Result<(), Stay> {
    let folder = format!("{cluster}/{id}");
    let objects = storage.objects(&folder)?;
    if has_manifest(storage, cluster, id, &objects)? {
        return Err(Stay::Changed(COMPLETE.into()));
    }
    let mut names: Vec<String> = objects.into_iter().map(|object| object.name).collect();
    // The archive before the index, and both before what tells the story of the folder.
    names.sort_by_key(|name| {
        [INDEX, VERIFY, DRILL, STATUS, HOLD].iter().position(|late| late == name).map_or(0, |at| at + 1)
    });
    for name in names {
        remove_one(storage, &format!("{folder}/{name}"), stop)?;
    }
    for unfinished in storage.unfinished(&folder)? {
        discard(storage, &folder, &unfinished, stop)?;
    }
    if stop() {
        return Err(Stay::Stopped);
    }
    Ok(storage.remove_folder(&folder)?)
}

fn remove_one(storage: &dyn Storage, name: &str, stop: AskedToStop<'_>) -> Result<(), Stay> {
    if stop() {
        return Err(Stay::Stopped);
    }
    Ok(storage.remove(name)?)
}

/// What lies beside a manifest, unless somebody works on it.
fn discard_quiet(
    storage: &dyn Storage,
    folder: &str,
    found: &Unfinished,
    now: Timestamp,
    stop: AskedToStop<'_>,
) -> Result<(), Stay> {
    let is_it = |other: &Unfinished| (&other.name, &other.upload) == (&found.name, &found.upload);
    let Some(again) = storage.unfinished(folder)?.into_iter().find(is_it) else { return Ok(()) };
    if again.bytes > found.bytes || !is_quiet(&again, now) {
        return Err(Stay::Changed(format!("{} has changed within a day", found.name)));
    }
    discard(storage, folder, found, stop)
}

fn discard(
    storage: &dyn Storage,
    folder: &str,
    unfinished: &Unfinished,
    stop: AskedToStop<'_>,
) -> Result<(), Stay> {
    if stop() {
        return Err(Stay::Stopped);
    }
    Ok(storage.discard(folder, unfinished)?)
}
