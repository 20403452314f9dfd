//! One backup, from what is known beforehand to its manifest.

use super::error::SelfBackupError;
use super::host::RunningServer;
use super::locked::{LateRelease, LockedServer};
use super::order::{BackupOrder, OwnPosition};
use crate::capture::{
    self, CaptureError, Captured, Choice, Facts, Host, Login, Plan, PrecopySettings, Room, ServerLayout,
    StandingReplica, Task, Watch,
};
use crate::job::{Claim, Job, Metrics, Reporter, check_room, choose_method, claim_folder, conclude, publish};
use crate::model::{Connection, Content, Manifest, PassedMethod};
use crate::output::Label;
use crate::quiesce::Files;
use crate::throttle::Limiter;
use crate::volume_snapshot::SnapshotCommands;

/// A backup that is there.
#[derive(Debug)]
pub struct SelfMade {
    /// The cluster's folder.
    pub folder: String,
    /// Its manifest.
    pub manifest: Box<Manifest>,
}

/// What is known before the server steps aside.
pub(super) struct Prepared {
    order: BackupOrder,
    facts: Facts,
    layout: ServerLayout,
    plan: Plan,
    expected: capture::FileList,
    choice: Choice,
    room: Room,
}

impl Prepared {
    /// Looks at the server, which works as always.
    pub(super) fn look(order: BackupOrder) -> Result<Self, SelfBackupError> {
        let mut facts = capture::gather(&order.server, &order.files, &order.login);
        if facts.sql.is_none() {
            return Err(SelfBackupError::Silent);
        }
        let layout = ServerLayout::new(&order.server, &facts)?;
        let settings = &order.settings;
        let (plan, expected) = Plan::make(&layout, &mut facts, settings.binlogs, settings.allow_rocksdb)?;
        let offered = offered(order.lock.is_some());
        let choice = choose_method(settings, offered, &layout, (&plan, &expected), &[])?;
        let room = Room::new(&facts, &layout);
        for why in &choice.passed {
            log::info!("not taken: {why}");
        }
        Ok(Self { order, facts, layout, plan, expected, choice, room })
    }

    /// The method that is taken.
    pub(super) fn method(&self) -> &'static str {
        self.choice.method.name()
    }

    /// Takes the backup. `captured` hears when nothing is read from the server any more.
    pub(super) fn take(
        self,
        watch: &Watch,
        metrics: &Metrics,
        release: &LateRelease,
        captured: &dyn Fn(),
    ) -> Result<SelfMade, SelfBackupError> {
        let Self { order, facts, layout, plan, expected, choice, room } = self;
        let BackupOrder { settings, folder, cluster, node, position, login, lock, .. } = order;
        let label = Label { cluster, node, request: None, asked: None, started: metrics.started() };
        // The folder comes first of all that can fail from here on, so that a failure reaches the repository.
        let job = claim_folder(Claim { folder: folder.clone(), label }, settings, watch)?;
        let reporter = Reporter::start(&job, watch.counter());
        let run = Taking { job: &job, watch, reporter: &reporter, own: &position, captured };
        let (job_of, reporter_of, own) = (&job, &reporter, &position);
        let running = RunningServer { job: job_of, watch, reporter: reporter_of, own };
        let offered = offered(lock.is_some());
        let locked = LockedServer {
            job: job_of,
            watch,
            reporter: reporter_of,
            own,
            lock,
            reads_on: choice.method.content() != Content::Datadir,
            release,
            room: Some(room),
            captured,
        };
        let mut hosts = Hosts { running, locked };
        let outcome = run.all(facts, &layout, (plan, expected, choice), offered, &login, &mut hosts);
        let failure = outcome.as_ref().map_err(SelfBackupError::failure);
        conclude(&job, &reporter, metrics, watch, failure.as_ref().copied());
        outcome.map(|manifest| SelfMade { folder, manifest: Box::new(manifest) })
    }
}

/// What the server's files can be made worth, the best first: a method that can read a server as it runs does not lock it.
fn offered(can_be_locked: bool) -> &'static [Files] {
    if can_be_locked { &[Files::Changing, Files::Crashed] } else { &[Files::Changing] }
}

/// The server as the method of a choice sees it.
struct Hosts<'a> {
    running: RunningServer<'a>,
    locked: LockedServer<'a>,
}

impl Hosts<'_> {
    fn of(&mut self, choice: &Choice) -> &mut dyn Host {
        if choice.files == Files::Changing { &mut self.running } else { &mut self.locked }
    }
}

/// A run that has its folder.
struct Taking<'a> {
    job: &'a Job,
    watch: &'a Watch,
    reporter: &'a Reporter,
    own: &'a OwnPosition,
    captured: &'a dyn Fn(),
}

