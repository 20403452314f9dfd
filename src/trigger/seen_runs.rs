//! What a waiting process has seen of the backups and runs of a repository, from one look to the next.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use super::follow::BackupPlace;
use crate::model::{BackupId, BackupState, Status};

/// A status that is older than this by the machines' clocks is no work in progress, however they differ.
const LONG_AGO: SignedDuration = SignedDuration::from_hours(1);

/// What was seen at earlier looks.
#[derive(Default)]
pub(super) struct SeenRuns {
    /// Runs, and since when each has said nothing new.
    said: HashMap<BackupId, (Status, Instant)>,
    /// The newest complete backup of the first look.
    old: Option<BackupId>,
    has_begun: bool,
    /// Complete backups of the first look that may be ahead of the members.
    was_there: HashSet<BackupId>,
    /// The first look comes long after the members were asked.
    is_late: bool,
    /// What was told already.
    told: HashSet<String>,
}

impl SeenRuns {
    /// For one who looks for the first time long after the members were asked.
    pub(super) fn of_late() -> Self {
        Self { is_late: true, ..Self::default() }
    }

    /// Warns once of each thing.
    pub(super) fn tell(&mut self, what: &str) {
        if self.told.insert(what.to_owned()) {
            log::warn!("{what}");
        }
    }

    /// The first look is over.
    pub(super) fn begin(&mut self) {
        self.has_begun = true;
    }

    /// Whether it was there at the first look, just after the members were asked.
    pub(super) fn was_there(&mut self, id: &BackupId) -> bool {
        if !self.has_begun && !self.is_late {
            self.was_there.insert(id.clone());
        }
        self.was_there.contains(id)
    }

    /// Whether the newest complete backup was not there at the first look.
    pub(super) fn is_new(&mut self, id: &BackupId) -> bool {
        if !self.has_begun {
            self.old = Some(id.clone());
        }
        self.old.as_ref() != Some(id)
    }

    pub(super) fn is_alive(
        &mut self,
        place: &BackupPlace,
        status: &Status,
        now: Timestamp,
        silence: Duration,
    ) -> bool {
        if matches!(status.state, BackupState::Done | BackupState::Failed)
            || now.duration_since(status.updated) > LONG_AGO
        {
            return false;
        }
        let (last, since) =
            self.said.entry(place.id.clone()).or_insert_with(|| (status.clone(), Instant::now()));
        if last != status {
            (*last, *since) = (status.clone(), Instant::now());
        }
        since.elapsed() < status.patience(silence)
    }
}
