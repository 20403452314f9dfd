//! What a repository holds, and what is to become of it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::forgetting::forgettable;
use super::leftover::{JudgedLeftover, Leftover, beside_a_manifest, judge};
use super::policy::{Reason, RetentionCandidate, RetentionVerdict, current_history, decide, forget};
use super::signs::{Sign, signs};
use crate::catalog::{
    Attempt, BackupFacts, Catalog, CatalogError, Doubt, History, HoldState, Record, clusters,
};
use crate::config::Retention;
use crate::model::{BackupId, Manifest, safe_component};
use crate::storage::{Storage, Unfinished};

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
    /// The state UUID of a history of which none is to stay, where [`forgettable`] lets it go.
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
        if let (Err(CatalogError::Storage(error)), None) = (manifest, unseen.get(id)) {
            unknown.push(format!("{error}; so it stays"));
        }
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
    let forgotten = wanted.forget.map(|named| forgettable(&histories, current.as_deref(), named));
    if let Some(Ok(Some(uuid))) = forgotten {
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
