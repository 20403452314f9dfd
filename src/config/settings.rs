//! Our own settings, resolved once; nothing later reads a file, a flag or the environment.

use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use super::duration;
use super::layers::{Gathered, Origin, Said, SettingsOverrides};
use super::names::bool_value;
use super::option_files::OptionFiles;
use super::secret::Secret;
use super::value::{self, BinlogChoice, Method, ValueError};
use crate::model::Compression;

/// Where backups go unless told otherwise.
const REPOSITORY: &str = "/var/backups/wsrep_sst_backup";
/// The longest freeze unless told otherwise.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(3600);
/// The longest wait for the Primary component unless told otherwise.
const PRIMARY_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The longest wait for the flush unless told otherwise.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);
/// More threads than this bring nothing but memory.
const MAX_THREADS: usize = 256;

/// Everything that can be set, checked. Each field is the setting of that name, `-` for `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The folder of the repository, absolute.
    pub repository: PathBuf,
    /// The cluster's name, where it is not to be taken from the server.
    pub cluster: Option<String>,
    /// How data is captured.
    pub method: Method,
    /// How the archive is compressed.
    pub compression: Compression,
    /// The level of that compression, within its range; 0 without compression.
    pub compression_level: i32,
    /// Threads that compress: 1 to 256.
    pub threads: usize,
    /// The longest the server may stay frozen before the backup is given up.
    pub freeze_timeout: Duration,
    /// How long to wait for `FLUSH TABLES WITH READ LOCK`.
    pub flush_timeout: Duration,
    /// How long to wait, after the copy, for a node that was cut off to be in the Primary component again.
    pub primary_timeout: Duration,
    /// Which binary logs go into the backup.
    pub binlogs: BinlogChoice,
    /// Back up although `#rocksdb` is not frozen.
    pub allow_rocksdb: bool,
    /// The SQL user; without it the user of the operating system.
    pub user: Option<String>,
    /// The SQL password.
    pub password: Option<Secret>,
    /// The server's socket; without it the one that mysqld names.
    pub socket: Option<PathBuf>,
    /// What a person should know, such as `loose-` options that do not exist. One line each.
    pub warnings: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A name that does not exist.
    #[error("{origin}: unknown {kind} '{name}'{}", hint(.meant.as_deref()), kind = kind(.origin))]
    Unknown {
        /// The name as written.
        name: String,
        /// Where it stands.
        origin: Origin,
        /// A name that does exist and looks like it.
        meant: Option<String>,
    },
    /// A value that does not fit.
    #[error("{origin}: {name}: {problem}")]
    Value {
        /// The setting.
        name: &'static str,
        /// Where it was set.
        origin: Origin,
        /// What is wrong. It never has the text of a password.
        problem: ValueError,
    },
}

fn kind(origin: &Origin) -> &'static str {
    if matches!(origin, Origin::Environment(_)) { "variable" } else { "option" }
}

