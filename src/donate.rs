//! The donor role: mysqld asks for a state transfer, we take a backup.
//!
//! Order is the crash argument. The server is thawed as soon as the last byte is read; the archive and
//! the index are made durable; then the manifest appears, and with it the backup; then mysqld hears
//! `done`. Whatever ends the program before the manifest leaves no backup, and whatever ends it after
//! leaves a complete one.

mod error;
mod primary;
mod publish;
mod report;

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use crate::archive::{
    ArchiveWriter, GRASTATE_MEMBER, IDENTITY_MEMBER, NewMember, SUMS_MEMBER, WriterOptions,
};
use crate::capture::{self, CaptureError, Facts, FileList, Login, ServerLayout, Watch};
use crate::catalog::{INDEX, object_name};
use crate::config::{OptionFiles, Settings, SettingsOverrides, environment};
use crate::exit;
use crate::model::{
    ArchivePath, BackupId, FORMAT, IndexHeader, MariadbGtid, State, WsrepGtid, safe_component,
};
use crate::sst::{self, Abort, Conversation, Credentials, DonorRequest, FreezeLimits, Mysqld, Role};
use crate::storage::{LocalStorage, Storage};
use crate::ui;
pub use error::DonateError;
use error::abort_status;
use primary::wait_until_primary;
use publish::{Identity, Taken, discard, publish};
use report::Reporter;

/// The end of a run whose main thread hangs in a disk or a storage: `end` must not return.
///
/// mysqld keeps the node a donor until this program is gone, and nothing else can end it: leaving
/// temporary files is the smaller harm. Only the manifest can say now whether there is a backup.
fn end_without_cleaning_up(abort: &Abort, end: fn(u8)) {
    log::error!(
        "{abort}, and a disk or the repository hangs: temporary files may be left, and there is a backup only if 'list' shows it"
    );
    end(abort_status(abort));
}

/// Everything about one run that is known before the server is asked for anything.
struct Run {
    request: DonorRequest,
    settings: Settings,
    login: Login,
    /// Whether SQL has worked.
    sql_answers: bool,
    layout: ServerLayout,
    storage: Arc<dyn Storage>,
    id: BackupId,
    /// The cluster's folder.
    cluster: String,
    started: Timestamp,
}

/// Takes a backup for mysqld. `pipe` is the claimed stdout.
fn donate(
    args: &[String],
    pipe: std::fs::File,
    passed: &Credentials,
    end: fn(u8),
) -> Result<(), DonateError> {
    let started = Timestamp::now();
    let mut request = DonorRequest::parse(args)?;
    request.data_home = std::env::var("INNODB_DATA_HOME_DIR").ok().filter(|value| !value.is_empty());
    if request.role == Role::Joiner {
        return Err(DonateError::Joiner);
    }
    if !request.ignored.is_empty() {
        log::info!("passed by mysqld and not needed here: {}", request.ignored.join(" "));
    }
    let conversation = Conversation::new(pipe, &request.datadir, request.progress);
    if request.bypass {
        log::info!("Bypassing state dump.");
        return conversation
            .bypass(&request.gtid)
            .map_err(|cause| DonateError::System("cannot answer mysqld", cause));
    }
    let last_resort = move |abort: &Abort| end_without_cleaning_up(abort, end);
    let watch = Watch::start(conversation.release(), Mysqld::find(&request.datadir), last_resort)
        .map_err(|cause| DonateError::System("cannot watch signals", cause))?;
    let files = OptionFiles::read(&request.defaults)?;
    let settings = Settings::resolve(&files, environment(), &SettingsOverrides::default())?;
    files.warnings().iter().chain(&settings.warnings).for_each(|warning| log::warn!("{warning}"));
    let login = Login::new(&request, &settings, passed);
    let facts = capture::gather(&request, &files, &login);
    let layout = ServerLayout::new(&request, &facts)?;
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage::new(&settings.repository));
    let cluster = safe_component(settings.cluster.as_deref().unwrap_or(&layout.cluster));
    let id = claim(storage.as_ref(), &cluster, &layout.node)?;
    let sql_answers = facts.sql.is_some();
    let run = Run { request, settings, login, sql_answers, layout, storage, id, cluster, started };
    let reporter = Reporter::start(&run, watch.counter());
    let outcome = back_up(&run, conversation, facts, &watch, &reporter);
    let failure = outcome.as_ref().err().filter(|error| error.leaves_no_backup());
    if failure.is_some() {
        discard(&run);
        // The end of this program ends the state transfer too.
        wait_until_primary(&run.login, run.sql_answers, &watch, run.settings.primary_timeout);
    }
    reporter.finish(failure);
    outcome
}

