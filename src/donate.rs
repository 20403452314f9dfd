//! The donor role: mysqld asks for a state transfer, we take a backup.
//!
//! Order is the crash argument. The server is thawed as soon as the last byte is read; the archive and
//! the index are made durable; then the manifest appears, and with it the backup; then mysqld hears
//! `done`. Whatever ends the program before the manifest leaves no backup, and whatever ends it after
//! leaves a complete one. Every way out waits until the node is in the Primary component ([`primary`]). Older backups go,
//! and [`metrics`] are written, where that is wanted, when mysqld has heard `done` ([`retention`]).
//!
//! While the server is frozen this program has all that the machine gives, unless `limit-rate` says otherwise; from
//! `continue` on it makes way for the server ([`crate::priority`]).

mod behind;
mod blockers;
mod ending;
mod error;
mod flow_control;
mod folder;
mod identity;
mod members;
mod metrics;
mod pace;
mod primary;
mod publish;
mod report;
mod retention;
mod room;
mod turn;
mod warnings;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::capture::{
    self, Abort, CaptureError, Demands, Engines, Facts, ListOptions, Login, NodeNames, Outlook, Overlap,
    Room, ServerLayout, Tablespaces, Watch,
};
use crate::config::{OptionFiles, RepositoryUrl, Settings, SettingsOverrides, environment};
use crate::exit;
use crate::model::{BackupId, BackupState, Manifest, WsrepGtid, safe_component};
use crate::priority;
use crate::quiesce::{Limits, Quiescer};
use crate::sst::{self, ArgsError, Conversation, Credentials, DonorRequest, ErrorLog, Mysqld, Role};
use crate::storage::Storage;
use crate::throttle::Throttle;
use crate::ui;
use blockers::Way;
use ending::Ending;
pub use error::DonateError;
use folder::claim_folder;
use identity::Identity;
use members::{Objects, create_objects, finish_members, start_archive};
use metrics::Metrics;
use pace::LiftAtEnd;
use publish::{Taken, discard, publish};
use report::Reporter;
use retention::prune_after_backup;
use turn::Turn;

/// Everything about one run that is known when its folder is claimed.
struct Run {
    request: DonorRequest,
    settings: Settings,
    names: NodeNames,
    storage: Arc<dyn Storage>,
    throttle: Throttle,
    id: BackupId,
    /// The cluster's folder.
    folder: String,
    started: Timestamp,
}

/// Gives mysqld what it asks for, and ends when the node is Primary. `pipe` is the claimed stdout.
fn donate(
    args: &[String],
    pipe: std::fs::File,
    log: Option<ErrorLog>,
    passed: &Credentials,
    end: fn(u8),
) -> Result<(), DonateError> {
    let request = read_request(args);
    if let Err(error @ (DonateError::Args(ArgsError::Role(_)) | DonateError::Joiner)) = request {
        // This node is no donor: nothing is to be waited for.
        tell(&error);
        return Err(error);
    }
    let (datadir, socket) = DonorRequest::places(args);
    // mysqld starts its scripts there.
    let datadir = datadir.unwrap_or_else(|| ".".into());
    let conversation = Conversation::new(pipe, &datadir);
    let ending = Arc::new(Ending::new(Login::new(&datadir, socket.as_deref(), None, passed), log));
    let last = Arc::clone(&ending);
    let last_resort =
        move |abort: &Abort, outlook: &Outlook| last.without_the_main_thread(abort, outlook, end);
    let watch = Watch::start(conversation.release(), Mysqld::find(&datadir), last_resort)
        .map_err(|cause| DonateError::System("cannot watch signals", cause))
        .inspect_err(tell)?;
    let outcome = request.and_then(|request| transfer(request, conversation, passed, &watch, &ending));
    if let Err(error) = &outcome {
        tell(error);
        if !error.leaves_a_backup() {
            // The end of this program ends the state transfer too.
            watch.patiently(|outlook| ending.gate.wait(outlook));
        }
    }
    outcome
}

fn read_request(args: &[String]) -> Result<DonorRequest, DonateError> {
    let mut request = DonorRequest::parse(args)?;
    request.server.data_home = std::env::var("INNODB_DATA_HOME_DIR").ok().filter(|value| !value.is_empty());
    match request.role {
        Role::Joiner => Err(DonateError::Joiner),
        Role::Donor => Ok(request),
    }
}

