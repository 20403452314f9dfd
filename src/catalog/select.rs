//! Which backup an administrator means.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Catalog, CatalogError, Doubt, History, Record, WantedClass, clusters, further, read_manifest};
use crate::model::{BackupId, BackupState, Manifest, Status};
use crate::storage::Storage;

/// Length of the time in an id: `20261120T113452Z`.
const SECOND_LENGTH: usize = 16;

/// How a backup is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// By its id.
    Id(BackupId),
    /// The newest.
    Latest,
    /// The newest whose data is from this time or before.
    At(Timestamp),
}

impl Selector {
    /// The folder of the cluster and the manifest of the backup. Where it is not named, and nobody can tell which one is
    /// the newest, that is an error. It may be a damaged one.
    pub fn find(
        &self,
        storage: &dyn Storage,
        cluster: Option<&str>,
        now: Timestamp,
    ) -> Result<(String, Manifest), CatalogError> {
        self.choose(storage, cluster, now, NewestOf { is_intact: false, of: WantedClass::Usual })
    }

    /// The same for a command that relies on the backup: a newest one that is known to be damaged is an error, too.
    pub fn find_intact(
        &self,
        storage: &dyn Storage,
        cluster: Option<&str>,
        now: Timestamp,
    ) -> Result<(String, Manifest), CatalogError> {
        self.choose(storage, cluster, now, NewestOf { is_intact: true, of: WantedClass::Usual })
    }

    /// The same among dumps, where the newest is asked for.
    pub fn find_intact_dump(
        &self,
        storage: &dyn Storage,
        cluster: Option<&str>,
        now: Timestamp,
    ) -> Result<(String, Manifest), CatalogError> {
        self.choose(storage, cluster, now, NewestOf { is_intact: true, of: WantedClass::Dump })
    }

    fn choose(
        &self,
        storage: &dyn Storage,
        cluster: Option<&str>,
        now: Timestamp,
        newest_of: NewestOf,
    ) -> Result<(String, Manifest), CatalogError> {
        match self {
            Self::Id(id) => find_id(storage, cluster, id),
            Self::Latest => newest(storage, cluster, NewestWanted { at: None, of: newest_of, now }),
            Self::At(time) => newest(storage, cluster, NewestWanted { at: Some(*time), of: newest_of, now }),
        }
    }
}

fn find_id(
    storage: &dyn Storage,
    cluster: Option<&str>,
    id: &BackupId,
) -> Result<(String, Manifest), CatalogError> {
    let mut found = Vec::new();
    let mut attempt = None;
    let mut unknown = Vec::new();
    for folder in clusters(storage, cluster)? {
        let attempted = |id: &BackupId| Ok(storage.folders(&folder)?.contains(&id.to_string()));
        match read_manifest(storage, &folder, id) {
            Err(CatalogError::NotFound(_)) => match attempted(id) {
                Ok(false) => {}
                Ok(true) => attempt = Some(super::read_status(storage, &folder, id)),
                Err(error) if cluster.is_none() => unknown.push(CatalogError::Storage(error)),
                Err(error) => return Err(error.into()),
            },
            // Whether it is there is not known where its cluster's folder cannot be looked into.
            Err(error @ CatalogError::Storage(_)) if cluster.is_none() => match attempted(id) {
                Ok(_) => found.push((folder, Err(error))),
                Err(error) => unknown.push(CatalogError::Storage(error)),
            },
            manifest => found.push((folder, manifest)),
        }
    }
    if found.is_empty() && !unknown.is_empty() {
        return Err(unknown.swap_remove(0));
    }
    say_what_is_unknown(unknown.iter());
    if found.len() > 1 {
        return Err(ambiguous(found.iter().map(|(cluster, _)| cluster.as_str())));
    }
    if let Some((cluster, manifest)) = found.pop() {
        return manifest.map(|manifest| (cluster, manifest));
    }
    Err(CatalogError::NotFound(match attempt {
        Some(Some(Status { state: BackupState::Done, .. })) => {
            format!("backup '{id}' is no more: it was complete, and its manifest was removed")
        }
        Some(Some(Status { error: Some(error), .. })) => format!("backup '{id}' has failed: {error}"),
        Some(Some(_)) => format!("backup '{id}' is not complete: it runs, or its program has died"),
        Some(None) => format!("backup '{id}' is not complete: it has no manifest, its program has died"),
        None => format!("there is no backup '{id}'{}; 'list' shows them", place(storage, cluster)),
    }))
}

