//! One file per command: arguments, the call, and what a person or a program is shown.

pub mod backup;
mod backup_shown;
pub mod check;
mod common_args;
pub mod copy;
pub mod drill;
mod drill_args;
mod drill_join;
mod drill_shown;
pub mod hold;
mod id_args;
mod interruption;
mod ist_forecast;
pub mod list;
mod list_terminal;
pub mod ls;
pub mod prune;
mod prune_besides;
mod prune_scope;
mod prune_words;
mod reading_args;
pub mod report;
pub mod restore;
mod restore_args;
mod restore_delta;
mod restore_host;
mod restore_into;
mod restore_tables;
pub mod run;
mod run_backup;
mod run_command;
mod run_names;
mod run_node;
mod run_replica;
mod run_told;
mod run_turn;
pub mod show;
pub mod snapshot_helper;
pub mod verify;
mod whole_archive;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;

pub use common_args::CommonArgs;
use interruption::interruption;
pub(crate) use interruption::let_first_process_end;

use crate::catalog::{BackupReadError, BackupReader, Catalog, CatalogError, Selector, TooDeep};
use crate::config::Settings;
use crate::copy::CopyError;
use crate::exit;
use crate::metrics::{self, News, Scope};
use crate::model::ManifestError;
use crate::restore::RestoreError;
use crate::seal::Identities;
use crate::storage::{self, Interruptible, Storage, StorageError};
use crate::throttle::Throttle;
use crate::ui::{TextPage, visible_json};
use crate::users::user_name;

/// What a command works with.
pub struct Context {
    /// The resolved settings.
    pub settings: Settings,
    /// The repository.
    pub storage: Arc<dyn Storage>,
}

impl Context {
    /// Opens the repository, which must be there and readable.
    pub fn open(settings: Settings) -> Result<Self, CommandError> {
        let storage = storage::open(&settings)?;
        storage.probe().map_err(|error| {
            CommandError::Repository(format!("{error} (--repository or the setting 'repository' names it)"))
        })?;
        if let Some(found) = TooDeep::find(storage.as_ref()) {
            let text =
                format!("{} (--repository or the setting 'repository'){}", found.words(), found.strays());
            // What was stored there must still be found.
            if found.others.is_empty() {
                return Err(CommandError::Usage(text));
            }
            log::warn!("{text}");
        }
        Ok(Self { settings, storage })
    }

    /// Calls to the repository return at once when the flag is set.
    fn interruptible(&mut self, interrupted: &Arc<AtomicBool>) {
        self.storage = Arc::new(Interruptible::new(Arc::clone(&self.storage), Arc::clone(interrupted)));
    }

    /// Finds the backup.
    pub fn find(&self, selector: &Selector) -> Result<BackupReader, CommandError> {
        let (cluster, manifest) = selector.find(self.storage.as_ref(), self.cluster(), Timestamp::now())?;
        Ok(BackupReader::new(Arc::clone(&self.storage), cluster, manifest))
    }

    /// Finds a backup to rely on: none that is known to be damaged, unless it is named.
    pub fn find_intact(&self, selector: &Selector) -> Result<BackupReader, CommandError> {
        let storage = self.storage.as_ref();
        let (cluster, manifest) = selector.find_intact(storage, self.cluster(), Timestamp::now())?;
        Ok(BackupReader::new(Arc::clone(&self.storage), cluster, manifest))
    }

    /// The same among dumps, where the newest is asked for.
    pub fn find_intact_dump(&self, selector: &Selector) -> Result<BackupReader, CommandError> {
        let storage = self.storage.as_ref();
        let (cluster, manifest) = selector.find_intact_dump(storage, self.cluster(), Timestamp::now())?;
        Ok(BackupReader::new(Arc::clone(&self.storage), cluster, manifest))
    }

    /// A backup with the keys that it needs, where they are set.
    pub fn with_keys(&self, source: BackupReader) -> Result<BackupReader, CommandError> {
        let Some(file) = self.settings.identity_file.as_ref().filter(|_| source.is_encrypted()) else {
            return Ok(source);
        };
        let ask = |prompt: &str| rpassword::prompt_password(prompt).ok();
        let keys = Identities::read(file, &ask).map_err(|error| CommandError::Usage(error.to_string()))?;
        Ok(source.with_keys(Some(Arc::new(keys))))
    }

    /// What `limit-rate` allows this command, until it is interrupted.
    pub fn throttle(&self, interrupted: &Arc<AtomicBool>) -> Throttle {
        Throttle::new(self.settings.limit_rate, interrupted)
    }

    /// The name of the cluster to look at, where one is set.
    pub fn cluster(&self) -> Option<&str> {
        self.settings.cluster.as_deref()
    }
}

/// How a command ends when it does not succeed.
#[derive(Debug, Error)]
pub enum CommandError {
    /// Exit status 2.
    #[error("{0}")]
    Usage(String),
    /// Exit status 2, in several lines.
    #[error("{}", .0.join("\n"))]
    Question(Vec<String>),
    /// Exit status 3.
    #[error("{0}")]
    NotFound(String),
    /// Exit status 4.
    #[error("{0}")]
    Damaged(String),
    /// Exit status 4; what is wrong has been shown.
    #[error("the backup is damaged")]
    DamageShown,
    /// Exit status 1.
    #[error("{0}")]
    Failed(String),
    /// Exit status 1: the repository cannot be used.
    #[error("{0}")]
    Repository(String),
    /// Exit status 1: nothing was done, because it would do harm now.
    #[error("{0}")]
    Refused(String),
    /// Exit status 1; what is wrong has been shown.
    #[error("there are errors")]
    Shown,
    /// The exit status of the administrator's command, which has said why.
    #[error("the command ended with status {0}")]
    Status(u8),
}

