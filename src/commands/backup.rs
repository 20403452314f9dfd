//! `backup`: asks a donor for a backup and follows it to its end.
//!
//! `--json` gives one object: `request`, `outcome` (`complete`, `failed`, `refused`, `asked` with `--no-wait`, `left` when
//! the time is over, it was interrupted, or nobody can tell whether a backup will come of it, `recent` with
//! `--unless-newer-than`), `donor`, `attempts`, `id`, `cluster_folder`, `manifest`, `error`, `donor_synced` (true, false, or
//! null where it is not known), `synced_after_ms`, `warnings`. Exit status 0 means a backup whose manifest was read back, or
//! with `--no-wait` a request that a donor has taken.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use jiff::Timestamp;

use super::backup_shown::BackupOutput;
use super::{CommandError, CommonArgs, Context, interruption, usage};
use crate::cluster::{Access, Coordinates, Survey};
use crate::config::{Flag, OptionFiles, ServerOptions, flag, parse_duration};
use crate::model::{HostPort, safe_component};
use crate::trigger::{
    AskDecision, AskError, DonorChoice, DonorWish, Election, Flushes, Follower, GarbdCall, GarbdCallArgs,
    LockableDonors, Pace, Refusal, RequestId, RequestOutcome, Traffic, Watching, ask, blocked, desyncs, plan,
    watch, when_calm,
};

/// How long a member that is a donor may take until the repository shows what for.
const FIRST_SIGN: Duration = Duration::from_secs(15);

const MEMBERS: Flag = flag("members", "backup");

/// Arguments of `backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Donors in order of preference (wsrep_node_name) [default: a Synced node that clients do not write to]
    #[arg(long, value_name = "NODE,...", value_delimiter = ',')]
    donor: Vec<String>,
    /// Give up following after this time, e.g. 90m; the backup goes on [default: as long as it lives]
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Only if no backup of the cluster is younger than this, e.g. 20h, and none is being made: for timers on several nodes
    #[arg(long, value_name = "AGE", conflicts_with_all = ["no_wait", "follow"])]
    unless_newer_than: Option<String>,
    /// Ask and end as soon as a donor has taken the request
    #[arg(long, conflicts_with = "follow")]
    no_wait: bool,
    /// Follow an earlier request instead of asking
    #[arg(long, value_name = "REQUEST", conflicts_with_all = ["donor", "force", "address", "provider_options", "garbd", "listen"])]
    follow: Option<String>,
    /// Ask although another member is desynced, the cluster is not Primary, no other Synced node is left for clients, or the
    /// donor stops the writes of the cluster (gcs.sync_donor)
    #[arg(long)]
    force: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    /// Group address of the cluster [default: the server's wsrep_cluster_address]
    #[arg(long, value_name = "gcomm://...", help_heading = "Cluster")]
    address: Option<String>,
    #[arg(long, value_name = MEMBERS.value, help = MEMBERS.help, help_heading = "Cluster")]
    members: Option<String>,
    /// Provider options for garbd, behind those it shares with the members (socket.ssl, evs.suspect_timeout, ...)
    #[arg(long, value_name = "NAME=VALUE;...", help_heading = "Cluster")]
    provider_options: Option<String>,
    /// The garbd program
    #[arg(long, value_name = "PATH", default_value = "garbd", help_heading = "Cluster")]
    garbd: PathBuf,
    /// Where garbd listens, HOST or HOST:PORT [default: the address from which the cluster is reached, a free port]
    #[arg(long, value_name = "HOST:PORT", help_heading = "Cluster")]
    listen: Option<String>,
    #[command(flatten)]
    common: CommonArgs,
}

/// The request before garbd is started: settings, members, donors.
struct PreparedRequest {
    context: Context,
    files: OptionFiles,
    deadline: Option<Instant>,
    interrupted: Arc<AtomicBool>,
}

impl PreparedRequest {
    /// Why the wait is over.
    fn is_over(&self) -> Option<&'static str> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Some("interrupted");
        }
        self.deadline.filter(|deadline| Instant::now() >= *deadline).map(|_| "--timeout is over")
    }
}

