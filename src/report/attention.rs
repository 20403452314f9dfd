//! The points that an administrator should look at, in order.

use jiff::{SignedDuration, Timestamp};

use super::data::{AttemptRow, Backup, Cluster};
use super::text::{age, counted};
use crate::catalog::{AttemptState, Doubt, Drilled, History, Verified};
use crate::model::{BackupId, DrillOutcome, DrillRecord, Verification, VerifyOutcome};

/// A backup a day, and half a day of grace: as `check` has it.
const OLD: SignedDuration = SignedDuration::from_hours(36);
/// A verification a week, and a day of grace.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(8 * 24);
/// A drill a month, and some days of grace.
const DRILL_LONG_AGO: SignedDuration = SignedDuration::from_hours(35 * 24);

/// How urgent a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Nothing to do.
    Well,
    /// Worth a look.
    Warning,
    /// There is no backup to rely on.
    Bad,
}

/// One thing, and the row that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) level: Urgency,
    pub(super) text: String,
    pub(super) about: Option<BackupId>,
}

fn point(level: Urgency, about: Option<&BackupId>, text: impl Into<String>) -> Point {
    Point { level, text: text.into(), about: about.cloned() }
}

/// Everything about one cluster, the worst first.
pub(super) fn points(cluster: &Cluster, now: Timestamp) -> Vec<Point> {
    let mut points = Vec::new();
    points.extend(of_newest(cluster, now));
    points.extend(cluster.backups.iter().filter_map(damaged));
    points.extend(cluster.backups.iter().filter_map(|backup| unusable(cluster, backup)));
    points.extend(of_histories(cluster));
    points.extend(of_runs(cluster));
    points.extend(of_verification(cluster, now));
    points.extend(of_drills(cluster, now));
    points.extend(cluster.backups.iter().filter(|b| b.manifest.is_ok()).filter_map(|b| doubtful(cluster, b)));
    points.sort_by_key(|point| std::cmp::Reverse(point.level));
    points
}

/// The worst of them.
pub(super) fn level(points: &[Point]) -> Urgency {
    points.iter().map(|point| point.level).max().unwrap_or(Urgency::Well)
}

fn of_newest(cluster: &Cluster, now: Timestamp) -> Vec<Point> {
    let Some((backup, manifest)) = cluster.newest() else {
        return vec![point(Urgency::Bad, None, "There is no backup that can be relied on.")];
    };
    let mut points = Vec::new();
    if now.duration_since(manifest.frozen_at) > OLD {
        let text = format!("The newest backup is {} old.", age(manifest.frozen_at, now));
        points.push(point(Urgency::Bad, Some(&backup.id), text));
    }
    if manifest.lost_pages() > 0 {
        let text = format!(
            "Of the newest backup {} were {} on '{}' when its files were read: the files of that server are damaged.",
            counted(usize::try_from(manifest.lost_pages()).unwrap_or(usize::MAX), "InnoDB page"),
            manifest.lost_in_a_word(),
            manifest.node
        );
        points.push(point(Urgency::Bad, Some(&backup.id), text));
    }
    points
}

fn damaged(backup: &Backup) -> Option<Point> {
    let Verification { outcome, first_finding, .. } = backup.verified.as_ref()?.known()?;
    let what = first_finding.as_ref().map_or_else(String::new, |first| format!(": {first}"));
    (*outcome == VerifyOutcome::Damaged)
        .then(|| point(Urgency::Bad, Some(&backup.id), format!("{} is damaged{what}.", backup.id)))
}

/// One that is newer than what can be used stands in the way of `restore latest`.
fn unusable(cluster: &Cluster, backup: &Backup) -> Option<Point> {
    let why = backup.manifest.as_ref().err()?;
    let is_newest = cluster.newest().is_none_or(|(newest, _)| newest.id < backup.id);
    let level = if is_newest { Urgency::Bad } else { Urgency::Warning };
    Some(point(level, Some(&backup.id), format!("{} cannot be used: {why}.", backup.id)))
}

/// Backups that 'latest' passes over although somebody may mean them: those of other histories, and one that is further.
fn of_histories(cluster: &Cluster) -> Vec<Point> {
    let mut points = Vec::new();
    let histories = History::of_manifests(cluster.usable().map(|(_, manifest)| manifest));
    if histories.len() > 1 {
        let words: Vec<String> = histories.iter().map(History::words).collect();
        let text = format!(
            "Backups of {} histories (state UUIDs) are in one folder: of several clusters with one name, or of one that was \
             bootstrapped anew: {}.",
            histories.len(),
            words.join("; ")
        );
        points.push(point(Urgency::Warning, None, text));
    }
    let Some((_, newest)) = cluster.newest() else { return points };
    let whole = cluster.usable().filter(|(backup, _)| !backup.doubt.as_ref().is_some_and(Doubt::is_damage));
    let further = whole.filter(|(_, one)| one.seqno_beside(newest).is_some_and(|(own, newest)| own > newest));
    if let Some((backup, _)) = further.max_by_key(|(_, one)| one.lineage().seqno) {
        let text = format!(
            "{} is older than the newest backup by its time, and further by its position: the cluster went back to an older \
             backup, or a clock was wrong.",
            backup.id
        );
        points.push(point(Urgency::Warning, Some(&backup.id), text));
    }
    points
}

