//! What a repository holds, and what is to become of it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::policy::{Reason, RetentionCandidate, RetentionVerdict, current_history, decide, forget};
use super::signs::{QUIET, Sign, signs};
use crate::catalog::{
    Attempt, BackupFacts, Catalog, CatalogError, Doubt, History, HoldState, Record, TOLERANCE, clusters,
    read_hold,
};
use crate::config::Retention;
use crate::model::{BackupId, BackupState, Manifest, safe_component};
use crate::storage::{Storage, StorageError, Unfinished};

/// What `prune` would do, cluster by cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunePlan {
    /// Each cluster on its own.
    pub clusters: Vec<ClusterPlan>,
    /// Signs of life that go, since their owners are gone.
    pub signs: Vec<Sign>,
    /// What could not be looked at, so that nothing of it goes: what was tried, and why it failed.
    pub unknown: Vec<String>,
    /// When it was made.
    pub now: Timestamp,
}

/// The same for the backups of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterPlan {
    /// Its folder.
    pub cluster: String,
    /// Its backups, oldest first.
    pub backups: Vec<Planned>,
    /// What runs have left, oldest first.
    pub leftovers: Vec<Leftover>,
    /// The histories of its backups, the one with the last backup first.
    pub histories: Vec<History>,
    /// The history of the newest backup that can be relied on.
    pub current: Option<String>,
}

/// What a plan is made for.
#[derive(Debug, Clone, Copy)]
pub struct PruneScope<'a> {
    /// How many backups are to stay.
    pub policy: &'a Retention,
    /// The state UUID of a history of which none is to stay. That of the newest backup is not forgotten.
    pub forget: Option<&'a str>,
}

impl<'a> From<&'a Retention> for PruneScope<'a> {
    fn from(policy: &'a Retention) -> Self {
        Self { policy, forget: None }
    }
}

/// A backup and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// Its name.
    pub id: BackupId,
    /// When its data is from, where that is known.
    pub taken: Option<Timestamp>,
    /// Bytes of archive and index, by the manifest.
    pub bytes: u64,
    /// The state UUID of its history, where that is known.
    pub history: Option<String>,
    /// What becomes of it.
    pub verdict: RetentionVerdict,
}

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

/// The contents of a cluster's folder.
#[derive(Default)]
struct ClusterContents {
    records: Vec<Record>,
    attempts: Vec<Attempt>,
    unfinished: BTreeMap<BackupId, Vec<Unfinished>>,
    /// Folders that could not be listed, and why.
    unseen: BTreeMap<BackupId, String>,
}

impl PrunePlan {
    /// Reads the repository and decides; removes nothing. What cannot be looked at stays, and does not keep the rest from
    /// being judged.
    pub fn make<'a>(
        storage: &dyn Storage,
        cluster: Option<&str>,
        wanted: impl Into<PruneScope<'a>>,
        now: Timestamp,
    ) -> Result<Self, CatalogError> {
        let wanted = wanted.into();
        let mut plan = Self { now, ..Self::default() };
        for (cluster, found) in find(storage, cluster, &mut plan.unknown)? {
            let of_it = of_cluster(storage, cluster, found, wanted, now, &mut plan.unknown);
            plan.clusters.push(of_it);
        }
        match signs(storage, cluster, now) {
            Ok(found) => plan.signs = found,
            Err(error) => plan.unknown.push(error.to_string()),
        }
        Ok(plan)
    }

    /// Whether there is nothing to do.
    pub fn is_idle(&self) -> bool {
        let of_clusters = self.clusters.iter().all(|plan| {
            plan.backups.iter().all(|backup| matches!(backup.verdict, RetentionVerdict::Keep(_)))
                && plan.leftovers.iter().all(|leftover| !leftover.goes)
        });
        of_clusters && self.signs.is_empty()
    }
}

/// Reads the repository, or the folder of one cluster.
fn find(
    storage: &dyn Storage,
    cluster: Option<&str>,
    unknown: &mut Vec<String>,
) -> Result<BTreeMap<String, ClusterContents>, CatalogError> {
    let mut found = BTreeMap::new();
    for folder in clusters(storage, cluster)? {
        match Catalog::read_folder(storage, &folder) {
            Ok(Catalog { records, attempts, .. }) if records.is_empty() && attempts.is_empty() => {}
            Ok(Catalog { records, attempts, .. }) => {
                found.insert(folder, ClusterContents { records, attempts, ..ClusterContents::default() });
            }
            // Where it is the only one, nothing is judged.
            Err(error) if cluster.is_some() => return Err(error),
            Err(error) => unknown.push(error.to_string()),
        }
    }
    let root = cluster.map(safe_component).unwrap_or_default();
    let Some(unfinished) = storage.unfinished_below(&root)? else {
        for (cluster, found) in &mut found {
            let ids = found.records.iter().map(|record| &record.id);
            for id in ids.chain(found.attempts.iter().map(|attempt| &attempt.id)) {
                match storage.unfinished(&format!("{cluster}/{id}")) {
                    Ok(unfinished) => drop(found.unfinished.insert(id.clone(), unfinished)),
                    Err(error) => {
                        unknown.push(format!("{error}; so it stays"));
                        found.unseen.insert(id.clone(), error.to_string());
                    }
                }
            }
        }
        return Ok(found);
    };
    for (folder, unfinished) in unfinished {
        // What is in no folder of a backup is not ours.
        let Some((cluster, id)) = folder.split_once('/') else { continue };
        let Ok(id) = id.parse::<BackupId>() else { continue };
        let found = found.entry(cluster.to_owned()).or_default();
        let is_known = found.unfinished.contains_key(&id)
            || found.records.iter().any(|record| record.id == id)
            || found.attempts.iter().any(|attempt| attempt.id == id);
        if !is_known {
            // Its folder has nothing that a list shows.
            found.attempts.push(Attempt { cluster: cluster.to_owned(), id: id.clone(), status: None });
        }
        found.unfinished.entry(id).or_default().push(unfinished);
    }
    Ok(found)
}