impl<'a> Taking<'a> {
    /// Where nobody has asked for a method by its name, one that gives up before anything is stored leaves the backup to the next one.
    fn all(
        &self,
        mut facts: Facts,
        layout: &ServerLayout,
        (mut plan, mut expected, mut choice): (Plan, capture::FileList, Choice),
        offered: &[Files],
        login: &Login,
        hosts: &mut Hosts<'_>,
    ) -> Result<Manifest, SelfBackupError> {
        let Self { job, watch, reporter, own, .. } = *self;
        let settings = &job.settings;
        let is_replica = *own == OwnPosition::Alone { is_replica: true };
        let before = is_replica.then(|| standing(login)).transpose()?;
        let (mut given_up, warned) = (Vec::new(), facts.warnings.len());
        let mut captured = loop {
            let host = hosts.of(&choice);
            match self.attempt(&mut facts, layout, (plan, &expected, &choice), before.clone(), login, host)? {
                Ok(captured) => break captured,
                Err(error) if choice.is_automatic && error.gives_way(host.may_quiesce_again()) => {
                    log::warn!("the method {} gives up: {error}", choice.method.name());
                    let method = choice.method.name().to_owned();
                    given_up.push(PassedMethod { method, why: Some(error.to_string()) });
                }
                Err(error) => {
                    // Threads that still store blocks of a backup that has failed do not wait for the limit of the rate.
                    watch.lift_rate();
                    return Err(error.into());
                }
            }
            // The server runs again, and what is told of its files is told of the next look at them.
            watch.lift_limit();
            facts.warnings.truncate(warned);
            (plan, expected) = Plan::make(layout, &mut facts, settings.binlogs, settings.allow_rocksdb)?;
            choice = choose_method(settings, offered, layout, (&plan, &expected), &given_up)?;
            hosts.locked.reads_on = choice.method.content() != Content::Datadir;
        };
        if let Some(before) = before {
            admit_replica(&mut captured, &before, standing(login).ok(), &mut facts.warnings);
        }
        watch.server_may_end();
        (self.captured)();
        let (manifest, _) = publish(job, captured, &choice, facts.warnings, watch, reporter)
            .inspect_err(|_| watch.lift_rate())?;
        Ok(manifest)
    }

    /// One try, by a method that has not given up.
    fn attempt(
        &self,
        facts: &mut Facts,
        layout: &ServerLayout,
        (plan, expected, choice): (Plan, &capture::FileList, &Choice),
        replica: Option<StandingReplica>,
        login: &Login,
        host: &mut dyn Host,
    ) -> Result<Result<Captured<'a>, CaptureError>, SelfBackupError> {
        let Self { job, watch, own, .. } = *self;
        let method = choice.method;
        log::info!(
            "backup {} of node '{}' by {} to '{}'",
            job.destination.id,
            job.label().node,
            method.name(),
            job.destination.storage.location()
        );
        check_room(job, expected)?;
        let output = job
            .destination
            .open(method.content(), expected.entries.len(), expected.bytes)
            .map_err(crate::job::JobError::from)?;
        let limiter: &Limiter = &job.throttle.data;
        let task = Task {
            layout,
            facts,
            plan,
            output,
            watch,
            limiter,
            host,
            login: login.clone(),
            stall_timeout: job.settings.stall_timeout,
            expected_bytes: expected.bytes,
            is_node: matches!(own, OwnPosition::Node { .. }),
            dump: &job.settings.dump,
            replica,
            is_automatic: choice.is_automatic,
            precopy: PrecopySettings::of(&job.settings),
            snapshot: (job.destination.id.to_string(), SnapshotCommands::of(&job.settings)),
        };
        Ok(method.capture(task))
    }
}

/// A replica of which nothing is applied now.
fn standing(login: &Login) -> Result<StandingReplica, SelfBackupError> {
    let ask = || {
        let mut session = login.connect()?;
        let connections = session.replica_status()?.into_iter().map(|status| status.connection).collect();
        Ok(StandingReplica { connections, slave_pos: session.mariadb_gtid()?.slave_pos })
    };
    ask().map_err(SelfBackupError::Replica)
}

/// Somebody else may have started a thread meanwhile: then nobody knows how far the replica had come at the position of the backup.
fn admit_replica(
    captured: &mut Captured<'_>,
    before: &StandingReplica,
    after: Option<StandingReplica>,
    warnings: &mut Vec<String>,
) {
    let has_stood = after.is_some_and(|after| {
        let applied = |replica: &StandingReplica| -> Vec<_> {
            let of = |one: &Connection| (one.name.clone(), one.log_file.clone(), one.log_pos);
            replica.connections.iter().map(of).collect()
        };
        after.slave_pos == before.slave_pos && applied(&after) == applied(before)
    });
    if !has_stood {
        captured.identity.replication = None;
        captured.identity.mariadb_gtid.slave_pos = None;
        warnings.push(
            "from where on this server replicated is not in this backup: something was applied while it was read, although its SQL threads \
             had been stopped"
                .into(),
        );
    }
}
