//! The backups that there are: how old the newest is, and what became of those that are none.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use jiff::Timestamp;

use super::finding::Finding;
use crate::catalog::{Attempt, Catalog, CatalogError, Doubt, History, Lines, Record, further};
use crate::model::{BackupId, BackupState, Manifest};
use crate::ui::{duration_ms, grouped};

const TOPIC: &str = "backups";
/// Older than this is worth a word: a backup a day, and half a day of grace.
const USUAL_AGE: Duration = Duration::from_secs(36 * 3600);
/// A program that runs writes its status every two seconds.
const SILENCE: Duration = Duration::from_secs(60);
/// Of one that was heard of since, it is said that it runs.
const HEARD: Duration = Duration::from_secs(10);
/// Backups in doubt that are told of one by one.
const MOST_DOUBTS: usize = 5;

/// Time since a moment; none for one in the future.
pub(super) fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

pub(super) fn shown(duration: Duration) -> String {
    match duration.as_secs() / 86_400 {
        0 | 1 => duration_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        days => format!("{days} days"),
    }
}

/// What the backups are judged by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    /// The repository.
    pub(super) location: &'a str,
    pub(super) cluster: Option<&'a str>,
    /// State UUID of the members, where they say one.
    pub(super) history: Option<&'a str>,
    /// Above this age there is an error.
    pub(super) max_age: Option<Duration>,
    pub(super) now: Timestamp,
    /// The command that takes a backup.
    pub(super) command: &'a str,
}

/// What is to be told.
pub(super) fn judge(catalog: &Catalog, terms: &Terms<'_>) -> Vec<Finding> {
    let Terms { location, now, .. } = *terms;
    // A backup of another history protects nothing of this cluster.
    let newest = catalog.newest_in(terms.history, now);
    let denied = catalog.records.iter().filter(|record| is_denied(record)).count();
    let mut findings = Vec::new();
    findings.extend(catalog.unknown.iter().map(|why| {
        let cure = "move what is no folder of a cluster out of the repository, let this user read the others, or name the \
                    cluster with --cluster";
        Finding::warning(TOPIC, format!("{why}; whatever backups are there are not counted"), cure.to_owned())
    }));
    if denied > 0 {
        let text = format!("manifests in {location} that this user may not read: {denied}");
        findings.push(unreadable(text, terms));
    }
    match newest {
        Some(manifest) => findings.push(by_age(manifest, terms)),
        None if denied > 0 => {}
        None => findings.push(nothing(catalog, terms)),
    }
    if let Some(manifest) = newest.filter(|manifest| manifest.lost_pages() > 0) {
        let (pages, how) = (grouped(manifest.lost_pages()), manifest.lost_in_a_word());
        let text = format!(
            "{}: {pages} InnoDB pages were {how} on '{}' when its files were read",
            manifest.id, manifest.node
        );
        let cure = format!(
            "mariadb-check --all-databases on '{}', and take the next backup from another node",
            manifest.node
        );
        findings.push(Finding::error(TOPIC, text, cure));
    }
    findings.extend(strangers(catalog, terms));
    let behind = behind(catalog, newest, location);
    findings.extend(parted(catalog, now, behind.is_some()));
    findings.extend(behind);
    findings.extend(doubtful(catalog, newest, terms));
    findings.extend(unusable(&catalog.records, newest.map(|manifest| &manifest.id), location));
    findings.extend(attempts(&catalog.attempts, newest.map(|manifest| &manifest.id), now));
    findings
}

/// A backup that is there, and is not for this user.
fn is_denied(record: &Record) -> bool {
    matches!(&record.manifest, Err(CatalogError::Storage(error)) if error.cause().kind() == ErrorKind::PermissionDenied)
}

/// A repository that cannot be read is no fault of the backups, unless `--max-age` asks for their age.
pub(super) fn unreadable(text: String, terms: &Terms<'_>) -> Finding {
    let cure = "run this check as root, or as the server's user";
    if terms.max_age.is_some() {
        Finding::error(TOPIC, text, cure)
    } else {
        Finding::warning(TOPIC, text, cure.to_owned())
    }
}

fn nothing(catalog: &Catalog, terms: &Terms<'_>) -> Finding {
    let of = terms.cluster.map_or_else(String::new, |name| format!(" of cluster '{name}'"));
    let is_any = catalog.records.iter().any(|record| record.manifest.is_ok());
    let own = terms.history.map_or_else(String::new, |uuid| format!(" of the history {uuid}"));
    let which = if is_any { format!("{own} that can be relied on") } else { String::new() };
    let text = format!("there is no backup{of}{which} in {}", terms.location);
    if terms.max_age.is_some() {
        Finding::error(TOPIC, text, terms.command)
    } else {
        Finding::warning(TOPIC, text, terms.command.to_owned())
    }
}