fn of_cluster(
    storage: &dyn Storage,
    cluster: String,
    found: ClusterContents,
    wanted: PruneScope<'_>,
    now: Timestamp,
    unknown: &mut Vec<String>,
) -> ClusterPlan {
    let ClusterContents { records, attempts, mut unfinished, unseen } = found;
    let mut leftovers = Vec::new();
    let mut running = Vec::new();
    for attempt in &attempts {
        let unfinished = unfinished.remove(&attempt.id).unwrap_or_default();
        let judged = match unseen.get(&attempt.id) {
            Some(why) => JudgedLeftover::unseen(attempt, why, now),
            None => judge(storage, attempt, &unfinished, now).unwrap_or_else(|error| {
                unknown.push(format!("{error}; so it stays"));
                JudgedLeftover::unseen(attempt, &error.to_string(), now)
            }),
        };
        if judged.may_run {
            running.push(attempt.id.clone());
        }
        leftovers.push(judged.leftover);
    }
    let mut candidates = Vec::new();
    let mut sizes = Vec::new();
    for record in &records {
        let Record { id, manifest, .. } = record;
        let unfinished = unfinished.remove(id).unwrap_or_default();
        leftovers.extend(unfinished.into_iter().map(|unfinished| beside_a_manifest(id, unfinished, now)));
        let held = record.evidence.held.as_ref().map(HoldState::words);
        let stored = |found: &Manifest| {
            found.objects().iter().fold(0, |sum: u64, object| sum.saturating_add(object.bytes))
        };
        sizes.push(manifest.as_ref().map_or(0, stored));
        let damaged_pages = manifest.as_ref().map_or(0, Manifest::lost_pages);
        candidates.push(RetentionCandidate { known: BackupFacts::of(record), damaged_pages, held });
    }
    let histories = History::of_known(candidates.iter().map(|candidate| &candidate.known));
    let current = current_history(&candidates, now);
    let mut verdicts = decide(&candidates, &running, wanted.policy, now);
    if let Some(uuid) = wanted.forget.filter(|uuid| current.as_deref() != Some(*uuid)) {
        forget(&candidates, &mut verdicts, uuid);
    }
    for (candidate, verdict) in candidates.iter().zip(&mut verdicts) {
        if let (Some(why), RetentionVerdict::Remove(_)) = (unseen.get(&candidate.known.id), &*verdict) {
            *verdict = RetentionVerdict::Keep(vec![Reason::Doubt(Doubt::Unknown(why.clone()))]);
        }
    }
    let backups = candidates
        .into_iter()
        .zip(sizes)
        .zip(verdicts)
        .map(|((RetentionCandidate { known, .. }, bytes), verdict)| Planned {
            id: known.id,
            taken: known.taken.as_ref().ok().map(|taken| taken.at),
            bytes,
            history: known.taken.ok().map(|taken| taken.gtid.uuid),
            verdict,
        })
        .collect();
    leftovers.sort_by(|a, b| a.id.cmp(&b.id));
    ClusterPlan { cluster, backups, leftovers, histories, current }
}

/// A folder without a manifest, and whether it goes.
pub(super) struct JudgedLeftover {
    pub(super) leftover: Leftover,
    /// A program may still work in it.
    may_run: bool,
}

impl JudgedLeftover {
    /// A folder that this user cannot look into stays. A run of the last day may be at work in it.
    fn unseen(attempt: &Attempt, why: &str, now: Timestamp) -> Self {
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
    let held = read_hold(storage, cluster, id).map(|held| held.words());
    let is_quiet = last.is_some_and(|last| now.duration_since(last) > QUIET);
    let objects = storage.objects(&folder)?;
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
        (Some(words), _) => words.clone(),
        (None, None) => "not complete, and nothing tells its age".into(),
        (None, Some(_)) if is_quiet => story,
        (None, Some(last)) if last.duration_since(now) > TOLERANCE => {
            format!("FROM THE FUTURE ({}): a clock is wrong", last.strftime("%Y-%m-%d %H:%M:%S UTC"))
        }
        (None, Some(_)) if is_finished => format!("{story}; it goes when it is a day old"),
        (None, Some(_)) => "not complete, and it may still run: something has changed within a day".into(),
    };
    let objects = objects.iter().map(|object| object.bytes);
    let unfinished = unfinished.iter().map(|unfinished| unfinished.bytes);
    let bytes = objects.chain(unfinished).fold(0, u64::saturating_add);
    let goes = is_quiet && held.is_none();
    let leftover = Leftover { id: id.clone(), what: Left::Folder, bytes, goes, reason };
    Ok(JudgedLeftover { leftover, may_run: !is_quiet && !is_finished })
}

/// What is thought of something unfinished in the folder of a complete backup.
fn beside_a_manifest(id: &BackupId, unfinished: Unfinished, now: Timestamp) -> Leftover {
    let goes = now.duration_since(unfinished.modified) > QUIET;
    let what = match unfinished.upload {
        None => "temporary file, last written at",
        Some(_) => "unfinished upload, begun at",
    };
    let until = if goes { "" } else { ": it goes when it is a day old" };
    let reason = format!("{what} {}{until}", unfinished.modified.strftime("%Y-%m-%d %H:%M:%S UTC"));
    Leftover { id: id.clone(), bytes: unfinished.bytes, what: Left::Unfinished(unfinished), goes, reason }
}
