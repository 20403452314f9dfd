//! `run`: a command on this node while the node is desynced, which comes back for certain.
//!
//! The command has our stdin, stdout and stderr, and its exit status is ours: 126 and 127 as in a shell, 128 and the signal where one has
//! ended it. Its environment has `MYSQL_UNIX_PORT` and `WSREP_RUN_SOCKET` (the server's socket), `WSREP_RUN_DATADIR` and `WSREP_RUN_NODE`.
//! Where the node could not be desynced the command is not started, and where it could not be let in again the status is 1.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;

use super::run_told::{leftover_told, resynced_told, warn};
use super::{CommandError, CommonArgs, Context};
use crate::capture::free_space;
use crate::cluster::{Access, NodeReport, Survey};
use crate::config::{Flag, ServerOptions, flag};
use crate::desync::{
    DesyncError, DesyncLeft, DesyncRecord, DesyncRefusal, Desynced, LocalNode, ResyncPatience, ResyncStep,
    Resynced, Vigil, VigilLimits, end_leftover, judge, judge_again,
};
use crate::guard::GuardedCommand;
use crate::lease::{self, Lease, LeaseKind, Others, holder};
use crate::model::{DEFAULT_PAGE, PROVIDER_OPTIONS, provider_option, provider_size, safe_component};
use crate::ui::{LiveLines, duration_ms, grouped};

const MEMBERS: Flag = flag("members", "run");
const RESYNC_TIMEOUT: Flag = flag("resync-timeout", "run");
const QUEUE_LIMIT: Flag = flag("queue-limit", "run");

/// Between two looks at the command.
const POLL: Duration = Duration::from_millis(100);
/// Between two signs of life of a lease, and after which time without one it is dead; those of `backup`.
const BEAT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(60);

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Although another member is desynced, or no other Synced node is left for clients
    #[arg(long)]
    force: bool,
    /// Only end what a run that was killed has left, for the stop hook of a service
    #[arg(long, conflicts_with_all = ["force", "command"])]
    resync: bool,
    #[arg(long, value_name = RESYNC_TIMEOUT.value, help = RESYNC_TIMEOUT.help)]
    resync_timeout: Option<String>,
    #[arg(long, value_name = QUEUE_LIMIT.value, help = QUEUE_LIMIT.help)]
    queue_limit: Option<String>,
    #[arg(long, value_name = MEMBERS.value, help = MEMBERS.help)]
    members: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
    /// The command and its arguments, behind '--'
    #[arg(last = true, required_unless_present = "resync", value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// What a run works with.
struct Run<'a> {
    args: &'a RunArgs,
    context: Context,
    access: Access,
    socket: PathBuf,
    interrupted: Arc<AtomicBool>,
}

/// Runs `run`.
pub fn run(args: &RunArgs) -> Result<(), CommandError> {
    let set = |flags: &mut crate::config::SettingsOverrides| {
        flags.set(MEMBERS, args.members.as_deref());
        flags.set(RESYNC_TIMEOUT, args.resync_timeout.as_deref());
        flags.set(QUEUE_LIMIT, args.queue_limit.as_deref());
    };
    let (files, settings) = args.common.resolve(set)?;
    for warning in files.warnings().iter().chain(&settings.warnings) {
        log::warn!("{warning}");
    }
    let server = ServerOptions::from(&files, &[], None);
    let access = Access::new(&settings, &server, crate::users::user_name(nix::unistd::geteuid().as_raw()));
    let socket = access.socket.clone().ok_or_else(|| {
        CommandError::Failed("no socket of a server was found here: name it with the setting 'socket'".into())
    })?;
    let interrupted = interruption();
    let resync_timeout = settings.resync_timeout;
    let mut node = LocalNode::new(access.clone(), socket.clone());
    let found = end_left(&mut node, resync_timeout, &interrupted)?;
    if let DesyncLeft::Running(_) = found {
        return Err(CommandError::Failed(leftover_told(&found).unwrap_or_default()));
    }
    let dead = found.dead_lease();
    if args.resync && dead.is_none() {
        return Ok(());
    }
    let context = Context::open(settings)?;
    if let Some(lease) = dead {
        lease::take_away_dead(context.storage.as_ref(), lease);
    }
    if args.resync {
        return Ok(());
    }
    Run { args, context, access, socket, interrupted }.desynced(node)
}

