//! The numbers of one cluster, from its catalog.

use jiff::Timestamp;

use super::sample::{MetricSample, seconds};
use crate::catalog::{AttemptState, Catalog, Doubt, Drilled, History, Record, Verified};
use crate::model::{BackupClass, DrillOutcome, DrillRecord, Manifest, Verification, VerifyOutcome};

/// The numbers of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers {
    pub(super) cluster: String,
    pub(super) samples: Vec<MetricSample>,
}

/// Which clusters a look at a repository was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The one in this folder.
    Cluster(&'a str),
    /// All that there are.
    All,
}

impl Numbers {
    fn new(cluster: &str) -> Self {
        Self { cluster: cluster.to_owned(), samples: Vec::new() }
    }

    fn add(&mut self, name: &str, number: u64) {
        self.add_text(name, number.to_string());
    }

    fn add_text(&mut self, name: &str, value: String) {
        self.samples.extend(MetricSample::new(name, &[("cluster", &self.cluster)], value));
    }

    fn add_ms(&mut self, name: &str, ms: u64) {
        self.add_text(name, seconds(i64::try_from(ms).unwrap_or(i64::MAX)));
    }

    fn add_time(&mut self, name: &str, at: Timestamp) {
        self.add_text(name, seconds(at.as_millisecond()));
    }

    /// A backup that was just made.
    pub fn of_newest(cluster: &str, manifest: &Manifest) -> Self {
        let mut numbers = Self::new(cluster);
        let took = manifest.finished.duration_since(manifest.started).as_millis();
        numbers.add_time("last_success_timestamp_seconds", manifest.frozen_at);
        numbers.add_ms("last_success_duration_seconds", u64::try_from(took).unwrap_or(0));
        numbers.add_ms("last_success_frozen_seconds", manifest.frozen_ms);
        numbers.add_ms("last_success_flush_seconds", manifest.flush_ms);
        numbers.add("last_success_data_bytes", manifest.data_bytes);
        numbers.add("last_success_stored_bytes", stored(manifest));
        numbers.add("last_success_files", manifest.files);
        numbers.add("last_success_damaged_pages", manifest.lost_pages());
        numbers.add("last_success_warnings", manifest.warning_count());
        let labels = [
            ("cluster", cluster),
            ("node", &manifest.node),
            ("id", manifest.id.as_str()),
            ("method", &manifest.method),
            ("compression", manifest.archive.compression.name()),
        ];
        numbers.samples.extend(MetricSample::new("last_success_info", &labels, "1".into()));
        numbers
    }

    /// Everything of a cluster whose folder was read `now`.
    pub fn of_catalog(cluster: &str, catalog: &Catalog, now: Timestamp) -> Self {
        let mut numbers =
            catalog.newest(now).map_or_else(|| Self::new(cluster), |newest| Self::of_newest(cluster, newest));
        if let Some(dump) = catalog.newest_of(&BackupClass::Sql, None, now) {
            numbers.add_time("last_dump_timestamp_seconds", dump.frozen_at);
        }
        let doubts = catalog.doubts(now);
        let doubted =
            |is: fn(&Doubt) -> bool| doubts.iter().flatten().filter(|doubt| is(doubt)).count() as u64;
        numbers.add("repository_readable", 1);
        numbers.add_time("catalog_timestamp_seconds", now);
        let usable = || catalog.records.iter().filter_map(|record| record.manifest.as_ref().ok());
        let sound = doubts.iter().filter(|doubt| matches!(doubt, None | Some(Doubt::Unknown(_)))).count();
        numbers.add("kept_backups", sound as u64);
        numbers.add("damaged_backups", doubted(Doubt::is_damage));
        numbers.add("doubtful_backups", doubted(Doubt::is_of_time));
        numbers.add("unusable_backups", (catalog.records.len() - usable().count()) as u64);
        numbers.add("stored_bytes", usable().map(stored).fold(0, u64::saturating_add));
        if let Some(oldest) = usable().map(|manifest| manifest.frozen_at).min() {
            numbers.add_time("oldest_timestamp_seconds", oldest);
        }
        numbers.add("histories", History::of_records(catalog.records.iter()).len() as u64);
        numbers.add("failed_runs", failed_runs(catalog, now) as u64);
        numbers.verifications(catalog);
        numbers.drills(catalog);
        numbers
    }

