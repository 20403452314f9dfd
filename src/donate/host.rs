//! The donor as the method sees it: a server that is made to stand still by the conversation of a state transfer.
//!
//! Before the freeze comes the donor's turn among the members of its cluster, then the look for sessions that hold its lock; while it lasts, the
//! cluster and the room for write sets are watched. Whichever way the freeze ends, the turn is given back behind it.

use std::io;
use std::time::Instant;

use super::blockers::Way;
use super::error::DonateError;
use super::freeze_turn::Turn;
use crate::capture::{CaptureError, CaptureListener, Host, HostError, Login, Room, Watch};
use crate::job::{Job, Reporter};
use crate::model::{BackupState, WsrepGtid};
use crate::quiesce::{Limits, Quiescer, Quiet, Resumed};

/// Lends a method the server.
pub(super) struct Donor<'a> {
    pub(super) job: &'a Job,
    pub(super) watch: &'a Watch,
    pub(super) reporter: &'a Reporter,
    pub(super) login: Login,
    /// The server's number of our session; none where it does not answer.
    pub(super) session: Option<u32>,
    /// What can be asked once.
    pub(super) quiescer: Option<Box<dyn Quiescer>>,
    /// Where the server's write sets wait while nothing is applied.
    room: Option<Room>,
    way: Option<Way>,
    /// Given back when the freeze is over, however that was: the method drops what is frozen before.
    turn: Option<Turn<'a>>,
    /// What the freeze has shown.
    warnings: Vec<String>,
}

impl<'a> Donor<'a> {
    /// Of a server that runs.
    pub(super) fn new(
        job: &'a Job,
        watch: &'a Watch,
        reporter: &'a Reporter,
        (login, session): (Login, Option<u32>),
        quiescer: Box<dyn Quiescer>,
        room: Room,
    ) -> Self {
        let (quiescer, room) = (Some(quiescer), Some(room));
        Self {
            job,
            watch,
            reporter,
            login,
            session,
            quiescer,
            room,
            way: None,
            turn: None,
            warnings: Vec::new(),
        }
    }

    /// Adds what the freeze has shown to what is known already.
    pub(super) fn warn(self, known: &mut Vec<String>) {
        let new: Vec<String> = self.warnings.into_iter().filter(|warning| !known.contains(warning)).collect();
        known.extend(new);
    }

    fn freeze(&mut self) -> Result<Box<dyn Quiet>, DonateError> {
        let quiescer = self.quiescer()?;
        let (watch, settings) = (self.watch, &self.job.settings);
        let mut turn = Turn::take(self.job, self.login.clone(), watch)?;
        let way = Way::clear(self.job, self.session, self.login.clone(), watch)?;
        turn.is_still_ours(watch)?;
        self.turn = Some(turn);
        self.reporter.state(BackupState::Freezing);
        let limits = Limits { timeout: settings.flush_timeout, wanted: &|| watch.wanted() };
        let quiet = quiescer.quiesce(&limits).map_err(|error| way.explain(error, watch))?;
        self.way = Some(way);
        self.limit(quiet.asked())?;
        self.reporter.frozen(quiet.position(), quiet.asked());
        log::info!(
            "the server is frozen at {} (flush took {} ms)",
            quiet.position().map(WsrepGtid::to_string).unwrap_or_default(),
            quiet.flush_time().as_millis()
        );
        Ok(quiet)
    }

    fn quiescer(&mut self) -> Result<Box<dyn Quiescer>, DonateError> {
        self.quiescer.take().ok_or_else(|| {
            let cause = io::Error::other("a state transfer can do so once");
            DonateError::System("cannot freeze the server", cause)
        })
    }

    /// What holds from that moment on, until the server runs again.
    fn limit(&mut self, since: Instant) -> Result<(), DonateError> {
        self.watch.limit_freeze(since, self.job.settings.freeze_timeout);
        let Some(room) = self.room.take() else { return Ok(()) };
        self.watch
            .limit_room(room)
            .map_err(|cause| DonateError::System("cannot watch the server's room", cause))
    }

    fn thaw(&mut self, quiet: Box<dyn Quiet>) -> Result<Resumed, DonateError> {
        let resumed = quiet.resume().map_err(|quiet| {
            // Only the watch can have been first, and it says why.
            let reason = self.watch.aborted();
            drop(quiet);
            reason.map_or_else(
                || {
                    let cause = io::Error::other("the server was thawed too early");
                    DonateError::System("the copy is not of one moment", cause)
                },
                DonateError::from,
            )
        })?;
        self.watch.lift_limit();
        self.warnings.extend(self.way.take().into_iter().flat_map(Way::end));
        self.turn = None;
        self.job.lower_priority();
        log::info!("the server runs again: it was frozen for {} ms", resumed.frozen.as_millis());
        self.reporter.thawed(resumed.frozen);
        Ok(resumed)
    }
}

impl Host for Donor<'_> {
    /// The turn is given back at once: other donors would wait for it while this one reads.
    fn clear_way(&mut self) -> Result<(), HostError> {
        let turn = Turn::take(self.job, self.login.clone(), self.watch)?;
        Way::wait(self.job, self.session, self.login.clone(), self.watch)?;
        drop(turn);
        Ok(())
    }

    fn quiesce(&mut self) -> Result<Box<dyn Quiet>, HostError> {
        Ok(self.freeze()?)
    }

    fn listener(&self) -> &dyn CaptureListener {
        self.reporter
    }

    fn holds_up(&mut self, since: Instant) -> Result<(), HostError> {
        Ok(self.limit(since)?)
    }

    fn pass(&mut self, gtid: Option<&WsrepGtid>) -> Result<Resumed, HostError> {
        let quiescer = self.quiescer()?;
        let gtid = gtid.ok_or(CaptureError::NoPosition).map_err(DonateError::from)?;
        self.job.lower_priority();
        Ok(quiescer.pass(gtid).map_err(DonateError::Freeze)?)
    }

    fn resume(&mut self, quiet: Box<dyn Quiet>) -> Result<Resumed, HostError> {
        Ok(self.thaw(quiet)?)
    }
}