/// The transfer without data, or the backup.
fn transfer(
    request: DonorRequest,
    conversation: Conversation,
    passed: &Credentials,
    watch: &Watch,
    ending: &Ending,
) -> Result<(), DonateError> {
    let started = Timestamp::now();
    if !request.ignored.is_empty() {
        log::info!("passed by mysqld and not needed here: {}", request.ignored.join(" "));
    }
    let configuration = configure(&request);
    if let Ok((_, settings)) = &configuration {
        let login =
            Login::new(&request.server.datadir, request.server.socket.as_deref(), Some(settings), passed);
        ending.gate.configure(login, settings.primary_timeout);
    }
    if request.bypass {
        log::info!("Bypassing state dump.");
        watch.patiently(|outlook| ending.gate.wait(outlook));
        return conversation
            .bypass(&request.gtid)
            .map_err(|cause| DonateError::System("cannot answer mysqld", cause));
    }
    let (files, settings) = configuration?;
    files.warnings().iter().chain(&settings.warnings).for_each(|warning| log::warn!("{warning}"));
    let facts = capture::gather(&request.server, &files, &ending.gate.login());
    if facts.sql.is_some() {
        ending.gate.has_answered();
    }
    let names = facts.names();
    let folder = safe_component(settings.cluster.as_deref().unwrap_or(&names.cluster));
    let metrics = ending.measure(Metrics::new(settings.metrics_file.clone(), &folder, &names.node, started));
    // The folder comes first of all that can fail, so that a failure reaches the repository.
    let (run, repository) = claim_folder(request, settings, names, folder, started, watch)
        .inspect_err(|error| metrics.record(error.exit_status(), None, None))?;
    // A status that cannot be stored is no reason to give up a backup: that storage is not watched.
    let reporter = ending.report(Reporter::start(&run, Arc::clone(&repository), watch.counter()));
    let quiescer = Box::new(conversation.for_backup(&run.request.gtid, run.request.progress));
    let outcome = back_up(&run, &repository, quiescer, facts, watch, ending, reporter);
    let (error, frozen_ms) = (outcome.as_ref().err(), reporter.frozen_ms());
    if error.is_some_and(DonateError::leaves_no_backup) {
        discard(&run);
    }
    let has_failed = error.is_some_and(|error| !error.leaves_a_backup());
    reporter.finish(
        if has_failed { BackupState::Failed } else { BackupState::Done },
        error.map(ToString::to_string),
    );
    let status = error.map_or(exit::DONE, DonateError::exit_status);
    metrics.record(status, frozen_ms, outcome.as_ref().ok());
    if outcome.is_ok() {
        prune_after_backup(&run, Arc::clone(&repository), watch);
        metrics.read(repository, watch);
    }
    outcome.map(drop)
}

fn configure(request: &DonorRequest) -> Result<(OptionFiles, Settings), DonateError> {
    let files = OptionFiles::read(&request.server.defaults)?;
    let settings = Settings::resolve(&files, environment(), &SettingsOverrides::default())?;
    Ok((files, settings))
}

fn back_up(
    run: &Run,
    repository: &Arc<dyn Storage>,
    quiescer: Box<dyn Quiescer>,
    mut facts: Facts,
    watch: &Watch,
    ending: &Ending,
    reporter: &Reporter,
) -> Result<Manifest, DonateError> {
    log::info!("backup {} of node '{}' to '{}'", run.id, run.names.node, run.storage.location());
    let layout = ServerLayout::new(&run.request.server, &facts)?;
    ending.one_at_a_time(&layout.datadir, watch)?;
    layout.external_roots().for_each(|(variable, root)| log::info!("{variable} is '{}'", root.display()));
    let room = Room::new(&facts, &layout);
    if let Some(abort) = room.lacks() {
        return Err(abort.into());
    }
    flow_control::check(run, &mut facts)?;
    let Prepared { objects, options, demands } = prepare(run, &layout, &mut facts)?;
    let tablespaces = ask_for_tablespaces(&mut facts);
    let mut turn = Turn::take(run, repository, ending.gate.login(), watch)?;
    let way = Way::clear(run, &facts, ending.gate.login(), watch)?;
    turn.is_still_ours(watch)?;

    reporter.state(BackupState::Freezing);
    let limits = Limits { timeout: run.settings.flush_timeout, wanted: &|| watch.wanted() };
    let frozen = quiescer.quiesce(&limits).map_err(|error| way.explain(error, watch))?;
    watch.limit_freeze(frozen.asked(), run.settings.freeze_timeout);
    watch.limit_room(room).map_err(|cause| DonateError::System("cannot watch the server's room", cause))?;
    reporter.frozen(frozen.position(), frozen.asked());
    let identity = Identity::of(frozen.as_ref(), &mut facts, &layout);
    log::info!(
        "the server is frozen at {} (flush took {} ms)",
        identity.gtid,
        identity.flush_time.as_millis()
    );
    let mut list = capture::list_frozen(&layout, &mut facts, &options, &demands, watch)?;
    list.tablespaces = tablespaces;
    reporter.total(list.bytes);
    let mut archive = start_archive(run, &identity, objects)?;
    let _lift = LiftAtEnd(watch.given_up());
    let limiter = &run.throttle.data;
    let captured = capture::copy_frozen(frozen, &layout.datadir, &list, &mut archive, watch, limiter)?;
    watch.lift_limit();
    way.end(&mut facts);
    drop(turn);
    if run.settings.low_priority {
        // Nobody waits for what is left, and the way back is closed.
        priority::lower();
    }
    let frozen_time = captured.resumed.frozen;
    log::info!("the server runs again: it was frozen for {} ms", frozen_time.as_millis());

    reporter.thawed(frozen_time);
    finish_members(run, &identity.gtid, &mut archive)?;
    let summary = archive.finish().map_err(CaptureError::from)?;
    reporter.state(BackupState::Publishing);
    if let Some(abort) = watch.aborted() {
        return Err(abort.into());
    }
    let warnings = facts.warnings;
    let about_files = [list.warnings, captured.warnings].concat();
    let taken = Taken { frozen_time, vanished: captured.vanished, warnings, about_files };
    let manifest = publish(run, identity, taken, summary, watch)?;
    watch.patiently(|outlook| ending.gate.wait(outlook));
    tell_scripts(&layout.datadir, &manifest.gtid);
    captured.resumed.complete().map_err(|cause| DonateError::Untold(manifest.id.clone(), cause))?;
    log::info!(
        "backup {} is complete at {}: {} files, {} MiB stored in {} MiB, frozen for {} ms",
        manifest.id,
        manifest.gtid.position(),
        manifest.files,
        manifest.data_bytes >> 20,
        manifest.archive.bytes >> 20,
        manifest.frozen_ms
    );
    Ok(manifest)
}