/// Takes a folder of our own. Two backups of a node in one second get different seconds.
fn claim(storage: &dyn Storage, cluster: &str, node: &str) -> Result<BackupId, DonateError> {
    loop {
        let id = BackupId::new(Timestamp::now(), node);
        if storage.claim(&format!("{cluster}/{id}"))? {
            return Ok(id);
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

fn back_up(
    run: &Run,
    conversation: Conversation,
    mut facts: Facts,
    watch: &Watch,
    reporter: &Reporter,
) -> Result<(), DonateError> {
    log::info!("backup {} of node '{}' to '{}'", run.id, run.layout.node, run.storage.location());
    run.layout.external_roots().for_each(|(variable, root)| log::info!("{variable} is '{}'", root.display()));
    // Once before the freeze: what is wrong with the files is better known while the server runs.
    log_expected(&list_files(run)?);

    reporter.state(State::Freezing);
    let abort = || watch.aborted();
    let limits =
        FreezeLimits { timeout: run.settings.flush_timeout, asked: &run.request.gtid, abort: &abort };
    let frozen = conversation.flush_tables(&limits)?;
    watch.limit_freeze(frozen.asked(), run.settings.freeze_timeout);
    reporter.frozen(frozen.gtid());
    let identity = Identity {
        gtid: frozen.gtid().clone(),
        frozen_at: frozen.at(),
        flush_time: frozen.flush_time(),
        mariadb_gtid: mariadb_gtid(&mut facts),
    };
    log::info!(
        "the server is frozen at {} (flush took {} ms)",
        identity.gtid,
        identity.flush_time.as_millis()
    );
    let list = list_files(run)?;
    reporter.total(list.bytes);
    let mut archive = start_archive(run, &identity)?;
    let captured = capture::copy_frozen(frozen, &run.layout.datadir, &list, &mut archive, watch)?;
    watch.lift_limit();
    let frozen_time = captured.thawed.frozen_time();
    log::info!("the server runs again: it was frozen for {} ms", frozen_time.as_millis());

    reporter.state(State::Thawed);
    finish_members(run, &identity.gtid, &mut archive)?;
    let summary = archive.finish().map_err(CaptureError::from)?;
    reporter.state(State::Publishing);
    if let Some(abort) = watch.aborted() {
        return Err(abort.into());
    }
    let warnings = facts.warnings.into_iter().chain(list.warnings).collect();
    let taken = Taken { frozen_time, vanished: captured.vanished, warnings };
    let manifest = publish(run, identity, taken, summary, watch)?;
    wait_until_primary(&run.login, run.sql_answers, watch, run.settings.primary_timeout);
    tell_scripts(&run.layout.datadir, &manifest.gtid);
    captured.thawed.done().map_err(|cause| DonateError::Untold(manifest.id.clone(), cause))?;
    log::info!(
        "backup {} is complete at {}: {} files, {} MiB stored in {} MiB, frozen for {} ms",
        manifest.id,
        manifest.gtid.position(),
        manifest.files,
        manifest.data_bytes >> 20,
        manifest.archive.bytes >> 20,
        manifest.frozen_ms
    );
    Ok(())
}

fn log_expected(list: &FileList) {
    log::info!("{} files and directories, {} MiB", list.entries.len(), list.bytes >> 20);
}

fn list_files(run: &Run) -> Result<FileList, CaptureError> {
    capture::list_files(&run.layout, run.settings.binlogs, run.settings.allow_rocksdb)
}

/// The positions for replicas; a server without SQL has none to tell.
fn mariadb_gtid(facts: &mut Facts) -> MariadbGtid {
    let Some(sql) = &mut facts.sql else {
        facts.warnings.push("SQL did not answer: the binlog position is not known, a replica cannot be built from this backup".into());
        return MariadbGtid::default();
    };
    sql.mariadb_gtid().unwrap_or_else(|why| {
        facts.warnings.push(format!(
            "the binlog position is not known ({why}): a replica cannot be built from this backup"
        ));
        MariadbGtid::default()
    })
}

type Writer = ArchiveWriter<Box<dyn crate::storage::ObjectWriter>, Box<dyn crate::storage::ObjectWriter>>;

/// Opens both objects and writes the identity, before the first data byte.
fn start_archive(run: &Run, identity: &Identity) -> Result<Writer, DonateError> {
    let compression = run.settings.compression;
    let object = |name| run.storage.create(&object_name(&run.cluster, &run.id, name));
    let header = IndexHeader { format: FORMAT, id: run.id.clone(), gtid: identity.gtid.clone(), compression };
    let options =
        WriterOptions { compression, level: run.settings.compression_level, threads: run.settings.threads };
    let mut archive =
        ArchiveWriter::create(object(compression.archive_name())?, object(INDEX)?, header, options)
            .map_err(CaptureError::from)?;
    let content = identity
        .to_bytes(run)
        .map_err(|error| DonateError::System("cannot write the identity", error.into()))?;
    archive.append_generated(own_member(run, IDENTITY_MEMBER), &content).map_err(CaptureError::from)?;
    Ok(archive)
}

/// The members that follow the data; the server runs again while they are written.
fn finish_members(run: &Run, gtid: &WsrepGtid, archive: &mut Writer) -> Result<(), CaptureError> {
    archive.append_generated(own_member(run, GRASTATE_MEMBER), gtid.grastate(false).as_bytes())?;
    archive.append_sums(own_member(run, SUMS_MEMBER))?;
    Ok(())
}

/// A file of our own belongs to the server's user, who runs this program.
fn own_member(run: &Run, name: &str) -> NewMember {
    let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    NewMember {
        path: ArchivePath::new(name),
        mode: 0o640,
        uid,
        gid,
        user: capture::user_name(uid),
        group: capture::group_name(gid),
        mtime: run.started.as_second(),
        mtime_nsec: 0,
        system_tablespace: false,
        origin: None,
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
    let outcome = sst::stdout::claim()
        .map_err(|cause| DonateError::System("cannot take stdout for mysqld", cause))
        .and_then(|pipe| {
            donate(args, pipe, &sst::read_credentials(std::env::var("WSREP_SST_OPT_AUTH").ok()), end)
        });
    match outcome {
        Ok(()) => exit::DONE,
        Err(error) => {
            log::error!("{error}");
            if error.leaves_no_backup() {
                log::error!("no backup was made");
            }
            error.exit_status()
        }
    }
}
