//! `restore --into`: a dump into a running server.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use jiff::Timestamp;
use serde_json::json;

use super::restore_args::RestoreArgs;
use super::{CommandError, interruption, print, print_json, removed};
use crate::catalog::{BackupReader, Selector};
use crate::cluster::Access;
use crate::config::Settings;
use crate::model::Content;
use crate::restore::Control;
use crate::restore::into::{
    DumpFile, DumpSource, LoadError, LoadRequest, Loaded, is_named_as_dump, load, newest_at, newest_of,
};
use crate::sql::Endpoint;
use crate::storage::{self, Interruptible, Storage};
use crate::throttle::Throttle;
use crate::ui::{ByteBar, TextPage, bytes, duration_ms, grouped};
use crate::users::user_name;

/// Loads a file that somebody else has made; no repository is looked at.
pub(super) fn load_file(args: &RestoreArgs, file: &Path) -> Result<(), CommandError> {
    let endpoint = endpoint(args)?;
    let time = args.id.target_time()?;
    let (files, settings) = args.common.resolve(|flags| args.set(flags))?;
    for warning in files.warnings().iter().chain(&settings.warnings) {
        log::warn!("{warning}");
    }
    let interrupted = interruption();
    let throttle = Throttle::new(settings.limit_rate, &interrupted);
    let request = request(args, endpoint, &settings);
    let source = DumpSource::File(match file.to_str().filter(|name| name.contains("://")) {
        Some(url) => in_bucket(url, time, &settings, &interrupted)?,
        None if file.is_dir() => DumpFile::open(&newest_at(file, time)?.path)?,
        None if time.is_some() => return Err(no_folder(&file.display().to_string())),
        None => DumpFile::open(file)?,
    });
    let started = Instant::now();
    let loaded = run(&source, None, &request, &interrupted, &throttle)?;
    tell(args, &source.name(), &request, &loaded, started)
}

fn no_folder(name: &str) -> CommandError {
    CommandError::Usage(format!("--target-time chooses among the files of a folder, and '{name}' is none"))
}

/// An object, or the newest of those that lie directly below a prefix.
fn in_bucket(
    url: &str,
    time: Option<Timestamp>,
    settings: &Settings,
    interrupted: &Arc<AtomicBool>,
) -> Result<DumpFile, CommandError> {
    let (folder, name) = url.trim_end_matches('/').rsplit_once('/').unwrap_or((url, ""));
    let (folder, name) = if is_named_as_dump(name) { (folder, Some(name)) } else { (url, None) };
    let usage = |error| CommandError::Usage(format!("--file: {error}"));
    let repository = folder.parse().map_err(usage)?;
    let storage = storage::open(&Settings { repository, ..settings.clone() })?;
    let storage: Arc<dyn Storage> = Arc::new(Interruptible::new(storage, Arc::clone(interrupted)));
    let name = match (name, time) {
        (Some(_), Some(_)) => return Err(no_folder(url)),
        (Some(name), None) => name.to_owned(),
        (None, time) => {
            let objects = storage.objects("")?;
            let paths: Vec<PathBuf> = objects.into_iter().map(|object| object.name.into()).collect();
            newest_of(&paths, url, time)?.path.display().to_string()
        }
    };
    Ok(DumpFile::of_storage(storage, &name)?)
}

/// Loads a backup by the method logical.
pub(super) fn load_backup(args: &RestoreArgs, selector: &Selector) -> Result<(), CommandError> {
    let endpoint = endpoint(args)?;
    let (context, _) = args.common.context_with(|flags| args.set(flags))?;
    let reader = context.find_intact_dump(selector)?;
    let manifest = reader.manifest();
    if manifest.content != Content::Sql {
        return Err(CommandError::Usage(format!(
            "backup '{0}' is physical (content {1}): its files become a data directory ('restore {0} --to'); --into takes dumps, which the \
             method logical makes",
            manifest.id,
            manifest.content.name()
        )));
    }
    let reader = context.with_keys(reader)?;
    let interrupted = interruption();
    let throttle = context.throttle(&interrupted);
    let reader = reader.interruptible(&interrupted).limited(Arc::clone(&throttle.repository));
    let request = request(args, endpoint, &context.settings);
    let started = Instant::now();
    let outcome = of_backup(&reader, &request, &context.settings, &interrupted, &throttle);
    if matches!(outcome, Err(LoadError::Source(_) | LoadError::Damaged(_))) && reader.is_removed() {
        return Err(removed(&reader));
    }
    tell(args, &format!("backup {}", reader.manifest().id), &request, &outcome?, started)
}

