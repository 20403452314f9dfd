//! The backups that there are: how old the newest is, and what became of those that are none.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::time::Duration;

use jiff::Timestamp;

use super::ages::{age, shown};
use super::attempts::{TOPIC, attempts};
use super::finding::Finding;
use crate::catalog::{Catalog, CatalogError, Doubt, History, Lines, Record, further};
use crate::model::{BackupId, Manifest};
use crate::ui::grouped;

/// Older than this is worth a word: a backup a day, and half a day of grace.
const USUAL_AGE: Duration = Duration::from_secs(36 * 3600);
/// Backups in doubt that are told of one by one.
const MOST_DOUBTS: usize = 5;

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

#[cfg(test)]
#[path = "backups_tests.rs"]
pub(super) mod tests;