/// Runs `backup`.
pub fn run(args: &BackupArgs) -> Result<(), CommandError> {
    let timeout = args.timeout.as_deref().map(|text| usage("--timeout", parse_duration(text))).transpose()?;
    let unless_newer_than = args
        .unless_newer_than
        .as_deref()
        .map(|text| usage("--unless-newer-than", parse_duration(text)))
        .transpose()?;
    let listen =
        args.listen.as_deref().map(|text| usage("--listen", text.parse::<HostPort>())).transpose()?;
    let follow =
        args.follow.as_deref().map(|text| usage("--follow", text.parse::<RequestId>())).transpose()?;
    let (mut context, files) =
        args.common.context_with(|flags| flags.set(MEMBERS, args.members.as_deref()))?;
    let interrupted = interruption();
    context.interruptible(&interrupted);
    let prepared = PreparedRequest {
        context,
        files,
        deadline: timeout.map(|timeout: Duration| Instant::now() + timeout),
        interrupted,
    };
    let mut shown = BackupOutput::new(args.json);
    let done = match follow {
        Some(request) => follow_earlier(&prepared, &request, &mut shown),
        None => match unless_newer_than {
            Some(limit) => ask_in_turn(args, listen.as_ref(), limit, &prepared, &mut shown),
            None => ask_and_follow(args, listen, &prepared, &mut shown),
        },
    };
    shown.print(done)
}

fn follow_earlier(
    prepared: &PreparedRequest,
    request: &RequestId,
    shown: &mut BackupOutput,
) -> Result<(), AskError> {
    shown.request = Some(request.clone());
    let storage = &prepared.context.storage;
    let mut follower = Follower::new(storage.as_ref(), request.as_str());
    let (access, survey) = look_around(prepared);
    let watching = Watching {
        storage,
        access: &access,
        donor: None,
        survey: &survey,
        flushes: Flushes::default(),
        interrupted: &prepared.interrupted,
        deadline: prepared.deadline,
    };
    shown.outcome = Some(watch(&watching, &mut follower, &mut |event| shown.teller.tell(event))?);
    Ok(())
}

/// Who is in the cluster, and how to ask them.
fn look_around(prepared: &PreparedRequest) -> (Access, Survey) {
    let server = ServerOptions::from(&prepared.files, &[], None);
    let user = crate::users::user_name(nix::unistd::geteuid().as_raw());
    let access = Access::new(&prepared.context.settings, &server, user);
    let survey = Survey::take(&access);
    (access, survey)
}

/// How garbd is to get into the group.
fn invite(
    args: &BackupArgs,
    listen: Option<HostPort>,
    prepared: &PreparedRequest,
    survey: &Survey,
) -> Result<GarbdCall, AskError> {
    let server = ServerOptions::from(&prepared.files, &[], None);
    let wanted = GarbdCallArgs {
        address: args.address.clone(),
        group: prepared.context.settings.cluster.clone(),
        provider_options: args.provider_options.clone(),
        garbd: Some(args.garbd.clone()),
        listen,
    };
    GarbdCall::new(&wanted, survey, Coordinates::from_options(&server))
}

/// The same as [`ask_and_follow`], once this process is elected and no backup is young enough.
fn ask_in_turn(
    args: &BackupArgs,
    listen: Option<&HostPort>,
    limit: Duration,
    prepared: &PreparedRequest,
    shown: &mut BackupOutput,
) -> Result<(), AskError> {
    let (_, survey) = look_around(prepared);
    let queue = Election {
        storage: &prepared.context.storage,
        cluster: safe_component(invite(args, listen.cloned(), prepared, &survey)?.group()),
        history: survey.history().map(str::to_owned),
        position: survey.last_committed(),
        class: prepared.context.settings.backup_class(),
        limit,
        clock: Timestamp::now,
        pace: Pace::default(),
        interrupted: &prepared.interrupted,
        deadline: prepared.deadline,
    };
    loop {
        let held = match queue.take_turn(&mut |event| shown.teller.tell(event))? {
            AskDecision::Ours(held) => held,
            AskDecision::Recent { place, manifest } => {
                shown.recent = Some((place, manifest));
                return Ok(());
            }
        };
        // `held` lives until the outcome is known, so that no other process asks before.
        let done = ask_and_follow(args, listen.cloned(), prepared, shown);
        drop(held);
        match done {
            // A member is a donor already. When that is for a backup, this is the one that is wanted.
            Err(AskError::Refused(refusal @ Refusal::Desynced { .. }))
                if !refusal.is_by_hand() && queue.is_explained(FIRST_SIGN)? => {}
            done => return done,
        }
    }
}