/// Runs since the newest backup; of older ones a later one has made up for it.
fn of_runs(cluster: &Cluster) -> Vec<Point> {
    let newest = cluster.newest().map(|(backup, _)| &backup.id);
    let since = cluster.runs.iter().filter(|run| newest.is_none_or(|newest| *newest < run.id));
    let failed = |run: &&AttemptRow| matches!(run.standing, AttemptState::Failed(_) | AttemptState::Dead(_));
    let told = |run: &AttemptRow| {
        let why = match &run.standing {
            AttemptState::Failed(Some(why)) => format!("has failed: {why}"),
            AttemptState::Failed(None) => "has failed".into(),
            _ => "has died without a word".into(),
        };
        point(Urgency::Bad, Some(&run.id), format!("The run {} {why}.", run.id))
    };
    since.filter(failed).map(told).collect()
}

fn of_verification(cluster: &Cluster, now: Timestamp) -> Vec<Point> {
    let known = || cluster.backups.iter().filter_map(|backup| backup.verified.as_ref()?.known());
    let mut points: Vec<Point> = cluster
        .backups
        .iter()
        .filter_map(|backup| match &backup.verified {
            // Where a folder cannot be used, nothing in it can, and that is told.
            Some(unreadable @ Verified::Unreadable { .. }) if backup.manifest.is_ok() => {
                let text = format!("{}: {}.", backup.id, unreadable.words());
                Some(point(Urgency::Warning, Some(&backup.id), text))
            }
            _ => None,
        })
        .collect();
    match known().map(|found| found.verified).max() {
        None if cluster.newest().is_some() => {
            points.push(point(Urgency::Warning, None, "No backup that is kept was ever verified."));
        }
        Some(last) if now.duration_since(last) > LONG_AGO => {
            let text = format!("The last verification was {} ago.", age(last, now));
            points.push(point(Urgency::Warning, None, text));
        }
        _ => {}
    }
    points
}

/// Drills that have failed or cannot be read, and the last one, where it is long ago. Who has never had one knows that.
fn of_drills(cluster: &Cluster, now: Timestamp) -> Vec<Point> {
    let drilled = || cluster.backups.iter().filter_map(|backup| Some((backup, backup.drilled.as_ref()?)));
    let told = |(backup, drilled): (&Backup, &Drilled)| {
        let level = match drilled {
            Drilled::By(DrillRecord { outcome: DrillOutcome::Proved, .. }) => return None,
            Drilled::By(_) => Urgency::Bad,
            Drilled::Unreadable { .. } if backup.manifest.is_ok() => Urgency::Warning,
            Drilled::Unreadable { .. } => return None,
        };
        Some(point(level, Some(&backup.id), format!("{}: {}.", backup.id, drilled.words())))
    };
    let mut points: Vec<Point> = drilled().filter_map(told).collect();
    let last = drilled().filter_map(|(_, drilled)| Some(drilled.known()?.drilled)).max();
    if let Some(last) = last.filter(|last| now.duration_since(*last) > DRILL_LONG_AGO) {
        let text = format!("The last drill was {} ago.", age(last, now));
        points.push(point(Urgency::Warning, None, text));
    }
    points
}

/// What speaks against a backup, but for what 'verify' has found, which is told already.
fn doubtful(cluster: &Cluster, backup: &Backup) -> Option<Point> {
    let doubt = backup.doubt.as_ref()?;
    let found = backup.verified.as_ref().and_then(Verified::known);
    let is_told = match doubt {
        Doubt::Damaged(_) => found.is_some_and(|found| found.outcome == VerifyOutcome::Damaged),
        Doubt::Unknown(_) => backup.verified.is_some() && found.is_none(),
        _ => false,
    };
    let is_newer = cluster.newest().is_none_or(|(newest, _)| newest.id < backup.id);
    let level = if is_newer && !matches!(doubt, Doubt::Unknown(_)) { Urgency::Bad } else { Urgency::Warning };
    (!is_told).then(|| point(level, Some(&backup.id), format!("{}: {doubt}.", backup.id)))
}