/// Among which backups, and whether it may be known to be damaged.
#[derive(Clone, Copy)]
struct NewestOf {
    is_intact: bool,
    of: WantedClass,
}

/// What is asked for: the newest.
#[derive(Clone, Copy)]
struct NewestWanted {
    at: Option<Timestamp>,
    of: NewestOf,
    now: Timestamp,
}

fn newest(
    storage: &dyn Storage,
    cluster: Option<&str>,
    wanted: NewestWanted,
) -> Result<(String, Manifest), CatalogError> {
    let at = wanted.at;
    let catalog = Catalog::read(storage, cluster)?;
    if let Some(why) = catalog.unknown.first().filter(|_| catalog.records.is_empty()) {
        return Err(CatalogError::Unknown(why.clone()));
    }
    say_what_is_unknown(catalog.unknown.iter());
    let clusters: BTreeSet<&str> = catalog.records.iter().map(|record| record.cluster.as_str()).collect();
    if clusters.len() > 1 {
        return Err(ambiguous(clusters.into_iter()));
    }
    let doubts = catalog.doubts(wanted.now);
    let class = wanted.of.of.among(&catalog.records).map_err(CatalogError::NotFound)?;
    // What began later cannot be from that time, whatever its manifest would say.
    let in_time = |record: &Record| match &record.manifest {
        Ok(manifest) if manifest.class() != class => false,
        Ok(manifest) => at.is_none_or(|time| manifest.frozen_at <= time),
        Err(_) => at.is_none_or(|time| began(&record.id) <= second(time)),
    };
    let (records, doubts): (Vec<Record>, Vec<Option<Doubt>>) =
        catalog.records.into_iter().zip(doubts).filter(|(record, _)| in_time(record)).unzip();
    let best = super::newest_of(&records, &doubts, |doubt| doubt.is_damage() && !wanted.of.is_intact);
    // Records are sorted: the last one counts.
    let unusable = records.iter().rposition(|record| record.manifest.is_err());
    if let Some(broken) = unusable
        && best.is_none_or(|best| began(&records[broken].id) >= began(&records[best].id))
    {
        let doubted = records.iter().any(|record| record.manifest.is_ok());
        return Err(match records.into_iter().nth(broken).map(|record| record.manifest) {
            Some(Err(error)) if best.is_some() || doubted => CatalogError::Newest(Box::new(error)),
            // Nothing older is there to be named.
            Some(Err(error)) => error,
            _ => nothing(storage, cluster, wanted),
        });
    }
    if let Some(error) = in_the_way(&records, &doubts, best, wanted) {
        return Err(error);
    }
    if let Some(best) = best {
        say_what_else_there_is(&records, best);
        if let Some(doubt @ Doubt::Unknown(_)) = &doubts[best] {
            log::warn!("the newest backup, {}: {doubt}", records[best].id);
        }
    }
    let found = best.and_then(|best| records.into_iter().nth(best));
    match found.map(|Record { cluster, manifest, .. }| (cluster, manifest)) {
        Some((cluster, Ok(manifest))) => Ok((cluster, manifest)),
        _ => Err(nothing(storage, cluster, wanted)),
    }
}

/// A folder that this user cannot look into may be that of the cluster that is meant.
fn say_what_is_unknown<'a>(unknown: impl Iterator<Item = &'a (impl std::fmt::Display + 'a)>) {
    for why in unknown {
        log::warn!(
            "{why}; whatever backups are there are not looked at: --cluster names the one that is meant"
        );
    }
}