/// Galera takes the first donor that is Synced, also one that does not get to the request: it must not be the first.
fn pass_over_blocked(
    access: &Access,
    survey: &Survey,
    wish: &DonorWish,
    made: &mut DonorChoice,
) -> Result<(), Refusal> {
    for _ in 0..made.donors.len() {
        let Some(donor) = made.donors.first().cloned() else { break };
        let Some(why) = blocked(access, survey, &donor) else { break };
        let refusal = Refusal::Blocked { donor: donor.clone(), why };
        let is_last = made.donors.len() == 1;
        if wish.force {
            made.warnings.push(format!("forced: {refusal}"));
            break;
        }
        if is_last {
            return Err(refusal);
        }
        made.warnings.push(format!("not asked: {refusal}"));
        made.donors.remove(0);
        made.reason = "the others do not apply what is written".into();
    }
    Ok(())
}

fn ask_and_follow(
    args: &BackupArgs,
    listen: Option<HostPort>,
    prepared: &PreparedRequest,
    shown: &mut BackupOutput,
) -> Result<(), AskError> {
    let (access, survey) = look_around(prepared);
    let invitation = invite(args, listen, prepared, &survey)?;
    let traffic =
        if survey.reports.is_empty() { Traffic::default() } else { Traffic::sample(&access, &survey) };
    let settings = &prepared.context.settings;
    let wish = DonorWish {
        donors: args.donor.clone(),
        force: args.force,
        causes: desyncs(&access, &survey),
        allow_sync_donor: settings.allow_sync_donor,
    };
    let mut made = plan(&survey, &traffic, &wish).map_err(AskError::Refused)?;
    pass_over_blocked(&access, &survey, &wish, &mut made).map_err(AskError::Refused)?;
    let vacancy =
        LockableDonors { access: &access, survey: &survey, settings, is_over: &|| prepared.is_over() };
    vacancy.find(&mut made, &mut |event| shown.teller.tell(event))?;
    let DonorChoice { donors, reason, warnings } = made;
    shown.planned(&invitation, &survey, &traffic, &donors, &reason, warnings);

    let flushes = Flushes::look(&access, &survey);
    let request = RequestId::new(Timestamp::now());
    let request = if args.force { request.forced() } else { request };
    shown.request = Some(request.clone());
    let storage = &prepared.context.storage;
    let mut follower = Follower::new(storage.as_ref(), request.as_str());
    follower.pass_over_present().map_err(|error| AskError::Failed(error.to_string()))?;
    let invitation = invitation.for_donors(donors);
    // The look above is some seconds old, and another process may have asked since.
    let look = || {
        let now = when_calm(&survey, &|| survey.again(&access), &|| prepared.is_over().is_some());
        plan(&now, &traffic, &wish).map(drop)
    };
    let (interrupted, deadline) = (&prepared.interrupted, prepared.deadline);
    let asked = ask(&invitation, &request, interrupted, deadline, &look, &mut |event| {
        shown.teller.tell(event);
    })?;
    shown.donor = Some(asked.donor.clone());
    shown.attempts = asked.attempts;
    if args.no_wait {
        return Ok(());
    }
    let watching = Watching {
        storage,
        access: &access,
        donor: Some(asked.donor.clone()),
        survey: &survey,
        flushes,
        interrupted: &prepared.interrupted,
        deadline: prepared.deadline,
    };
    let outcome: RequestOutcome = watch(&watching, &mut follower, &mut |event| shown.teller.tell(event))?;
    shown.outcome = Some(outcome);
    Ok(())
}