fn of_backup(
    reader: &BackupReader,
    request: &LoadRequest,
    settings: &Settings,
    interrupted: &AtomicBool,
    throttle: &Throttle,
) -> Result<Loaded, LoadError> {
    let users = if request.users { Some(DumpSource::users(reader)?) } else { None };
    let source = DumpSource::Backup { reader, index: Box::new(reader.index()?), threads: settings.threads };
    run(&source, users.as_ref(), request, interrupted, throttle)
}

fn run(
    source: &DumpSource<'_>,
    users: Option<&DumpSource<'_>>,
    request: &LoadRequest,
    interrupted: &AtomicBool,
    throttle: &Throttle,
) -> Result<Loaded, LoadError> {
    let bar = RefCell::new(None::<ByteBar>);
    let progress = |done| bar.borrow().iter().for_each(|bar| bar.set(done));
    let control = Control { progress: &progress, interrupted, limiter: &throttle.data };
    let outcome = load(source, users, request, &control, &mut |verb, total| {
        bar.replace(Some(ByteBar::new(verb, total)));
    });
    drop(bar.take());
    outcome
}

/// SOCKET is a path, HOST or HOST:PORT anything else.
fn endpoint(args: &RestoreArgs) -> Result<Endpoint, CommandError> {
    let into = args.into.as_deref().unwrap_or_default();
    if into.contains('/') {
        return Ok(Endpoint::Socket(into.into()));
    }
    let address = into
        .parse()
        .map_err(|why| CommandError::Usage(format!("--into: {why}, and a socket has a '/' in its name")))?;
    Ok(Endpoint::Tcp(address))
}

fn request(args: &RestoreArgs, endpoint: Endpoint, settings: &Settings) -> LoadRequest {
    LoadRequest {
        endpoint,
        access: Access::to_members(settings, user_name(nix::unistd::geteuid().as_raw())),
        databases: args.databases.clone(),
        users: args.users,
        overwrite: args.overwrite,
        system_tables: args.system_tables,
        any_server: args.any_server,
    }
}

fn tell(
    args: &RestoreArgs,
    name: &str,
    request: &LoadRequest,
    loaded: &Loaded,
    started: Instant,
) -> Result<(), CommandError> {
    if args.json {
        return print_json(&json!({
            "source": name,
            "into": request.endpoint.to_string(),
            "version": loaded.version,
            "nodes": loaded.nodes,
            "databases": loaded.databases,
            "tables": loaded.tables,
            "bytes": loaded.bytes,
            "accounts": loaded.accounts,
            "accounts_kept": loaded.accounts_kept,
            "not_replicated": loaded.not_replicated,
            "notes": loaded.notes,
        }));
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    print(&as_text(name, request, loaded, took))
}

fn as_text(name: &str, request: &LoadRequest, loaded: &Loaded, took: u64) -> TextPage {
    let mut page = TextPage::of(format!(
        "Loaded {name} into the server at {} (MariaDB {}): databases {}, tables {}, {} in {}.",
        request.endpoint,
        loaded.version,
        grouped(loaded.databases.len() as u64),
        grouped(loaded.tables),
        bytes(loaded.bytes),
        duration_ms(took)
    ));
    if let Some(nodes) = loaded.nodes {
        page.line(format!("It is a Galera node: every node of the cluster (nodes {nodes}) has it."));
    }
    if !loaded.databases.is_empty() {
        page.line(format!("Databases: {}", loaded.databases.join(", ")));
    }
    if request.users {
        page.line(format!("Accounts made: {}", listed(&loaded.accounts)));
    }
    let mut notes = loaded.notes.clone();
    if !loaded.accounts_kept.is_empty() {
        notes.push(format!(
            "the server had these accounts already, and they stay as they were: {}",
            loaded.accounts_kept.join(", ")
        ));
    }
    if !loaded.not_replicated.is_empty() {
        notes.push(format!(
            "Galera does not replicate the rows of these tables, which are on this node alone: {}. ALTER TABLE … ENGINE=InnoDB \
             brings them to every node",
            loaded.not_replicated.join(", ")
        ));
    }
    for note in notes {
        page.blank();
        page.line(format!("Note: {note}."));
    }
    page
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

impl From<LoadError> for CommandError {
    fn from(error: LoadError) -> Self {
        let text = error.to_string();
        match error {
            LoadError::Source(error) => error.into(),
            LoadError::Usage(_) => Self::Usage(text),
            LoadError::Damaged(_) => Self::Damaged(text),
            LoadError::Refused(_) | LoadError::Stopped(_) | LoadError::Interrupted => Self::Failed(text),
        }
    }
}