/// Who asks for the newest may mean that of another history, or the one with the furthest position.
fn say_what_else_there_is(records: &[Record], best: usize) {
    let Ok(best) = &records[best].manifest else { return };
    let histories = History::of_records(records.iter());
    let others: Vec<String> =
        histories.iter().filter(|history| history.uuid != best.lineage().uuid).map(History::words).collect();
    if !others.is_empty() {
        log::warn!(
            "the newest backup, {}, is of the history {}, and there are backups of other histories (another cluster of the \
             same name, what it was before it was bootstrapped anew, or another server): {}; name the ID of the one that you mean",
            best.id,
            best.lineage().uuid,
            others.join("; ")
        );
    }
    if let Some(further) = further(records.iter(), best) {
        log::warn!(
            "the newest backup by its time, {} at seqno {}, is not the furthest of its history: that is {} at seqno {}, taken \
             {}. Either the cluster went back to an older backup: then restore no node from what is further, it may join with \
             rows that the cluster has left behind. Or a clock was wrong: then name the ID of the one that you mean",
            best.id,
            best.seqno(),
            further.id,
            further.seqno(),
            further.frozen_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        );
    }
}

/// The error for a backup that may be newer than the best one, and that something speaks against: to fall back behind it
/// without a word would be a silent loss of data.
fn in_the_way(
    records: &[Record],
    doubts: &[Option<Doubt>],
    best: Option<usize>,
    wanted: NewestWanted,
) -> Option<CatalogError> {
    let order = |manifest: &Manifest| (manifest.frozen_at, manifest.id.clone());
    let best = best.and_then(|best| records[best].manifest.as_ref().ok());
    let may_be_newer = |manifest: &Manifest, doubt: &Doubt| {
        best.is_none_or(|best| {
            let is_further = manifest.seqno_beside(best).is_some_and(|(own, best)| own > best);
            order(manifest) > order(best) || (is_further && matches!(doubt, Doubt::Contradicts(_)))
        })
    };
    let counts = |doubt: &Doubt| doubt.is_of_time() || (doubt.is_damage() && wanted.of.is_intact);
    let doubtful = records.iter().zip(doubts).filter_map(|(record, doubt)| {
        let (manifest, doubt) =
            (record.manifest.as_ref().ok()?, doubt.as_ref().filter(|doubt| counts(doubt))?);
        may_be_newer(manifest, doubt).then_some((manifest, doubt))
    });
    let (manifest, doubt) = doubtful.max_by_key(|(manifest, _)| order(manifest))?;
    let other = super::newest_of(records, doubts, |_| false);
    // Where the cluster went back, what it has left behind can be told from nothing but the position.
    let went_back = match doubt {
        Doubt::Contradicts(_) => {
            ". Where the cluster went back, restore no node from a backup of before: it may join with rows that the cluster has \
             left behind"
        }
        _ => "",
    };
    let cure = match other.and_then(|other| records[other].manifest.as_ref().ok()) {
        Some(other) => format!(
            "; the newest that can be relied on is '{}', taken {}: name the ID of the one to use{went_back}",
            other.id,
            other.frozen_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        ),
        None => format!(
            "; there is no other that can be relied on: name its ID to use it all the same{went_back}"
        ),
    };
    Some(CatalogError::Doubtful { id: manifest.id.clone(), doubt: doubt.clone(), cure })
}

fn nothing(storage: &dyn Storage, cluster: Option<&str>, wanted: NewestWanted) -> CatalogError {
    let what = if wanted.of.of == WantedClass::Dump { "dump" } else { "complete backup" };
    let when = wanted.at.map_or_else(String::new, |time| format!(" taken at or before {time}"));
    let place = place(storage, cluster);
    CatalogError::NotFound(format!("there is no {what}{when}{place}; 'list' shows what there is"))
}

/// The second in which a backup began, in the form that sorts by time.
fn began(id: &BackupId) -> String {
    id.as_str().chars().take(SECOND_LENGTH).collect()
}

/// The same of any moment.
fn second(time: Timestamp) -> String {
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}

fn place(storage: &dyn Storage, cluster: Option<&str>) -> String {
    let which = cluster.map_or_else(String::new, |name| format!(" of cluster '{name}'"));
    format!("{which} in '{}'", storage.location())
}

fn ambiguous<'a>(clusters: impl Iterator<Item = &'a str>) -> CatalogError {
    CatalogError::AmbiguousCluster(clusters.collect::<Vec<_>>().join(", "))
}
