//! `metrics-file`: how this run has ended, and what the repository holds since.
//!
//! The run comes first, from memory into a file of this machine: that takes milliseconds, and it is the only word about a
//! failure that no repository has heard of. A repository that may be the cause of it is not asked; one in which the run could not even
//! begin is told to be unreadable. After a backup it is
//! read, behind `done` and behind [`super::pruning`], for the numbers of all backups. Nothing of it is waited for longer than
//! its limit, and nothing of it changes how the run ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use super::Job;
use super::background::{ThreadLimits, bounded};
use crate::capture::Watch;
use crate::catalog::Catalog;
use crate::metrics::{self, LastRun, MetricsError, News, Numbers, Scope};
use crate::model::{BackupClass, Manifest};

/// A file of this machine.
const RECORD: ThreadLimits = ThreadLimits { time: Duration::from_secs(1), farewell: Duration::ZERO };
/// A manifest of each backup. A server that is stopped ends it at once, by the signal that comes with it.
const READ: ThreadLimits = ThreadLimits { time: Duration::from_secs(10), farewell: Duration::ZERO };

/// Where the numbers of this run go.
#[derive(Debug)]
pub struct Metrics {
    /// None where `metrics-file` is not set.
    path: Option<PathBuf>,
    cluster: String,
    node: String,
    started: Timestamp,
    /// How the run has ended was told.
    is_told: AtomicBool,
}

impl Metrics {
    /// `cluster` is the folder in the repository.
    pub fn new(path: Option<PathBuf>, cluster: &str, node: &str, started: Timestamp) -> Self {
        let (cluster, node) = (cluster.to_owned(), node.to_owned());
        Self { path, cluster, node, started, is_told: AtomicBool::new(false) }
    }

    /// When the run began.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    /// How the run has ended; with the manifest where it has made a backup.
    pub fn record(&self, exit_status: u8, frozen_ms: Option<u64>, manifest: Option<&Manifest>) {
        self.tell(exit_status, frozen_ms, manifest, None);
    }

    /// That the run has ended without a backup, where nobody who knew more of it has told that. `is_of_repository` where it could not
    /// begin for the repository's sake.
    pub fn record_failure(&self, exit_status: u8, is_of_repository: bool) {
        if !self.is_told.load(Ordering::Relaxed) {
            let unreadable =
                is_of_repository.then(|| News::of(Scope::Cluster(&self.cluster), None, Timestamp::now()));
            self.tell(exit_status, None, None, unreadable);
        }
    }

    fn tell(
        &self,
        exit_status: u8,
        frozen_ms: Option<u64>,
        manifest: Option<&Manifest>,
        unreadable: Option<News>,
    ) {
        self.is_told.store(true, Ordering::Relaxed);
        let run = LastRun {
            cluster: self.cluster.clone(),
            node: self.node.clone(),
            started: self.started,
            ended: Timestamp::now(),
            exit_status,
            frozen_ms,
        };
        // Whether a dump is the newest backup, the repository says.
        let newest = manifest
            .filter(|manifest| manifest.class() == BackupClass::Physical)
            .map(|manifest| Numbers::of_newest(&self.cluster, manifest));
        self.write(RECORD, &|| false, move |path| {
            metrics::update(path, |all| {
                all.set_run(&run);
                if let Some(newest) = &newest {
                    all.set_newest(newest);
                }
                if let Some(news) = &unreadable {
                    all.tell(news);
                }
            })
        });
    }

    /// What the repository holds now.
    pub fn read(&self, job: &Job, watch: &Watch) {
        let storage = Arc::clone(&job.repository);
        let cluster = self.cluster.clone();
        self.write(READ, &|| watch.aborted().is_some(), move |path| {
            let catalog = Catalog::read(storage.as_ref(), Some(&cluster));
            if let Err(error) = &catalog {
                log::warn!("metrics: {error}");
            }
            let news = News::of(Scope::Cluster(&cluster), catalog.ok(), Timestamp::now());
            metrics::update(path, |all| all.tell(&news))
        });
    }

    fn write(
        &self,
        limits: ThreadLimits,
        is_over: &dyn Fn() -> bool,
        work: impl FnOnce(&Path) -> Result<(), MetricsError> + Send + 'static,
    ) {
        let Some(path) = self.path.clone() else { return };
        let name = path.display().to_string();
        match bounded("metrics", limits, is_over, move |_| work(&path)) {
            Ok(Some(Ok(()))) => {}
            Ok(Some(Err(error))) => log::warn!("metrics: {error}"),
            Ok(None) => log::warn!(
                "metrics: '{name}' was not written in time; the next run, or 'wsrep_sst_backup check', does it"
            ),
            Err(error) => log::warn!("metrics: {error}"),
        }
    }
}
