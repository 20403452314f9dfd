//! The election of the one process that asks for a backup, where several have the same timer.
//!
//! Several nodes may have the same timer. The repository, which they share, decides between them:
//!
//! 1. A complete backup that was begun recently enough, or that has come since this process began to wait: nothing to do.
//! 2. A run that is under way, whoever asked for it: it is waited for, and everything is looked at again.
//! 3. Another process that asks, by a lease in the repository: the same.
//! 4. Otherwise this process puts a lease of its own, **then** looks at all three again. Of two that do this at once at least
//!    one sees the other, since each has put its own before it looks; whoever sees another takes its lease back, waits for a
//!    moment of random length, and begins anew. So at most one goes on, and it keeps its lease until its backup is complete,
//!    or has failed: then the next one takes its turn.
//!
//! This needs a storage that shows at once what has been stored, as directories, NFS (to a client that has just written
//! into the directory) and S3 do.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::follow::BackupPlace;
use super::seen_runs::SeenRuns;
use super::{AskError, Event};
use crate::catalog::{
    BackupFacts, CatalogError, Doubt, Evidence, Record, doubts, read_manifest, read_status,
};
use crate::lease::{self, Lease, Others, holder};
use crate::model::{BackupClass, BackupId, Manifest, Status, WsrepGtid};
use crate::storage::{Storage, StorageError};

/// How far the clocks of two machines may be apart.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// How fast things go.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks.
    pub poll: Duration,
    /// Between two signs of life of a lease.
    pub beat: Duration,
    /// After this time without a sign of life, a lease and a run are dead.
    pub silence: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { poll: Duration::from_secs(2), beat: Duration::from_secs(5), silence: Duration::from_secs(60) }
    }
}

/// The terms of an election: the cluster, the age of a backup that is recent, the limits.
pub struct Election<'a> {
    /// The repository.
    pub storage: &'a Arc<dyn Storage>,
    /// The folder of the cluster.
    pub cluster: String,
    /// State UUID of the members, where it is known: a backup of another history protects nothing of this cluster.
    pub history: Option<String>,
    /// The last write set of the members, where it is known: a backup that is ahead of it is of what the cluster has left
    /// behind when it went back to an older backup.
    pub position: Option<i64>,
    /// What the backup that is asked for can stand in for: one of another class does not make it superfluous.
    pub class: BackupClass,
    /// A backup that was begun within this time is recent.
    pub limit: Duration,
    /// The time.
    pub clock: fn() -> Timestamp,
    /// How fast.
    pub pace: Pace,
    /// Ctrl-C.
    pub interrupted: &'a AtomicBool,
    /// `--timeout`.
    pub deadline: Option<Instant>,
}

/// Whether this process asks.
pub enum AskDecision {
    /// This process asks; no other does until this is dropped.
    Ours(AskLock),
    /// There is a backup already.
    Recent {
        /// Where.
        place: BackupPlace,
        /// What.
        manifest: Box<Manifest>,
    },
}

/// The right to ask, for as long as it lives.
pub struct AskLock(Option<Lease>);

impl AskLock {
    /// The name of its object in the repository.
    pub fn name(&self) -> Option<&str> {
        self.0.as_ref().map(Lease::name)
    }

    /// Whether others respect it. Where the repository cannot be written to, they cannot know of it.
    pub fn is_exclusive(&self) -> bool {
        self.0.is_some()
    }
}

/// What the cluster's folder in the repository shows.
enum ClusterActivity {
    Recent(BackupPlace, Box<Manifest>),
    Running(BackupPlace, Box<Status>),
    Idle,
}