impl CommandError {
    /// See [`exit`].
    pub fn exit_status(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Question(_) => exit::USAGE,
            Self::NotFound(_) => exit::NOT_FOUND,
            Self::Damaged(_) | Self::DamageShown => exit::DAMAGED,
            Self::Failed(_) | Self::Repository(_) | Self::Refused(_) | Self::Shown => exit::FAILED,
            Self::Status(status) => *status,
        }
    }

    /// What is left to say, in lines.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::DamageShown | Self::Shown | Self::Status(_) => Vec::new(),
            Self::Question(lines) => lines.clone(),
            _ => vec![self.to_string()],
        }
    }
}

impl From<StorageError> for CommandError {
    fn from(error: StorageError) -> Self {
        Self::Repository(error.to_string())
    }
}

impl From<CatalogError> for CommandError {
    fn from(error: CatalogError) -> Self {
        let text = error.to_string();
        let mut cause = &error;
        while let CatalogError::Newest(inner) = cause {
            cause = inner;
        }
        match cause {
            CatalogError::NotFound(_) => Self::NotFound(text),
            CatalogError::Manifest { cause: ManifestError::Damaged(_), .. }
            | CatalogError::Misplaced { .. } => Self::Damaged(text),
            CatalogError::Doubtful { doubt, .. } if doubt.is_damage() => Self::Damaged(text),
            CatalogError::AmbiguousCluster(_) => Self::Usage(text),
            _ => Self::Failed(text),
        }
    }
}

impl From<BackupReadError> for CommandError {
    fn from(error: BackupReadError) -> Self {
        match error {
            BackupReadError::Damaged { .. } => Self::Damaged(error.to_string()),
            BackupReadError::Locked { .. } => Self::Usage(error.to_string()),
            BackupReadError::Storage(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<CopyError> for CommandError {
    fn from(error: CopyError) -> Self {
        let text = error.to_string();
        match error {
            _ if error.is_damage() => Self::Damaged(text),
            _ if error.is_removal_there() => Self::NotFound(text),
            _ => Self::Failed(text),
        }
    }
}

impl From<RestoreError> for CommandError {
    fn from(error: RestoreError) -> Self {
        let text = error.to_string();
        match error {
            RestoreError::Source(error) => error.into(),
            RestoreError::Damaged { .. } => Self::Damaged(text),
            RestoreError::Usage(_) => Self::Usage(text),
            RestoreError::Unnamed(lines) => Self::Question(lines),
            _ => Self::Failed(text),
        }
    }
}

/// The error for a backup that `prune` has removed under its reader: nothing that is missing or wrong is damage then.
fn removed(source: &BackupReader) -> CommandError {
    CommandError::NotFound(format!(
        "backup '{}' was removed while it was read, so nothing can be said of it; 'hold' keeps one from 'prune'",
        source.manifest().id
    ))
}

/// Prints lines for a person on stdout.
fn print(page: &TextPage) -> Result<(), CommandError> {
    write(page.as_str())
}

/// Writes text that is harmless already. A reader that has gone (`| head`) is no error.
fn write(text: &str) -> Result<(), CommandError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CommandError::Failed(format!("cannot write to stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// Prints a value as JSON for a program.
fn print_json(value: &impl Serialize) -> Result<(), CommandError> {
    let mut text =
        serde_json::to_string_pretty(value).map_err(|error| CommandError::Failed(error.to_string()))?;
    text.push('\n');
    write(&visible_json(&text))
}

/// For what a flag says that is not understood.
fn usage<T, E: std::fmt::Display>(flag: &str, value: Result<T, E>) -> Result<T, CommandError> {
    value.map_err(|why| CommandError::Usage(format!("{flag}: {why}")))
}

/// `user@host`; what the system does not tell is its number, or nothing.
fn who() -> String {
    let uid = nix::unistd::geteuid().as_raw();
    let user = user_name(uid).unwrap_or_else(|| uid.to_string());
    match nix::unistd::gethostname() {
        Ok(host) => format!("{user}@{}", host.to_string_lossy()),
        Err(_) => user,
    }
}

/// Writes the metrics anew, where there is a file for them, from what the repository holds now. Nothing depends on it.
fn refresh_metrics(context: &Context, scope: Scope<'_>) {
    let cluster = match scope {
        Scope::Cluster(name) => Some(name),
        Scope::All => None,
    };
    if context.settings.metrics_file.is_some() {
        let catalog = Catalog::read(context.storage.as_ref(), cluster);
        if let Err(error) = &catalog {
            log::warn!("metrics: {error}");
        }
        write_metrics(&context.settings, scope, catalog.ok());
    }
}

/// Says what could not be looked into; the exit status says it too.
fn complain_of(unknown: &[String]) -> Result<(), CommandError> {
    for why in unknown {
        log::error!("{why}; whatever backups are there are not looked at");
    }
    if unknown.is_empty() { Ok(()) } else { Err(CommandError::Shown) }
}

/// The same with what was found already; nothing where the repository could not be read.
fn write_metrics(settings: &Settings, scope: Scope<'_>, found: Option<Catalog>) {
    let Some(path) = &settings.metrics_file else { return };
    // What is there of all clusters is not known where one of them cannot be looked into.
    let unknown = found.as_ref().and_then(|found| found.unknown.first().cloned());
    if let Some(why) = &unknown {
        log::warn!("metrics: {why}");
    }
    let found = found.filter(|_| unknown.is_none());
    let news = News::of(scope, found, Timestamp::now());
    if let Err(error) = metrics::update(path, |all| all.tell(&news)) {
        log::warn!("metrics: {error}");
    }
}
