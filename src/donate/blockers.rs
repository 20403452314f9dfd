//! No session may hold the freeze's lock when it is asked for: a `flush tables` that waits cannot be taken back.
//!
//! See [`crate::sql::look_for_lock`]. Between that look and mysqld's own request lie milliseconds in which another session may still
//! take a lock; what is said then is the truth: mysqld waits on, and only the end of that session, or
//! `lock_wait_timeout`, ends it.

use std::time::Duration;

use super::error::DonateError;
use super::flow_control::FlowControl;
use crate::capture::{Login, Watch};
use crate::job::Job;
use crate::quiesce::QuiesceError;
use crate::sql::{Availability, LockPatience, look_for_lock};

/// How long the look for the sessions in the way may take.
const LOOK: Duration = Duration::from_secs(2);

/// A way that is clear: the lock was to be had a moment ago, and the cluster is watched.
#[derive(Debug)]
pub(super) struct Way {
    login: Login,
    /// The server's numbers of our own sessions, which hold no lock.
    own: Vec<u32>,
    flow_control: Option<FlowControl>,
}

impl Way {
    /// Waits until it is clear, and watches the cluster from then on.
    pub(super) fn clear(
        job: &Job,
        session: Option<u32>,
        login: Login,
        watch: &Watch,
    ) -> Result<Self, DonateError> {
        let mut way = Self::wait(job, session, login, watch)?;
        if session.is_some() {
            way.flow_control = FlowControl::watch(job, &way.login, watch);
            way.own.extend(way.flow_control.as_ref().map(FlowControl::session));
        }
        Ok(way)
    }

    /// Waits until it is clear, up to `flush-timeout`; the server runs meanwhile, and was not asked for anything. `session` is our
    /// own, where the server answers: one that has not answered is not waited for here.
    pub(super) fn wait(
        job: &Job,
        session: Option<u32>,
        login: Login,
        watch: &Watch,
    ) -> Result<Self, DonateError> {
        let way = Self { login, own: session.into_iter().collect(), flow_control: None };
        if session.is_some() {
            way.look(job, watch)?;
        } else {
            log::info!(
                "without SQL nobody can see who might hold up the freeze, and whether it holds up the cluster"
            );
        }
        Ok(way)
    }

    fn look(&self, job: &Job, watch: &Watch) -> Result<(), DonateError> {
        let settings = &job.settings;
        let limit = settings.flush_timeout.as_secs();
        let patience = LockPatience {
            one_try: settings.lock_timeout,
            all: settings.flush_timeout,
            own: &self.own,
            is_over: &|| watch.aborted().is_some(),
        };
        let connect = |limit| self.login.connect_within(limit);
        let mut tell = |who: &str| {
            log::warn!(
                "the lock of FLUSH TABLES WITH READ LOCK is not to be had: {who}; waiting up to {limit} s (flush-timeout) before mysqld is \
                 asked for it, so that it does not hold up everybody's writes"
            );
        };
        let mut looked = Availability::GivenUp;
        watch.patiently(|_| looked = look_for_lock(&connect, false, &patience, &mut tell));
        match looked {
            Availability::Free => Ok(()),
            Availability::Blocked(who) => Err(DonateError::Blocked { who, waited: settings.flush_timeout }),
            Availability::Unknown(why) => {
                log::info!("who might hold up the freeze was not looked for: {why}");
                Ok(())
            }
            Availability::GivenUp => watch.aborted().map_or(Ok(()), |abort| Err(abort.into())),
        }
    }

    /// A freeze that did not come: with what can be seen of the reason.
    pub(super) fn explain(&self, error: QuiesceError, watch: &Watch) -> DonateError {
        match (&error, watch.aborted()) {
            (QuiesceError::Timeout(_), _) => {}
            (QuiesceError::GivenUp, Some(abort)) => return abort.into(),
            _ => return error.into(),
        }
        let seen = self.login.connect_within(LOOK).and_then(|mut session| {
            let waits = session.variables(&["lock_wait_timeout"])?.remove("lock_wait_timeout");
            let waits =
                waits.map_or_else(String::new, |seconds| format!("; lock_wait_timeout is {seconds} s"));
            Ok(format!("{}{waits}", session.who_blocks(&self.own)))
        });
        DonateError::StillBlocked(error, seen.unwrap_or_else(|why| format!("who it is is not known: {why}")))
    }

    /// The freeze is over; what is to be told of it.
    pub(super) fn end(self) -> Vec<String> {
        self.flow_control.map(FlowControl::end).unwrap_or_default()
    }
}