    fn verifications(&mut self, catalog: &Catalog) {
        let known = |record: &Record| record.evidence.verified.as_ref().and_then(Verified::known).cloned();
        let Some((last, taken)) = latest(catalog, known, |found: &Verification| found.verified) else {
            return;
        };
        self.add_time("last_verify_timestamp_seconds", last.verified);
        self.add("last_verify_success", u64::from(last.outcome == VerifyOutcome::Intact));
        self.add("last_verify_findings", last.findings);
        self.add_ms("last_verify_duration_seconds", last.took_ms);
        if let Some(taken) = taken {
            self.add_time("last_verify_backup_timestamp_seconds", taken);
        }
    }

    fn drills(&mut self, catalog: &Catalog) {
        let known = |record: &Record| record.evidence.drilled.as_ref().and_then(Drilled::known).cloned();
        let Some((last, taken)) = latest(catalog, known, |found: &DrillRecord| found.drilled) else { return };
        self.add_time("last_drill_timestamp_seconds", last.drilled);
        self.add("last_drill_success", u64::from(last.outcome == DrillOutcome::Proved));
        self.add_ms("last_drill_restore_seconds", last.measured.restore_ms);
        self.add_ms("last_drill_start_seconds", last.measured.start_ms);
        self.add_ms("last_drill_check_seconds", last.measured.check_ms);
        self.add_ms("last_drill_duration_seconds", last.took_ms);
        if let Some(taken) = taken {
            self.add_time("last_drill_backup_timestamp_seconds", taken);
        }
    }
}

/// The latest of the records that lie beside backups, and the moment that the data of its backup is from.
fn latest<T>(
    catalog: &Catalog,
    known: impl Fn(&Record) -> Option<T>,
    at: impl Fn(&T) -> Timestamp,
) -> Option<(T, Option<Timestamp>)> {
    let records = catalog.records.iter().filter_map(|record| {
        Some((known(record)?, record.manifest.as_ref().ok().map(|manifest| manifest.frozen_at)))
    });
    records.max_by_key(|(found, _)| at(found))
}

/// Bytes of archive and index.
fn stored(manifest: &Manifest) -> u64 {
    manifest.objects().iter().fold(0, |sum, object| sum.saturating_add(object.bytes))
}

/// Runs that have failed or died since the newest backup began.
fn failed_runs(catalog: &Catalog, now: Timestamp) -> usize {
    let newest = catalog.newest(now).map(|manifest| &manifest.id);
    let since = catalog.attempts.iter().filter(|attempt| newest.is_none_or(|newest| *newest < attempt.id));
    since
        .filter(|attempt| matches!(attempt.standing(now), AttemptState::Failed(_) | AttemptState::Dead(_)))
        .count()
}

/// The numbers of the clusters that were read, for the file.
#[derive(Debug)]
pub struct News {
    pub(super) numbers: Vec<Numbers>,
    pub(super) about: NumbersScope,
}

/// Which clusters those numbers are of.
#[derive(Debug)]
pub(super) enum NumbersScope {
    One,
    /// There are no other clusters.
    All,
    /// There was none in the repository, at this moment.
    Nothing(Timestamp),
    /// It could not be read; the cluster that was asked for.
    Unreadable(Option<String>),
}

impl News {
    /// What was found; nothing where the repository could not be read.
    pub fn of(scope: Scope<'_>, found: Option<Catalog>, now: Timestamp) -> Self {
        let Some(catalog) = found else {
            let cluster = match scope {
                Scope::Cluster(name) => Some(name.to_owned()),
                Scope::All => None,
            };
            return Self { numbers: Vec::new(), about: NumbersScope::Unreadable(cluster) };
        };
        let mut clusters = catalog.by_cluster();
        let of = |name: &str, catalog: &Catalog| Numbers::of_catalog(name, catalog, now);
        match scope {
            Scope::Cluster(name) => {
                let catalog = clusters.remove(name).unwrap_or_default();
                Self { numbers: vec![of(name, &catalog)], about: NumbersScope::One }
            }
            Scope::All => {
                let numbers: Vec<Numbers> =
                    clusters.iter().map(|(name, catalog)| of(name, catalog)).collect();
                let about = if numbers.is_empty() { NumbersScope::Nothing(now) } else { NumbersScope::All };
                Self { numbers, about }
            }
        }
    }
}