fn by_age(manifest: &Manifest, terms: &Terms<'_>) -> Finding {
    let age = age(manifest.frozen_at, terms.now);
    let text = format!("the newest is {}, {} old, at {}", manifest.id, shown(age), manifest.position());
    let cure = || {
        format!("see why no other has come (cron, the donor's error log), and take one: {}", terms.command)
    };
    match terms.max_age {
        Some(limit) if age > limit => {
            Finding::error(TOPIC, format!("{text}: older than {} (--max-age)", shown(limit)), cure())
        }
        None if age > USUAL_AGE => {
            Finding::warning(TOPIC, format!("{text}: older than {}", shown(USUAL_AGE)), cure())
        }
        _ => Finding::ok(TOPIC, text),
    }
}

/// Backups of other histories in the same folder. What is newer than the newest of this one, or was taken beside it, comes from
/// another cluster of the same name, which is taken for this one; or this one was bootstrapped anew and has lost its data.
fn strangers(catalog: &Catalog, terms: &Terms<'_>) -> Vec<Finding> {
    let folders: BTreeSet<&str> = catalog.records.iter().map(|record| record.cluster.as_str()).collect();
    let of = |folder: &&str| {
        let histories =
            History::of_records(catalog.records.iter().filter(|record| record.cluster == *folder));
        strangers_in(folder, &histories, terms)
    };
    folders.iter().filter_map(of).collect()
}

/// The same in one folder.
fn strangers_in(folder: &str, histories: &[History], terms: &Terms<'_>) -> Option<Finding> {
    let words = |histories: &[&History]| -> String {
        histories.iter().map(|history| history.words()).collect::<Vec<_>>().join("; ")
    };
    let apart = "give each cluster a wsrep_cluster_name or a repository of its own, and name an ID in place of 'latest'; for a \
                 history whose backups nobody wants any more: wsrep_sst_backup prune --forget-history UUID"
        .to_owned();
    let last = histories.first()?;
    let Some(own) = terms.history else {
        return (histories.len() > 1).then(|| {
            let text = format!(
                "backups of {} histories are in the folder of cluster '{folder}', and no member says which is the \
                 cluster's: {}",
                histories.len(),
                words(&histories.iter().collect::<Vec<_>>())
            );
            Finding::warning(TOPIC, text, apart)
        });
    };
    let others: Vec<&History> = histories.iter().filter(|history| history.uuid != own).collect();
    if others.is_empty() {
        return None;
    }
    let told = words(&others);
    if last.uuid != own {
        let text = format!("the newest backups are of another history than this cluster's ({own}): {told}");
        return Some(Finding::error(TOPIC, text, apart));
    }
    let first = histories.iter().find(|history| history.uuid == own).map(|history| history.first);
    if others.iter().any(|other| first.is_some_and(|first| first < other.taken)) {
        let text =
            format!("backups of another history than this cluster's ({own}) are mixed with its own: {told}");
        return Some(Finding::warning(TOPIC, text, apart));
    }
    Some(Finding::ok(TOPIC, format!("what an earlier history has left stays until it is forgotten: {told}")))
}

/// A backup that is older than the newest by its time, and further by its position.
fn behind(catalog: &Catalog, newest: Option<&Manifest>, location: &str) -> Option<Finding> {
    let newest = newest?;
    let further = further(catalog.records.iter(), newest)?;
    let text = format!(
        "{} is older than {} by its time, and further by its position (seqno {}, {}): the cluster went back to an older \
         backup, or a clock was wrong",
        further.id,
        newest.id,
        further.seqno(),
        newest.seqno()
    );
    let cure = format!(
        "see which one has the newest data before you restore; where the cluster went back on purpose and {} is not wanted \
         any more, remove its folder in {location}",
        further.id
    );
    Some(Finding::warning(TOPIC, text, cure))
}

/// Lines of one history that have parted. That a cluster went back is told already where the newest backup says it.
fn parted(catalog: &Catalog, now: Timestamp, is_told: bool) -> Vec<Finding> {
    let lines = catalog.lines(now).into_iter().filter(|lines| !is_told || !lines.two_lines.is_empty());
    let finding = |lines: Lines| {
        let (text, cure) = lines.words();
        Finding::warning(TOPIC, text, cure.to_owned())
    };
    lines.map(finding).collect()
}