/// What is known and made before the freeze.
struct Prepared {
    objects: Objects,
    options: ListOptions,
    demands: Demands,
}

/// Everything that can be wrong with the files is better known while the server runs. The list of them is not kept: it
/// is made anew under the freeze.
fn prepare(run: &Run, layout: &ServerLayout, facts: &mut Facts) -> Result<Prepared, DonateError> {
    let engines = Engines::ask(facts, &layout.datadir);
    let allow_unfrozen = run.settings.allow_rocksdb;
    facts.warnings.extend(engines.admit(allow_unfrozen, &layout.datadir)?);
    let options = ListOptions {
        binlogs: run.settings.binlogs,
        allow_unfrozen,
        unfrozen: engines.unfrozen,
        ..ListOptions::default()
    };
    let (mut expected, demands) = capture::look_ahead(layout, facts, &options)?;
    expected.refuse()?;
    if let RepositoryUrl::Directory(path) = &run.settings.repository
        && let Some(overlap) = Overlap::find(path, layout, &expected.entries)
    {
        return Err(DonateError::Overlap(overlap.text(path)));
    }
    log::info!("{} files and directories, {} MiB", expected.entries.len(), expected.bytes >> 20);
    if let Some(named) = demands.tablespaces() {
        log::info!("all {named} tablespaces that the server names are among them");
    }
    pace::announce(run, &expected)?;
    room::check(run, &expected)?;
    Ok(Prepared { objects: create_objects(run, &expected)?, options, demands })
}

/// Tells a table whose file is damaged from a file that no table uses.
fn ask_for_tablespaces(facts: &mut Facts) -> Option<Tablespaces> {
    match Tablespaces::ask(facts.sql.as_mut()?) {
        Ok(tablespaces) => Some(tablespaces),
        Err(why) => {
            log::info!("cannot ask which tablespaces the server has: {why}");
            None
        }
    }
}

/// The file that the stock script leaves: wrappers of garbd wait for it.
fn tell_scripts(datadir: &Path, gtid: &WsrepGtid) {
    let path = datadir.join("backup_sst_complete");
    if let Err(error) = std::fs::write(&path, format!("{gtid}\n")) {
        log::warn!("cannot write '{}': {error}", path.display());
    }
}

/// The donor role from its first to its last moment; the exit status.
///
/// Inherited descriptors go first, before anything of ours is opened; then stdout is taken away from
/// everything but the conversation. `end` ends the process at once, for a run whose main thread hangs.
pub fn main(args: &[String], end: fn(u8)) -> u8 {
    sst::close_inherited();
    ui::init_donor();
    let log = ErrorLog::of_stderr();
    let outcome = sst::stdout::claim()
        .map_err(|cause| DonateError::System("cannot take stdout for mysqld", cause))
        .inspect_err(tell)
        .and_then(|pipe| {
            donate(args, pipe, log, &sst::read_credentials(std::env::var("WSREP_SST_OPT_AUTH").ok()), end)
        });
    outcome.map_or_else(|error| error.exit_status(), |()| exit::DONE)
}

fn tell(error: &DonateError) {
    log::error!("{error}");
    if error.leaves_no_backup() {
        log::error!("no backup was made");
    }
}