fn hint(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

impl ConfigError {
    pub(super) fn unknown(name: String, origin: Origin, meant: Option<String>) -> Self {
        Self::Unknown { name, origin, meant }
    }
}

impl Settings {
    /// Resolves the layers: option files (group `[wsrep_sst_backup]`), then variables `WSREP_SST_BACKUP_<NAME>` out
    /// of `env` (others are passed over; see [`super::environment`]), then flags.
    pub fn resolve(
        files: &OptionFiles,
        env: impl Iterator<Item = (String, String)>,
        flags: &SettingsOverrides,
    ) -> Result<Self, ConfigError> {
        let mut given = Gathered::from(files, env, flags)?;
        let (compression, compression_from) = value_from(&mut given, "compression", |text: &str| {
            text.parse().map_err(|why: String| ValueError::new(why))
        })?
        .unwrap_or((Compression::default(), Origin::Default));
        let compression_level = level(&mut given, compression, &compression_from)?;
        Ok(Self {
            repository: value_of(&mut given, "repository", value::repository)?
                .unwrap_or_else(|| PathBuf::from(REPOSITORY)),
            cluster: value_of(&mut given, "cluster", string)?,
            method: value_of(&mut given, "method", str::parse)?.unwrap_or_default(),
            compression,
            compression_level,
            threads: value_of(&mut given, "threads", |text| value::number(text, &(1..=MAX_THREADS)))?
                .unwrap_or_else(cores),
            freeze_timeout: value_of(&mut given, "freeze-timeout", duration::parse)?
                .unwrap_or(FREEZE_TIMEOUT),
            flush_timeout: value_of(&mut given, "flush-timeout", duration::parse)?.unwrap_or(FLUSH_TIMEOUT),
            primary_timeout: value_of(&mut given, "primary-timeout", duration::parse)?
                .unwrap_or(PRIMARY_TIMEOUT),
            binlogs: value_of(&mut given, "binlogs", str::parse)?.unwrap_or_default(),
            allow_rocksdb: switch(&mut given, "allow-rocksdb")?,
            user: value_of(&mut given, "user", string)?,
            password: password(&mut given)?,
            socket: value_of(&mut given, "socket", |text| string(text).map(PathBuf::from))?,
            warnings: given.warnings,
        })
    }
}

/// A setting that needs a value, checked by `read`, with its origin.
fn value_from<T>(
    given: &mut Gathered,
    name: &'static str,
    read: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Result<Option<(T, Origin)>, ConfigError> {
    let Some((said, origin)) = given.take(name) else {
        return Ok(None);
    };
    let value = match &said {
        Said::Text(text) => utf8(text.expose()).and_then(read),
        Said::Bare | Said::Switched(_) => Err(ValueError::new(format!("needs a value: {name}=…"))),
    };
    match value {
        Ok(value) => Ok(Some((value, origin))),
        Err(problem) => Err(ConfigError::Value { name, origin, problem }),
    }
}

/// Like [`value_from`] where the origin does not matter.
fn value_of<T>(
    given: &mut Gathered,
    name: &'static str,
    read: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Result<Option<T>, ConfigError> {
    Ok(value_from(given, name, read)?.map(|(value, _)| value))
}

fn switch(given: &mut Gathered, name: &'static str) -> Result<bool, ConfigError> {
    match given.take(name) {
        None => Ok(false),
        Some((Said::Bare, _)) => Ok(true),
        Some((Said::Switched(on), _)) => Ok(on),
        Some((Said::Text(text), origin)) => bool_value(text.expose()).ok_or_else(|| {
            let problem = format!("'{}' is not one of 1, on, true, 0, off, false", text.expose());
            ConfigError::Value { name, origin, problem: ValueError::new(problem) }
        }),
    }
}

/// The password may be empty; everything else that is text may not.
fn password(given: &mut Gathered) -> Result<Option<Secret>, ConfigError> {
    value_of(given, "password", |text| Ok(Secret::from(text.to_owned())))
}

/// The level has to suit the compression, which may come from elsewhere.
///
/// `none` has no levels, so a level beside it is an error; but one of an earlier layer was meant for the compression
/// that a later layer has switched off, and nobody could take it back there.
fn level(given: &mut Gathered, compression: Compression, from: &Origin) -> Result<i32, ConfigError> {
    let read = |text: &str| value::number(text, &(i32::MIN..=i32::MAX));
    let Some((level, origin)) = value_from(given, "compression-level", read)? else {
        return Ok(compression.default_level());
    };
    let problem = match compression.levels() {
        Some(levels) if levels.contains(&level) => return Ok(level),
        Some(levels) => {
            let (low, high) = levels.into_inner();
            format!("{level} is not a level of {compression} ({from}), whose levels are {low} to {high}")
        }
        None if origin.layer() < from.layer() => return Ok(compression.default_level()),
        None => format!("{level} cannot be used: compression '{compression}' ({from}) has no levels"),
    };
    Err(ConfigError::Value { name: "compression-level", origin, problem: ValueError::new(problem) })
}

fn string(text: &str) -> Result<String, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new("is empty; give it a value or leave it out"));
    }
    Ok(text.to_owned())
}

/// Bytes that are not UTF-8 have become U+FFFD when the text was read, and would name another file or user.
fn utf8(text: &str) -> Result<&str, ValueError> {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ValueError::new("has bytes that are not UTF-8"));
    }
    Ok(text)
}

/// The cores that this process may use; 1 where the system does not tell.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