/// Backups that something speaks against: they are not counted, and one that would be the newest otherwise is an error.
fn doubtful(catalog: &Catalog, newest: Option<&Manifest>, terms: &Terms<'_>) -> Vec<Finding> {
    let doubts = catalog.doubts(terms.now);
    let told: Vec<(&Record, &Manifest, &Doubt)> = catalog
        .records
        .iter()
        .zip(&doubts)
        .filter_map(|(record, doubt)| Some((record, record.manifest.as_ref().ok()?, doubt.as_ref()?)))
        .collect();
    let is_newer = |manifest: &Manifest| {
        newest.is_none_or(|newest| (newest.frozen_at, &newest.id) < (manifest.frozen_at, &manifest.id))
    };
    let mut findings: Vec<Finding> = Vec::new();
    // The last ones say it all where a rollback has left many of them.
    for (record, manifest, doubt) in told.iter().rev().take(MOST_DOUBTS).rev() {
        let text = format!("{}: {doubt}", record.id);
        let place = format!("{}/{}/{}", terms.location, record.cluster, record.id);
        let cure = match doubt {
            Doubt::Damaged(_) => format!(
                "it protects from nothing: take a backup now ({}), look at the storage, and read it again: wsrep_sst_backup \
                 verify {}",
                terms.command, record.id
            ),
            Doubt::Unknown(_) => format!("see why {place} cannot be looked at"),
            _ => format!(
                "set the clocks right (chronyc tracking) on '{}' and where the repository is; then, unless it is wanted, \
                 move {place} out of the repository: until then 'latest' may be refused",
                manifest.node
            ),
        };
        findings.push(match doubt {
            Doubt::Unknown(_) => Finding::warning(TOPIC, text, cure),
            _ if is_newer(manifest) => Finding::error(TOPIC, text, cure),
            _ => Finding::warning(TOPIC, text, cure),
        });
    }
    if told.len() > MOST_DOUBTS {
        let text = format!("backups before these that are none to rely on: {}", told.len() - MOST_DOUBTS);
        findings.push(Finding::warning(TOPIC, text, "wsrep_sst_backup list".to_owned()));
    }
    findings
}

/// Backups whose manifest cannot be used. A restore refuses to fall back behind the newest one of them.
fn unusable(records: &[Record], newest: Option<&BackupId>, location: &str) -> Vec<Finding> {
    let broken = records
        .iter()
        .filter(|record| !is_denied(record))
        .filter_map(|record| Some((record, record.manifest.as_ref().err()?)));
    broken
        .map(|(record, error)| {
            let text = format!("{} cannot be used: {}", record.id, error.of_itself());
            let place = format!("{location}/{}/{}", record.cluster, record.id);
            let cure = format!("look at {place}; if it cannot be mended, move it out of the repository");
            if newest.is_none_or(|newest| *newest < record.id) {
                Finding::error(TOPIC, text, cure)
            } else {
                Finding::warning(TOPIC, text, cure)
            }
        })
        .collect()
}

/// Runs that go on, have failed since the newest backup, or have been silent for too long.
fn attempts(attempts: &[Attempt], newest: Option<&BackupId>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut left = Vec::new();
    let mut failed: Option<(&BackupId, String)> = None;
    for attempt in attempts {
        let heard = match &attempt.status {
            Some(status) if status.state == BackupState::Failed => {
                let why = status.error.clone().unwrap_or_else(|| "no reason is told".into());
                failed = Some((&attempt.id, why));
                continue;
            }
            // Its backup was removed on purpose, manifest first.
            Some(status) if status.state == BackupState::Done => {
                left.push(format!("{} is what a removed backup has left", attempt.id));
                continue;
            }
            Some(status) => status.updated,
            None => attempt.id.started().unwrap_or(Timestamp::UNIX_EPOCH),
        };
        let silence = attempt.status.as_ref().map_or(SILENCE, |status| status.patience(SILENCE));
        let silent = age(heard, now);
        if silent > silence {
            let told = format!("has been silent for {}", shown(silent));
            left.push(format!("{} {told}", attempt.id));
            if newest.is_none_or(|newest| *newest < attempt.id) {
                failed = Some((&attempt.id, format!("its program {told}, and has probably died")));
            }
        } else {
            let text = match &attempt.status {
                _ if silent <= HEARD => format!("{} runs", attempt.id),
                Some(_) => format!("{} was alive {} ago", attempt.id, shown(silent)),
                None => format!("{} began {} ago, and has told nothing since", attempt.id, shown(silent)),
            };
            findings.push(Finding::ok(TOPIC, text));
        }
    }
    if let Some((id, why)) = failed.filter(|(id, _)| newest.is_none_or(|newest| *newest < **id)) {
        let text = format!("the last attempt, {id}, has failed: {why}");
        findings.push(Finding::error(
            TOPIC,
            text,
            "remove the cause and take a backup; the donor's error log has the whole story",
        ));
    }
    findings.extend(left_over(&left));
    findings
}

/// Folders that are no backup. A program that was stopped, or whose clock is another, is silent as well and may go on: nothing
/// is to be removed by hand.
fn left_over(left: &[String]) -> Option<Finding> {
    let hidden = left.len().saturating_sub(MOST_DOUBTS);
    let last = left.get(hidden..).filter(|last| !last.is_empty())?.join("; ");
    let text = match (left.len(), hidden) {
        (1, _) => format!("a folder is no backup and takes up space: {last}"),
        (count, 0) => format!("{count} folders are no backups and take up space: {last}"),
        (count, _) => format!("{count} folders are no backups and take up space; the last ones: {last}"),
    };
    let cure = "wsrep_sst_backup prune removes it when it is a day old (prune needs a policy, keep-last for one); do not remove it by \
                hand: a program that was only stopped goes on";
    Some(Finding::warning(TOPIC, text, cure.to_owned()))
}

#[cfg(test)]
#[path = "backups_tests.rs"]
pub(super) mod tests;