/// What a run that has died has left here.
fn end_left(
    node: &mut LocalNode,
    drain: Duration,
    interrupted: &AtomicBool,
) -> Result<DesyncLeft, CommandError> {
    let mut patience =
        ResyncPatience { drain, at_once: &|| interrupted.load(Ordering::Relaxed), tell: &mut tell_step };
    let found = end_leftover(node, &mut patience)?;
    if let (DesyncLeft::Ended(..), Some(told)) = (&found, leftover_told(&found)) {
        LiveLines::new().line(&told);
    }
    Ok(found)
}

fn tell_step(step: ResyncStep) {
    let ResyncStep::Draining(queue) = step;
    LiveLines::new().line(&format!("{} write sets wait to be applied", grouped(queue)));
}

impl Run<'_> {
    /// From the look at the members to the end of the desync.
    fn desynced(self, node: LocalNode) -> Result<(), CommandError> {
        let survey = Survey::take(&self.access);
        let force = self.args.force;
        judge(&survey, force)?.into_iter().for_each(warn);
        let own = survey.local().ok_or_else(|| CommandError::Failed("the server does not answer".into()))?;
        let name = own.name().to_owned();
        let lease = self.lease(own)?;
        let record = DesyncRecord {
            node: name.clone(),
            server_started: 0,
            since: Timestamp::now(),
            pid: std::process::id(),
            command: shown(&self.args.command),
            lease: lease.as_ref().map(|lease| lease.name().to_owned()),
        };
        if self.is_interrupted() {
            return Err(CommandError::Failed("interrupted; nothing was done".into()));
        }
        let begun = Instant::now();
        let mut desynced = Desynced::begin(node, record)?;
        LiveLines::new().line(&format!("node '{name}' is desynced"));
        if let Err(refusal) = judge_again(&survey.again(&self.access), &name, force) {
            self.end(desynced, &name)?;
            return Err(refusal.into());
        }
        let environment = environment(&self.socket, own);
        let vigil = Vigil::new(self.limits(own), free_space);
        let outcome = self.command(&environment, vigil, &mut desynced);
        LiveLines::new().line(&format!("the command took {}", took(begun.elapsed())));
        // Whatever became of the command.
        let resynced = self.end(desynced, &name);
        let status = outcome?;
        resynced?;
        if status == 0 { Ok(()) } else { Err(CommandError::Status(status)) }
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// The right to do so, for as long as it lives: the one that `backup` takes for timers.
    fn lease(&self, own: &NodeReport) -> Result<Option<Lease>, CommandError> {
        let storage = &self.context.storage;
        let folder = safe_component(self.context.cluster().unwrap_or_else(|| own.group()));
        let owner = format!("{} ({})", lease::host(), shown(&self.args.command));
        let lease = match Lease::take(storage, LeaseKind::Asking, &folder, &owner, BEAT) {
            Ok(lease) => lease,
            Err(error) => {
                warn(format!(
                    "{error}; so another node that begins in the same moment cannot know of this run"
                ));
                return Ok(None);
            }
        };
        for kind in [LeaseKind::Asking, LeaseKind::Freezing] {
            let own = Some(lease.name());
            let others = Others::default().look(storage.as_ref(), kind, &folder, own, SILENCE)?;
            if let Some(other) = others.first() {
                let what = match kind {
                    LeaseKind::Asking => "another backup or run is under way",
                    LeaseKind::Freezing => "a donor of this cluster stands still",
                };
                let who = holder(storage.as_ref(), other);
                return Err(CommandError::Failed(format!(
                    "{what} ({who}): nothing was done; try again later"
                )));
            }
        }
        Ok(Some(lease))
    }

    fn limits(&self, own: &NodeReport) -> VigilLimits {
        let options = own.variable(PROVIDER_OPTIONS).unwrap_or_default();
        let datadir = Path::new(own.variable("datadir").unwrap_or("/var/lib/mysql"));
        let folder = datadir.join(provider_option(options, "gcache.dir").unwrap_or_default());
        let page =
            provider_option(options, "gcache.page_size").and_then(provider_size).unwrap_or(DEFAULT_PAGE);
        VigilLimits { queue: self.context.settings.queue_limit, pages: Some((folder, page)) }
    }

    /// The exit status of the command; an error where it could not be run, or was given up.
    fn command(
        &self,
        environment: &[(&str, OsString)],
        mut vigil: Vigil,
        desynced: &mut Desynced,
    ) -> Result<u8, CommandError> {
        let mut command = GuardedCommand::start(&self.args.command, environment)
            .map_err(|error| CommandError::Failed(format!("cannot start the command: {error}")))?;
        let mut given_up = None;
        let status = loop {
            let polled = command.poll();
            if let Some(status) = polled
                .map_err(|error| CommandError::Failed(format!("cannot wait for the command: {error}")))?
            {
                break status;
            }
            if !command.is_ending() {
                let limit = vigil.look(&mut || desynced.load(), &mut warn).err();
                given_up = self.is_interrupted().then(|| "interrupted".to_owned()).or(limit);
                if given_up.is_some() {
                    command.end();
                }
            }
            std::thread::sleep(POLL);
        };
        if vigil.longest > 0 {
            let text = format!("up to {} write sets waited in the receive queue", grouped(vigil.longest));
            LiveLines::new().line(&text);
        }
        match given_up {
            None => Ok(status),
            Some(why) => Err(CommandError::Failed(format!("{why}: the command was ended"))),
        }
    }

    /// Lets the node in: when its queue is empty, or at once where we were asked to end.
    fn end(&self, desynced: Desynced, name: &str) -> Result<(), CommandError> {
        let mut patience = ResyncPatience {
            drain: self.context.settings.resync_timeout,
            at_once: &|| self.is_interrupted(),
            tell: &mut tell_step,
        };
        let resynced = desynced.end(&mut patience)?;
        LiveLines::new().line(&resynced_told(name, &resynced));
        match resynced {
            Resynced::Done { synced: None, .. } => {
                Err(CommandError::Failed(format!("node '{name}' is let in again, and not Synced yet")))
            }
            _ => Ok(()),
        }
    }
}

impl From<DesyncError> for CommandError {
    fn from(error: DesyncError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<DesyncRefusal> for CommandError {
    fn from(refusal: DesyncRefusal) -> Self {
        Self::Failed(format!("{refusal}; the command was not run"))
    }
}

/// What the command is told of the server.
fn environment(socket: &Path, own: &NodeReport) -> Vec<(&'static str, OsString)> {
    vec![
        // What clients of MariaDB and MySQL read by themselves.
        ("MYSQL_UNIX_PORT", socket.into()),
        ("WSREP_RUN_SOCKET", socket.into()),
        ("WSREP_RUN_DATADIR", own.variable("datadir").unwrap_or_default().into()),
        ("WSREP_RUN_NODE", own.name().into()),
    ]
}

/// The program's name: its arguments may have a password among them.
fn shown(command: &[OsString]) -> String {
    let program = command.first().map(Path::new).and_then(Path::file_name);
    program.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn took(time: Duration) -> String {
    duration_ms(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// A flag that Ctrl-C, SIGTERM and SIGHUP set. Unlike that of other commands a second signal does not end the process: it would leave the
/// node desynced.
fn interruption() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        let _ = signal_hook::flag::register(signal, Arc::clone(&flag));
    }
    flag
}
