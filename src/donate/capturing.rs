//! The donor's data is captured by the method that fits; by the next one, where that gives up while there is still time.

use super::error::DonateError;
use super::host::Donor;
use super::pace;
use crate::capture::{
    CaptureError, Captured, Choice, Facts, Host, Login, Plan, PrecopySettings, ServerLayout, Task, Watch,
};
use crate::job::{Job, check_room, choose_method};
use crate::model::PassedMethod;
use crate::quiesce::Files;
use crate::volume_snapshot::SnapshotCommands;

/// A donor that is about to be captured.
pub(super) struct Capturing<'a> {
    pub(super) job: &'a Job,
    pub(super) layout: &'a ServerLayout,
    pub(super) watch: &'a Watch,
    /// How a program is to log in that asks the server itself.
    pub(super) login: Login,
}

impl<'a> Capturing<'a> {
    /// What was captured, and by which method. Where nobody has asked for a method by its name, one that gives up before the server was asked to stand still
    /// leaves the backup to the next one.
    pub(super) fn run(
        &self,
        facts: &mut Facts,
        host: &mut Donor<'_>,
    ) -> Result<(Captured<'a>, Choice), DonateError> {
        let (mut given_up, warned) = (Vec::new(), facts.warnings.len());
        loop {
            // Those of a look that has come to nothing are told by the next one.
            facts.warnings.truncate(warned);
            match self.attempt(facts, host, &given_up)? {
                (choice, Ok(captured)) => return Ok((captured, choice)),
                (choice, Err(error)) if choice.is_automatic && error.gives_way(host.may_quiesce_again()) => {
                    log::warn!("the method {} gives up: {error}", choice.method.name());
                    let method = choice.method.name().to_owned();
                    given_up.push(PassedMethod { method, why: Some(error.to_string()) });
                }
                (_, Err(error)) => return Err(error.into()),
            }
        }
    }

    /// One try, by a method that has not given up.
    fn attempt(
        &self,
        facts: &mut Facts,
        host: &mut Donor<'_>,
        given_up: &[PassedMethod],
    ) -> Result<(Choice, Result<Captured<'a>, CaptureError>), DonateError> {
        let Self { job, layout, watch, .. } = *self;
        let settings = &job.settings;
        let (plan, expected) = Plan::make(layout, facts, settings.binlogs, settings.allow_rocksdb)?;
        let choice = choose_method(settings, &[Files::Clean], layout, (&plan, &expected), given_up)?;
        choice.tell();
        pace::announce(settings, choice.estimate, &expected)?;
        check_room(job, &expected)?;
        let method = choice.method;
        let output = job.destination.open(method.content(), expected.entries.len(), expected.bytes)?;
        let expected_bytes = expected.bytes;
        drop(expected);
        let task = Task {
            layout,
            facts,
            plan,
            output,
            watch,
            limiter: &job.throttle.data,
            host,
            login: self.login.clone(),
            stall_timeout: settings.stall_timeout,
            expected_bytes,
            is_node: true,
            dump: &settings.dump,
            replica: None,
            is_automatic: choice.is_automatic,
            precopy: PrecopySettings::of(settings),
            snapshot: (job.destination.id.to_string(), SnapshotCommands::of(settings)),
        };
        let captured = method.capture(task);
        Ok((choice, captured))
    }
}
