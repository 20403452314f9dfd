//! The donor role: mysqld asks for a state transfer, we take a backup.
//!
//! Order is the crash argument. The server is thawed as soon as the last byte is read; the archive and
//! the index are made durable; then the manifest appears, and with it the backup; then mysqld hears
//! `done`. Whatever ends the program before the manifest leaves no backup, and whatever ends it after
//! leaves a complete one. Every way out waits until the node is in the Primary component ([`primary`]). Older backups go,
//! and metrics are written, where that is wanted, when mysqld has heard `done` ([`crate::job`]).
//!
//! While the server is frozen this program has all that the machine gives, unless `limit-rate` says otherwise; from
//! `continue` on it makes way for the server ([`crate::priority`]).

mod blockers;
mod capturing;
mod error;
mod flow_control;
mod freeze_turn;
mod host;
mod pace;
mod primary;
mod ways_out;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::capture::{self, Abort, Facts, Login, Outlook, Room, ServerLayout, Unended, Watch};
use crate::config::{OptionFiles, Settings, SettingsOverrides, environment};
use crate::exit;
use crate::job::{Claim, Job, Metrics, Reporter, claim_folder, conclude, publish};
use crate::model::{Manifest, WsrepGtid, safe_component};
use crate::output::Label;
use crate::quiesce::Quiescer;
use crate::server::Server;
use crate::sql::SqlSession;
use crate::sst::{self, ArgsError, Conversation, Credentials, DonorRequest, ErrorLog, Mysqld, Role};
use crate::ui;
use capturing::Capturing;
pub use error::DonateError;
use host::Donor;
use pace::LiftAtEnd;
use ways_out::WaysOut;

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
    let ways_out = Arc::new(WaysOut::new(Login::new(&datadir, socket.as_deref(), None, passed), log));
    let last = Arc::clone(&ways_out);
    let last_resort = move |abort: &Abort, unended: Unended, outlook: &Outlook| {
        last.without_the_main_thread(abort, unended, outlook, end);
    };
    let watch = Watch::start(conversation.release(), Mysqld::find(&datadir), last_resort)
        .map_err(|cause| DonateError::System("cannot watch signals", cause))
        .inspect_err(tell)?;
    let outcome = request.and_then(|request| transfer(request, conversation, passed, &watch, &ways_out));
    if let Err(error) = &outcome {
        tell(error);
        if !error.leaves_a_backup() {
            // The end of this program ends the state transfer too.
            watch.patiently(|outlook| ways_out.gate.wait(outlook));
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
    ways_out: &WaysOut,
) -> Result<(), DonateError> {
    let started = Timestamp::now();
    if !request.ignored.is_empty() {
        log::info!("passed by mysqld and not needed here: {}", request.ignored.join(" "));
    }
    let configuration = configure(&request);
    if let Ok((_, settings)) = &configuration {
        let login =
            Login::new(&request.server.datadir, request.server.socket.as_deref(), Some(settings), passed);
        ways_out.gate.configure(login, settings.primary_timeout);
    }
    if request.bypass {
        log::info!("Bypassing state dump.");
        watch.patiently(|outlook| ways_out.gate.wait(outlook));
        return conversation
            .bypass(&request.gtid)
            .map_err(|cause| DonateError::System("cannot answer mysqld", cause));
    }
    let (files, settings) = configuration?;
    files.warnings().iter().chain(&settings.warnings).for_each(|warning| log::warn!("{warning}"));
    let facts = capture::gather(&request.server, &files, &ways_out.gate.login());
    if facts.sql.is_some() {
        ways_out.gate.has_answered();
    }
    let names = facts.names();
    let folder = safe_component(settings.cluster.as_deref().unwrap_or(&names.cluster));
    let metrics =
        ways_out.measure(Metrics::new(settings.metrics_file.clone(), &folder, &names.node, started));
    let quiescer = Box::new(conversation.for_backup(&request.gtid, request.progress));
    let DonorRequest { server, gtid, request, .. } = request;
    let label = Label { cluster: names.cluster, node: names.node, request, asked: Some(gtid), started };
    // The folder comes first of all that can fail, so that a failure reaches the repository.
    let job = claim_folder(Claim { folder, label }, settings, watch).map_err(|error| {
        let is_of_repository = error.is_of_repository();
        let error = DonateError::from(error);
        metrics.record_failure(error.exit_status(), is_of_repository);
        error
    })?;
    let reporter = ways_out.report(Reporter::start(&job, watch.counter()));
    let outcome = back_up(&job, &server, quiescer, facts, watch, ways_out, reporter);
    let ended = outcome.as_ref().map_err(DonateError::failure);
    conclude(&job, reporter, metrics, watch, ended.as_ref().copied());
    outcome.map(drop)
}

fn configure(request: &DonorRequest) -> Result<(OptionFiles, Settings), DonateError> {
    let files = OptionFiles::read(&request.server.defaults)?;
    let settings = capture::settings(&files, environment(), &SettingsOverrides::default())?;
    Ok((files, settings))
}

fn back_up(
    job: &Job,
    server: &Server,
    quiescer: Box<dyn Quiescer>,
    mut facts: Facts,
    watch: &Watch,
    ways_out: &WaysOut,
    reporter: &Reporter,
) -> Result<Manifest, DonateError> {
    let id = &job.destination.id;
    log::info!("backup {id} of node '{}' to '{}'", job.label().node, job.destination.storage.location());
    let layout = ServerLayout::new(server, &facts)?;
    ways_out.one_at_a_time(&layout.datadir, watch)?;
    layout.external_roots().for_each(|(variable, root)| log::info!("{variable} is '{}'", root.display()));
    let room = Room::new(&facts, &layout);
    if let Some(abort) = room.lacks() {
        return Err(abort.into());
    }
    flow_control::check(job, &mut facts)?;
    let session = facts.sql.as_ref().map(SqlSession::id);
    let mut host = Donor::new(job, watch, reporter, (ways_out.gate.login(), session), quiescer, room);
    let _lift = LiftAtEnd(watch.given_up());
    let capturing = Capturing { job, layout: &layout, watch, login: ways_out.gate.login() };
    let (captured, choice) = capturing.run(&mut facts, &mut host)?;
    host.warn(&mut facts.warnings);
    let (manifest, resumed) = publish(job, captured, &choice, facts.warnings, watch, reporter)?;
    watch.patiently(|outlook| ways_out.gate.wait(outlook));
    if let Some(gtid) = &manifest.gtid {
        tell_scripts(&layout.datadir, gtid);
    }
    resumed.complete().map_err(|cause| DonateError::Untold(manifest.id.clone(), cause))?;
    log::info!(
        "backup {} is complete at {}: {} files, {} MiB stored in {} MiB, frozen for {} ms",
        manifest.id,
        manifest.position(),
        manifest.files,
        manifest.data_bytes >> 20,
        manifest.archive.bytes >> 20,
        manifest.frozen_ms
    );
    Ok(manifest)
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