impl Election<'_> {
    /// Waits until it is this process's turn, or there is no need for it any more.
    pub fn take_turn(&self, tell: &mut dyn FnMut(&Event<'_>)) -> Result<AskDecision, AskError> {
        let mut runs = SeenRuns::default();
        let mut others = Others::default();
        let mut told = String::new();
        let mut wait_for = |what: String| {
            if told != what {
                tell(&Event::Waiting(&what));
                told = what;
            }
        };
        loop {
            self.is_over()?;
            match self.standing(&mut runs)? {
                ClusterActivity::Recent(place, manifest) => {
                    return Ok(AskDecision::Recent { place, manifest });
                }
                ClusterActivity::Running(place, status) => {
                    wait_for(format!("the backup {} of '{}' is being made", place.id, status.node));
                    std::thread::sleep(self.pace.poll);
                    continue;
                }
                ClusterActivity::Idle => {}
            }
            if let Some(other) = self.others(&mut others, None)?.first() {
                wait_for(format!("a backup is being asked for by {}", holder(self.storage.as_ref(), other)));
                std::thread::sleep(self.pace.poll);
                continue;
            }
            let lease = match Lease::take(
                self.storage,
                lease::LeaseKind::Asking,
                &self.cluster,
                &lease::host(),
                self.pace.beat,
            ) {
                Ok(lease) => lease,
                Err(error) => {
                    log::warn!(
                        "{error}; so nodes that ask in the same moment cannot know of each other, and each may get a backup"
                    );
                    return Ok(AskDecision::Ours(AskLock(None)));
                }
            };
            if self.others(&mut others, Some(lease.name()))?.is_empty()
                && matches!(self.standing(&mut runs)?, ClusterActivity::Idle)
            {
                return Ok(AskDecision::Ours(AskLock(Some(lease))));
            }
            drop(lease);
            std::thread::sleep(self.pace.poll.mul_f64(random_part()));
        }
    }

    /// For a request that was refused because a member is a donor already: whether the repository will know of it. True
    /// when there is something to wait for.
    pub fn is_explained(&self, patience: Duration) -> Result<bool, AskError> {
        let end = Instant::now() + patience;
        // The members were asked long before: what is waited for is ahead of what they said.
        let mut runs = SeenRuns::of_late();
        while Instant::now() < end {
            self.is_over()?;
            if !matches!(self.standing(&mut runs)?, ClusterActivity::Idle) {
                return Ok(true);
            }
            std::thread::sleep(self.pace.poll.min(patience));
        }
        Ok(false)
    }

    fn is_over(&self) -> Result<(), AskError> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(AskError::GivenUp("interrupted"));
        }
        match self.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(AskError::GivenUp("--timeout is over")),
            _ => Ok(()),
        }
    }

    fn others(&self, others: &mut Others, own: Option<&str>) -> Result<Vec<String>, AskError> {
        others
            .look(self.storage.as_ref(), lease::LeaseKind::Asking, &self.cluster, own, self.pace.silence)
            .map_err(failed)
    }

    /// Whether a position is known to be of another history than the members'.
    fn is_foreign(&self, gtid: &WsrepGtid) -> bool {
        self.history.as_ref().is_some_and(|history| *history != gtid.uuid)
    }

    /// Whether a backup that was there when the members were asked is ahead of what they said.
    fn is_left_behind(&self, gtid: &WsrepGtid, id: &BackupId, runs: &mut SeenRuns) -> bool {
        let Some(last) = self.position.filter(|last| *last < gtid.seqno && runs.was_there(id)) else {
            return false;
        };
        runs.tell(&format!(
            "{id} is at seqno {}, ahead of the cluster, which stands at {last}: the cluster has gone back to an older backup: \
             passed over",
            gtid.seqno
        ));
        true
    }

    /// From the newest folder to the first complete backup: what is older does not count.
    fn standing(&self, runs: &mut SeenRuns) -> Result<ClusterActivity, AskError> {
        let storage = self.storage.as_ref();
        let now = (self.clock)();
        let folders = storage.folders(&self.cluster).map_err(failed)?;
        let mut ids: Vec<BackupId> = folders.iter().filter_map(|folder| folder.parse().ok()).collect();
        ids.sort();
        let mut running = None;
        for id in ids.into_iter().rev() {
            let place = BackupPlace { cluster: self.cluster.clone(), id };
            match read_manifest(storage, &place.cluster, &place.id) {
                Ok(manifest) if manifest.class() != self.class => {}
                Ok(manifest) if self.is_foreign(&manifest.lineage()) => {
                    let (id, uuid) = (&place.id, manifest.lineage().uuid);
                    runs.tell(&format!("{id} is of another history ({uuid}) than the members: passed over"));
                }
                Ok(manifest) if self.is_left_behind(&manifest.lineage(), &place.id, runs) => {}
                Ok(manifest) if now.duration_since(manifest.frozen_at) < -SKEW => {
                    log::warn!("{} is from the future ({}): passed over", place.id, manifest.frozen_at);
                }
                Ok(manifest) => {
                    // The position of a long copy may be that of its end; a timer counts from beginning to beginning.
                    let age = now.duration_since(manifest.started);
                    let is_young = age.is_negative() || age.unsigned_abs() < self.limit;
                    let is_new = runs.is_new(&place.id);
                    if (is_young || is_new) && !is_passed_over(storage, &place, &manifest) {
                        if self.history.is_none() {
                            let uuid = manifest.lineage().uuid;
                            runs.tell(&format!(
                                "no member has said which history the cluster has, so whether {} (history {uuid}) is \
                                 a backup of it is not known",
                                place.id
                            ));
                        }
                        return Ok(ClusterActivity::Recent(place, Box::new(manifest)));
                    }
                    if !is_young && !is_new {
                        break;
                    }
                }
                Err(CatalogError::NotFound(_)) => {
                    let status = read_status(storage, &place.cluster, &place.id);
                    if let Some(status) = status
                        && running.is_none()
                        && !status.gtid.as_ref().is_some_and(|gtid| self.is_foreign(gtid))
                        && runs.is_alive(&place, &status, now, self.pace.silence)
                    {
                        running = Some((place, Box::new(status)));
                    }
                }
                Err(error @ CatalogError::Storage(_)) => return Err(AskError::Repository(error.to_string())),
                Err(error) => log::warn!("{error}: passed over"),
            }
        }
        runs.begin();
        Ok(running.map_or(ClusterActivity::Idle, |(place, status)| ClusterActivity::Running(place, status)))
    }
}

/// Whether something speaks against a complete backup, so that it is no reason to do without another one.
fn is_passed_over(storage: &dyn Storage, place: &BackupPlace, manifest: &Manifest) -> bool {
    let record = Record {
        cluster: place.cluster.clone(),
        id: place.id.clone(),
        evidence: Evidence::look(storage, &place.cluster, &place.id, Some(manifest)),
        manifest: Ok(manifest.clone()),
    };
    // Its time is compared with that of the storage; with now it was before.
    let doubt = doubts(&[&BackupFacts::of(&record)], Timestamp::MAX).pop().flatten();
    match doubt.filter(|doubt| !matches!(doubt, Doubt::Unknown(_))) {
        Some(doubt) => {
            log::warn!("{}: {doubt}: passed over", place.id);
            true
        }
        None => false,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: StorageError) -> AskError {
    AskError::Repository(error.to_string())
}

/// Between 0.1 and 1.1, another number each time. The keys of a new state are the system's random numbers.
fn random_part() -> f64 {
    let number = RandomState::new().build_hasher().finish();
    0.1 + f64::from(u32::try_from(number & 0xffff).unwrap_or_default()) / 65_536.0
}

#[cfg(test)]
#[path = "election_tests.rs"]
mod tests;
