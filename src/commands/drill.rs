//! `drill`: proves a backup by starting a server on it, and leaves the outcome beside it for `list`, `show`, `report` and metrics.
//!
//! `--json` gives one object: `id`, `outcome` (`proved`, `failed`), `drill` (as `drill.json` has it, with the reason in any case) and `notes`. Exit status 0: it is proved;
//! 4: it has not passed a step; 1: the drill could not be done, and nothing is said of the backup, nor recorded.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use jiff::Timestamp;

pub use super::drill_args::DrillArgs;
use super::drill_shown::tell;
use super::{CommandError, Context, interruption, refresh_metrics, removed, who};
use crate::catalog::{BackupReader, record_drilled};
use crate::config::ServerOptions;
use crate::drill::{DrillError, DrillFindings, DrillRequest, DrillWatch, LocalOptions, drill};
use crate::metrics::Scope;
use crate::model::{DrillOutcome, DrillRecord, ToolIdentity};
use crate::priority;
use crate::restore::{Control, Installed};
use crate::ui::ByteBar;

/// Runs `drill`.
pub fn run(args: &DrillArgs) -> Result<(), CommandError> {
    let selector = args.id.selector()?;
    let questions = args.questions()?;
    let (context, files) = args.common.context_with_metrics(|flags| args.set(flags))?;
    let source = context.with_keys(context.find(&selector)?)?;
    let options = ServerOptions::from(&files, &[], source.manifest().server.version.as_deref());
    let server = installed(args.mysqld.as_deref(), &options)?;
    let (id, version) = (&source.manifest().id, source.manifest().server.version.as_deref());
    server.refuse_newer(id.as_str(), version, "name one of that series with --mysqld")?;
    let join = args.join.request(&context, &options, &source)?;
    if context.settings.low_priority {
        priority::lower_all_but(join.as_ref().map(|join| &join.priority));
    }
    let request = DrillRequest {
        scratch: args.scratch.clone(),
        server,
        local: LocalOptions::of(&options),
        tables: args.tables(),
        questions,
        join,
        threads: context.settings.threads,
    };
    let interrupted = interruption();
    let began = Instant::now();
    let mut findings = DrillFindings::default();
    let (source, outcome) = drilled(args, &context, source, &request, &interrupted, &mut findings)?;
    let failure = match outcome {
        Ok(()) => None,
        Err(DrillError::Failed { step, why }) => Some((step, why)),
        Err(DrillError::Restore(error)) => return Err(error.into()),
        Err(error @ DrillError::Undone(_)) => return Err(CommandError::Failed(error.to_string())),
    };
    if failure.is_some() && source.is_removed() {
        return Err(removed(&source));
    }
    let record = DrillRecord {
        drilled: Timestamp::now(),
        by: who(),
        outcome: if failure.is_some() { DrillOutcome::Failed } else { DrillOutcome::Proved },
        failed_at: failure.as_ref().map(|(step, _)| *step),
        reason: failure.map(|(_, why)| why),
        server: request.server.version,
        measured: findings.measured,
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        tool: ToolIdentity { version: env!("CARGO_PKG_VERSION").into() },
    };
    if !args.no_record {
        keep(&context, &source, &record);
    }
    tell(args.json, source.manifest(), &record, &findings.notes)
}

/// The drill, with what a signal or the load of the machine does to it.
fn drilled(
    args: &DrillArgs,
    context: &Context,
    source: BackupReader,
    request: &DrillRequest,
    interrupted: &Arc<AtomicBool>,
    findings: &mut DrillFindings,
) -> Result<(BackupReader, Result<(), DrillError>), CommandError> {
    let watch = DrillWatch::start(Arc::clone(interrupted), args.max_load)
        .map_err(|error| CommandError::Failed(format!("cannot start a thread: {error}")))?;
    if let Some(why) = watch.given_up() {
        return Err(CommandError::Failed(format!("the drill was not begun: {why}")));
    }
    let throttle = context.throttle(interrupted);
    let source = source.interruptible(interrupted).limited(Arc::clone(&throttle.repository));
    let bar = RefCell::new(None::<ByteBar>);
    let progress = |done| bar.borrow().iter().for_each(|bar| bar.set(done));
    let control = Control { progress: &progress, interrupted, limiter: &throttle.data };
    let mut begin = |verb, total| {
        bar.replace(Some(ByteBar::new(verb, total)));
    };
    let outcome = drill(&source, request, &control, &watch, &mut begin, findings);
    drop(bar.take());
    Ok((source, outcome))
}

/// The server that is to be started.
fn installed(program: Option<&Path>, options: &ServerOptions) -> Result<Installed, CommandError> {
    match program {
        Some(program) => {
            // It is started in another folder.
            let found = std::path::absolute(program).ok().and_then(|program| Installed::at(&program));
            found.ok_or_else(|| {
                CommandError::Usage(format!(
                    "--mysqld '{}' is no server of MariaDB that can be started here",
                    program.display()
                ))
            })
        }
        None => Installed::find(options).ok_or_else(|| {
            CommandError::Failed(
                "there is no MariaDB server here that could be started on the backup: install one, or name it with --mysqld PATH"
                    .into(),
            )
        }),
    }
}

/// Leaves the outcome beside the backup. A repository that takes none changes nothing about it.
fn keep(context: &Context, source: &BackupReader, record: &DrillRecord) {
    // The record is not encrypted.
    let hidden = DrillRecord { reason: None, ..record.clone() };
    let kept = if source.is_encrypted() { &hidden } else { record };
    let id = &source.manifest().id;
    if let Err(error) = record_drilled(context.storage.as_ref(), source.cluster(), id, kept) {
        log::warn!("the outcome is not recorded in the repository: {error} (--no-record does without)");
    }
    refresh_metrics(context, Scope::Cluster(source.cluster()));
}
