//! `run`: a backup of this server, or a command on it, while it steps aside for that, and comes back for certain: a node of a cluster is
//! desynced, a replica's SQL threads stand.
//!
//! Without a command it is a backup into the repository, without garbd ([`crate::self_backup`]). `--json` tells its outcome as `backup` does: one object with
//! `outcome` (`complete`, `failed`, `refused`, `recent` with `--unless-newer-than`), `id`, `cluster_folder`, `manifest`, `error`, `donor`, `donor_synced`, and
//! `desynced_ms`, for how long the node was desynced. Exit status 0 means that the backup is there and that the server is back.
//!
//! A command has our stdin, stdout and stderr, and its exit status is ours: 126 and 127 as in a shell, 128 and the signal where one has
//! ended it. Its environment has `MYSQL_UNIX_PORT` and `WSREP_RUN_SOCKET` (the server's socket), `WSREP_RUN_DATADIR` and `WSREP_RUN_NODE`.
//! Where the server could not step aside the command is not started, and where it does not come back the status is 1.

use std::ffi::OsString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;

use super::interruption::interruption_only;
use super::run_backup::BackupRun;
use super::run_command::{Run, Work, ended};
use super::run_names::RunNames;
use super::run_node::on_a_node;
use super::run_replica::on_a_replica;
use super::run_told::{leftover_told, tell_step};
use super::{CommandError, CommonArgs, Context};
use crate::cluster::{Access, NodeReport, Survey};
use crate::config::{Flag, ServerOptions, Settings, SettingsOverrides, flag, parse_duration};
use crate::desync::{DesyncLeft, INSIST, LocalNode, ResyncPatience, end_leftover};
use crate::guard;
use crate::lease;
use crate::ui::LiveLines;

const MEMBERS: Flag = flag("members", "run");
const RESYNC_TIMEOUT: Flag = flag("resync-timeout", "run");
const QUEUE_LIMIT: Flag = flag("queue-limit", "run");

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Only if no backup of the cluster is younger than this, e.g. 20h, and none is being made: for timers on several nodes
    #[arg(long, value_name = "AGE", conflicts_with_all = ["resync", "command"])]
    unless_newer_than: Option<String>,
    /// Print JSON for programs, of a backup
    #[arg(long, conflicts_with_all = ["resync", "command"])]
    json: bool,
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
    /// The command and its arguments, behind '--' [default: a backup of this server into the repository]
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Arguments of the guard, which `run` starts: for whom, and what.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// Ask the command to end before it is killed, also when the program that it is guarded for has ended, and when so many seconds are over
    #[arg(long, value_name = "SECONDS")]
    gently: Option<u64>,
    parent: i32,
    #[arg(last = true)]
    command: Vec<OsString>,
}

/// Stands between `run` and its command.
pub fn guard(args: &GuardArgs) -> Result<(), CommandError> {
    let status = guard::guard(args.parent, &args.command, args.gently.map(Duration::from_secs))
        .map_err(|error| CommandError::Failed(format!("cannot start the command: {error}")))?;
    ended(status)
}

/// Runs `run`.
pub fn run(args: &RunArgs) -> Result<(), CommandError> {
    let set = |flags: &mut SettingsOverrides| {
        flags.set(MEMBERS, args.members.as_deref());
        flags.set(RESYNC_TIMEOUT, args.resync_timeout.as_deref());
        flags.set(QUEUE_LIMIT, args.queue_limit.as_deref());
    };
    let unless_newer_than = args
        .unless_newer_than
        .as_deref()
        .map(|text| {
            parse_duration(text).map_err(|why| CommandError::Usage(format!("--unless-newer-than: {why}")))
        })
        .transpose()?;
    let (files, settings) = args.common.resolve(set)?;
    for warning in files.warnings().iter().chain(&settings.warnings) {
        log::warn!("{warning}");
    }
    let is_backup = args.command.is_empty() && !args.resync;
    if is_backup && std::env::args_os().next_back().is_some_and(|last| last == "--") {
        return Err(CommandError::Usage("no command behind '--'; without it 'run' takes a backup".into()));
    }
    let server = ServerOptions::from(&files, &[], None);
    let access = Access::new(&settings, &server, crate::users::user_name(nix::unistd::geteuid().as_raw()));
    let metrics = RunNames::configured(&server, &settings).metrics(&settings);
    let defaults = args.common.server_defaults();
    let mut backup = BackupRun::new(args.json, unless_newer_than, files, defaults, metrics);
    let outcome = step_aside(args, settings, &access, &mut backup);
    if is_backup {
        backup.tell_metrics(&outcome);
        backup.print(outcome)
    } else {
        outcome
    }
}

