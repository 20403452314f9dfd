//! The right of `run` to have a server step aside: one at a time in a cluster, by the lease that `backup` takes for timers.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::CommandError;
use super::run_command::{Run, Work};
use super::run_told::{tell_waiting, warn};
use crate::lease::{self, Lease, LeaseKind, Others, holder};
use crate::model::Manifest;
use crate::storage::Storage;
use crate::trigger::{AskDecision, AskError, AskLock, BackupPlace, Election, Event, Pace};

/// Between two signs of life of a lease, and after which time without one it is dead; those of `backup`.
const BEAT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(60);
/// How long a member that is a donor may take until the repository shows what for.
const FIRST_SIGN: Duration = Duration::from_secs(15);

/// The right, for as long as it lives.
pub(super) enum RunTurn {
    /// By a lease, where the repository takes one.
    Lease(Option<Lease>),
    /// Elected of several with the same timer.
    Elected(AskLock),
}

impl RunTurn {
    /// The name of its object in the repository.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Lease(lease) => lease.as_ref().map(Lease::name),
            Self::Elected(lock) => lock.name(),
        }
    }
}

/// Whether it is this process's turn.
pub(super) enum RunDecision {
    Ours(RunTurn),
    /// There is a backup that is young enough.
    Recent(BackupPlace, Box<Manifest>),
}

/// What decides about a turn.
pub(super) struct TurnTaker<'a> {
    pub(super) run: &'a Run<'a>,
    pub(super) storage: &'a Arc<dyn Storage>,
    /// The cluster's folder.
    pub(super) folder: &'a str,
    /// The history of its backups, and how far the server is in it, where that is known.
    pub(super) history: Option<String>,
    pub(super) position: Option<i64>,
}

impl TurnTaker<'_> {
    /// At once, or not at all.
    pub(super) fn lease(&self) -> Result<RunTurn, CommandError> {
        let owner = format!("{} ({})", lease::host(), self.run.shown());
        let lease = match Lease::take(self.storage, LeaseKind::Asking, self.folder, &owner, BEAT) {
            Ok(lease) => lease,
            Err(error) => {
                warn(format!(
                    "{error}; so another node that begins in the same moment cannot know of this run"
                ));
                return Ok(RunTurn::Lease(None));
            }
        };
        for kind in [LeaseKind::Asking, LeaseKind::Freezing] {
            self.nobody_else(kind, lease.name())?;
        }
        Ok(RunTurn::Lease(Some(lease)))
    }

    /// When no other process is at it, and no backup is younger than `limit`.
    pub(super) fn elected(&self, limit: Duration) -> Result<RunDecision, CommandError> {
        match self.election(limit).take_turn(&mut |event| {
            if let Event::Waiting(what) = event {
                tell_waiting(what);
            }
        })? {
            AskDecision::Recent { place, manifest } => Ok(RunDecision::Recent(place, manifest)),
            AskDecision::Ours(lock) => {
                if let Some(name) = lock.name() {
                    self.nobody_else(LeaseKind::Freezing, name)?;
                }
                Ok(RunDecision::Ours(RunTurn::Elected(lock)))
            }
        }
    }

    /// Whether what a member is desynced for is a backup that can be waited for.
    pub(super) fn is_explained(&self, limit: Duration) -> Result<bool, CommandError> {
        Ok(self.election(limit).is_explained(FIRST_SIGN)?)
    }

    fn election(&self, limit: Duration) -> Election<'_> {
        Election {
            storage: self.storage,
            cluster: self.folder.to_owned(),
            history: self.history.clone(),
            position: self.position,
            class: self.run.settings.backup_class(),
            limit,
            clock: Timestamp::now,
            pace: Pace::default(),
            interrupted: &self.run.interrupted,
            deadline: None,
        }
    }

    fn nobody_else(&self, kind: LeaseKind, own: &str) -> Result<(), CommandError> {
        let storage = self.storage.as_ref();
        let others = Others::default().look(storage, kind, self.folder, Some(own), SILENCE)?;
        let Some(other) = others.first() else { return Ok(()) };
        let what = match kind {
            LeaseKind::Asking => "another backup or run is under way",
            LeaseKind::Freezing => "a donor of this cluster stands still",
        };
        let who = holder(storage, other);
        Err(CommandError::Refused(format!("{what} ({who}): nothing was done; try again later")))
    }
}

impl Run<'_> {
    /// The age of `--unless-newer-than`.
    pub(super) fn unless_newer_than(&self) -> Option<Duration> {
        match &self.work {
            Work::Backup(backup) => backup.unless_newer_than,
            Work::Command(_) => None,
        }
    }

    /// There is no need for a backup.
    pub(super) fn has_recent(&mut self, place: BackupPlace, manifest: Box<Manifest>) {
        if let Work::Backup(backup) = &mut self.work {
            backup.recent = Some((place, manifest));
        }
    }
}

impl From<AskError> for CommandError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Repository(text) => Self::Repository(text),
            error => Self::Failed(error.to_string()),
        }
    }
}
