//! The server as the method sees it where it is locked by SQL for a moment ([`crate::lock`]).

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::error::SelfBackupError;
use super::order::OwnPosition;
use crate::capture::{CaptureError, CaptureListener, Host, HostError, Room, Watch};
use crate::job::{Job, Reporter};
use crate::lock::SqlLock;
use crate::model::{BackupState, WsrepGtid};
use crate::quiesce::{Limits, QuiesceError, Quiescer, Quiet, Release, Resumed};

/// The lock, as the watch knows it: from the moment on in which there is one to give back.
#[derive(Debug, Default)]
pub(super) struct LateRelease(Mutex<Option<Arc<dyn Release>>>);

impl LateRelease {
    fn of(&self, release: Arc<dyn Release>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(release);
    }
}

impl Release for LateRelease {
    fn release(&self) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        known.is_some_and(|release| release.release())
    }
}

/// Lends a method the server.
pub(super) struct LockedServer<'a> {
    pub(super) job: &'a Job,
    pub(super) watch: &'a Watch,
    pub(super) reporter: &'a Reporter,
    pub(super) own: &'a OwnPosition,
    /// Each can be taken once.
    pub(super) lock: Option<SqlLock>,
    /// The method reads from the server when it runs again.
    pub(super) reads_on: bool,
    pub(super) release: &'a LateRelease,
    /// Where the server's write sets wait while nothing is applied.
    pub(super) room: Option<Room>,
    /// Hears when nothing is read from the server any more.
    pub(super) captured: &'a dyn Fn(),
}

impl LockedServer<'_> {
    fn lock(&mut self) -> Result<Box<dyn Quiet>, SelfBackupError> {
        let Self { watch, reporter, .. } = *self;
        let settings = &self.job.settings;
        let lock = self.lock.take().ok_or(SelfBackupError::NotBegun)?;
        self.lock = Some(lock.another());
        self.release.of(lock.release());
        reporter.state(BackupState::Freezing);
        let limits = Limits { timeout: settings.flush_timeout, wanted: &|| watch.wanted() };
        let quiet = Box::new(lock).quiesce(&limits).map_err(|error| match (error, watch.aborted()) {
            (QuiesceError::GivenUp, Some(abort)) => SelfBackupError::Capture(abort.into()),
            (error, _) => SelfBackupError::Lock(error),
        })?;
        self.own.admit(quiet.position())?;
        watch.limit_freeze(quiet.asked(), settings.freeze_timeout);
        if let Some(room) = self.room.take() {
            watch
                .limit_room(room)
                .map_err(|cause| SelfBackupError::System("cannot watch the server's room", cause))?;
        }
        reporter.frozen(quiet.position(), quiet.asked());
        let at = quiet.position().map_or_else(String::new, |gtid| format!(" at {gtid}"));
        log::info!("the server is locked{at} (that took {} ms)", quiet.flush_time().as_millis());
        Ok(quiet)
    }

    fn unlock(&self, quiet: Box<dyn Quiet>) -> Result<Resumed, SelfBackupError> {
        let resumed = quiet.resume().map_err(|quiet| {
            let reason = self.watch.aborted();
            drop(quiet);
            reason.map_or(SelfBackupError::Unlocked, |abort| SelfBackupError::Capture(abort.into()))
        })?;
        self.watch.lift_limit();
        if !self.reads_on {
            // The clones are our own.
            self.watch.server_may_end();
        }
        self.job.lower_priority();
        log::info!("the server runs again: it was locked for {} ms", resumed.frozen.as_millis());
        self.reporter.thawed(resumed.frozen);
        if !self.reads_on {
            (self.captured)();
        }
        Ok(resumed)
    }
}

impl Host for LockedServer<'_> {
    fn quiesce(&mut self) -> Result<Box<dyn Quiet>, HostError> {
        Ok(self.lock()?)
    }

    fn listener(&self) -> &dyn CaptureListener {
        self.reporter
    }

    fn holds_up(&mut self, since: Instant) -> Result<(), HostError> {
        self.watch.limit_freeze(since, self.job.settings.freeze_timeout);
        Ok(())
    }

    fn may_quiesce_again(&self) -> bool {
        self.lock.is_some()
    }

    fn pass(&mut self, _: Option<&WsrepGtid>) -> Result<Resumed, HostError> {
        Err(SelfBackupError::Capture(CaptureError::NoPosition).into())
    }

    fn resume(&mut self, quiet: Box<dyn Quiet>) -> Result<Resumed, HostError> {
        Ok(self.unlock(quiet)?)
    }
}