/// Ends what an earlier run has left; then the work, for which the server steps aside.
fn step_aside(
    args: &RunArgs,
    settings: Settings,
    access: &Access,
    backup: &mut BackupRun,
) -> Result<(), CommandError> {
    let Some(socket) = access.socket.clone() else {
        // Nor is there a note of a run then.
        let text = "no socket of a server was found here";
        if args.resync {
            LiveLines::new().line(&format!("{text}, and nothing that a killed run has left beside one"));
            return Ok(());
        }
        return Err(CommandError::Failed(format!("{text}: name it with the setting 'socket'")));
    };
    let interrupted = interruption_only();
    let resync_timeout = settings.resync_timeout;
    let mut node = LocalNode::new(access.clone(), socket.clone());
    let found = end_left(&mut node, resync_timeout, &interrupted)?;
    if let DesyncLeft::Running(_) = found {
        return Err(CommandError::Failed(leftover_told(&found).unwrap_or_default()));
    }
    if let Some(lease) = found.dead_lease() {
        lease::take_away_dead(&Context::open(settings.clone())?.storage, lease);
    }
    if args.resync {
        if found == DesyncLeft::Nothing && node.is_down() {
            let text = "no server listens at '{}', and no run has left anything there";
            LiveLines::new().line(&text.replace("{}", &socket.display().to_string()));
        }
        return Ok(());
    }
    let survey = Survey::take(access);
    if let Some(own) = survey.local() {
        backup.is_of(own, &settings);
    }
    if let Some(refusal) = survey.local().and_then(half_a_node) {
        return Err(CommandError::Refused(refusal));
    }
    let work = if args.command.is_empty() { Work::Backup(backup) } else { Work::Command(&args.command) };
    let mut run = Run { work, force: args.force, settings, socket, interrupted };
    match survey.local() {
        Some(own) if own.variable("wsrep_on") != Some("ON") => on_a_replica(&mut run, node, access, own),
        _ => on_a_node(&mut run, node, access, &survey),
    }
}

/// Why a server is neither a node that could be desynced nor one by itself: it is in its group, and `wsrep_on` is OFF for whoever asks.
fn half_a_node(own: &NodeReport) -> Option<String> {
    let is_connected = own.provider_version().is_some() && own.status("wsrep_connected") == Some("ON");
    (own.variable("wsrep_on") != Some("ON") && is_connected).then(|| {
        format!(
            "the server '{}' is in a cluster and has wsrep_on=OFF: it applies what the others write, and can neither be desynced nor be taken for a \
             server by itself. SET GLOBAL wsrep_on=ON first, or take it out of the cluster; nothing was done",
            own.name()
        )
    })
}

/// What a run that has died has left here.
fn end_left(
    node: &mut LocalNode,
    drain: Duration,
    interrupted: &AtomicBool,
) -> Result<DesyncLeft, CommandError> {
    let mut patience = ResyncPatience {
        drain,
        insist: INSIST,
        at_once: &|| interrupted.load(Ordering::Relaxed),
        watch: &mut |_| Ok(()),
        tell: &mut tell_step,
    };
    let found = end_leftover(node, &mut patience)?;
    if let (DesyncLeft::Ended(..) | DesyncLeft::Started(..), Some(told)) = (&found, leftover_told(&found)) {
        LiveLines::new().line(&told);
    }
    Ok(found)
}
