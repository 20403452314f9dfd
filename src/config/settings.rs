//! Our own settings, resolved once; nothing later reads a file, a flag or the environment.

use std::num::{NonZero, NonZeroU64};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use super::duration;
use super::layers::{Gathered, Origin, Said, SettingsOverrides};
use super::names::bool_value;
use super::option_files::OptionFiles;
use super::repository::RepositoryUrl;
use super::retention::{self, Retention};
use super::s3::{self, S3Settings};
use super::secret::Secret;
use super::size;
use super::value::{self, BinlogChoice, Method, ValueError};
use crate::model::{Compression, HostPort};
use crate::seal::Recipient;

/// The longest freeze unless told otherwise.
const FREEZE_TIMEOUT: Duration = Duration::from_secs(3600);
/// The longest wait for the Primary component unless told otherwise.
pub const PRIMARY_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The longest wait for one operation of the repository unless told otherwise.
const STALL_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// The longest wait for the flush unless told otherwise.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);
/// `lock-timeout` where nobody sets it.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);
/// More threads than this bring nothing but memory.
const MAX_THREADS: usize = 256;

/// Everything that can be set, checked. Each field is the setting of that name, `-` for `_`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that somebody sets")]
pub struct Settings {
    /// Where backups go.
    pub repository: RepositoryUrl,
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
    /// Whom archive and index are encrypted for; nobody: they are not.
    pub encrypt_to: Vec<Recipient>,
    /// The secret keys that open encrypted backups.
    pub identity_file: Option<PathBuf>,
    /// The longest the server may stay frozen before the backup is given up.
    pub freeze_timeout: Duration,
    /// How long to wait for `FLUSH TABLES WITH READ LOCK`.
    pub flush_timeout: Duration,
    /// The longest that one try for that lock holds up the server's writes.
    pub lock_timeout: Duration,
    /// How long to wait, at the end, for a node that is cut off to be in the Primary component again.
    pub primary_timeout: Duration,
    /// How long one operation of the repository may take: a write, or the sync of a whole object.
    pub stall_timeout: Duration,
    /// Bytes a second, on the side of the data directory and on that of the repository; see [`crate::throttle`].
    pub limit_rate: Option<NonZeroU64>,
    /// Whether what has time makes way for the server; see [`crate::priority`].
    pub low_priority: bool,
    /// Which binary logs go into the backup.
    pub binlogs: BinlogChoice,
    /// Back up although `#rocksdb` is not frozen.
    pub allow_rocksdb: bool,
    /// Freeze a donor that stops the writes of its whole cluster (`gcs.sync_donor`).
    pub allow_sync_donor: bool,
    /// The SQL user; without it the user of the operating system.
    pub user: Option<String>,
    /// The SQL password.
    pub password: Option<Secret>,
    /// The server's socket; without it the one that mysqld names.
    pub socket: Option<PathBuf>,
    /// Members of the cluster that answer SQL over TCP. Others are found by asking them.
    pub members: Vec<HostPort>,
    /// The authority that has signed the servers' certificates; TLS over TCP is used where it is set.
    pub ssl_ca: Option<PathBuf>,
    /// The client's certificate.
    pub ssl_cert: Option<PathBuf>,
    /// The key of that certificate.
    pub ssl_key: Option<PathBuf>,
    /// Whether a server's certificate must bear the name of its host.
    pub ssl_verify_server_cert: bool,
    /// Which backups are kept: `keep-within`, `keep-last`, `keep-daily`, …
    pub retention: Retention,
    /// Whether a donor prunes its cluster's backups after a backup.
    pub prune_after_backup: bool,
    /// How a bucket is reached.
    pub s3: S3Settings,
    /// The file for node_exporter's textfile collector, by its absolute path.
    pub metrics_file: Option<PathBuf>,
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
        let retention = retention(&mut given)?;
        let prune_after_backup = switch(&mut given, "prune-after-backup", false)?;
        if prune_after_backup && retention.is_empty() {
            given
                .warnings
                .push("prune-after-backup does nothing: no keep-… setting says what to keep".into());
        }
        let repository: RepositoryUrl = value_of(&mut given, "repository", str::parse)?.unwrap_or_default();
        let s3 = s3_settings(&mut given)?;
        given.warnings.extend(s3.warning(&repository));
        let metrics_file = value_of(&mut given, "metrics-file", value::absolute_path)?;
        given.warnings.extend(metrics_file.as_deref().and_then(metrics_warning));
        Ok(Self {
            repository,
            s3,
            metrics_file,
            cluster: value_of(&mut given, "cluster", string)?,
            method: value_of(&mut given, "method", str::parse)?.unwrap_or_default(),
            compression,
            compression_level,
            threads: value_of(&mut given, "threads", |text| value::number(text, &(1..=MAX_THREADS)))?
                .unwrap_or_else(cores),
            encrypt_to: recipients(&mut given)?,
            identity_file: value_of(&mut given, "identity-file", path)?,
            freeze_timeout: value_of(&mut given, "freeze-timeout", duration::parse)?
                .unwrap_or(FREEZE_TIMEOUT),
            flush_timeout: value_of(&mut given, "flush-timeout", duration::parse)?.unwrap_or(FLUSH_TIMEOUT),
            lock_timeout: value_of(&mut given, "lock-timeout", duration::parse)?.unwrap_or(LOCK_TIMEOUT),
            primary_timeout: value_of(&mut given, "primary-timeout", duration::parse)?
                .unwrap_or(PRIMARY_TIMEOUT),
            stall_timeout: value_of(&mut given, "stall-timeout", duration::parse)?.unwrap_or(STALL_TIMEOUT),
            limit_rate: value_of(&mut given, "limit-rate", size::rate)?.flatten(),
            low_priority: switch(&mut given, "low-priority", true)?,
            binlogs: value_of(&mut given, "binlogs", str::parse)?.unwrap_or_default(),
            allow_rocksdb: switch(&mut given, "allow-rocksdb", false)?,
            allow_sync_donor: switch(&mut given, "allow-sync-donor", false)?,
            user: value_of(&mut given, "user", string)?,
            password: secret(&mut given, "password")?,
            socket: value_of(&mut given, "socket", path)?,
            members: value_of(&mut given, "members", value::members)?.unwrap_or_default(),
            ssl_ca: value_of(&mut given, "ssl-ca", path)?,
            ssl_cert: value_of(&mut given, "ssl-cert", path)?,
            ssl_key: value_of(&mut given, "ssl-key", path)?,
            ssl_verify_server_cert: switch(&mut given, "ssl-verify-server-cert", true)?,
            retention,
            prune_after_backup,
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
    match text_value(name, &said, read) {
        Ok(value) => Ok(Some((value, origin))),
        Err(problem) => Err(ConfigError::Value { name, origin, problem }),
    }
}

fn text_value<T>(
    name: &'static str,
    said: &Said,
    read: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Result<T, ValueError> {
    match said {
        Said::Text(text) => utf8(text.expose()).and_then(read),
        Said::Bare | Said::Switched(_) => Err(ValueError::new(format!("needs a value: {name}=…"))),
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

fn switch(given: &mut Gathered, name: &'static str, default: bool) -> Result<bool, ConfigError> {
    match given.take(name) {
        None => Ok(default),
        Some((Said::Bare, _)) => Ok(true),
        Some((Said::Switched(on), _)) => Ok(on),
        Some((Said::Text(text), origin)) => bool_value(text.expose()).ok_or_else(|| {
            let problem = format!("'{}' is not one of 1, on, true, 0, off, false", text.expose());
            ConfigError::Value { name, origin, problem: ValueError::new(problem) }
        }),
    }
}

/// Public keys, several of them on a line with commas between them, each once.
fn recipients(given: &mut Gathered) -> Result<Vec<Recipient>, ConfigError> {
    let name = "encrypt-to";
    let read = |text: &str| -> Result<Vec<Recipient>, ValueError> {
        let parts = string(text)?;
        let parts = parts.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
        let keys = parts.map(Recipient::read).collect::<Result<Vec<_>, _>>().map_err(ValueError::new)?;
        Ok(keys.into_iter().flatten().collect())
    };
    let mut all: Vec<Recipient> = Vec::new();
    for (said, origin) in given.take_all(name) {
        let keys =
            text_value(name, &said, read).map_err(|problem| ConfigError::Value { name, origin, problem })?;
        for key in keys {
            if !all.contains(&key) {
                all.push(key);
            }
        }
    }
    Ok(all)
}

fn retention(given: &mut Gathered) -> Result<Retention, ConfigError> {
    Ok(Retention {
        within: value_of(given, "keep-within", duration::parse_long)?,
        last: value_of(given, "keep-last", retention::count)?,
        daily: value_of(given, "keep-daily", retention::count)?,
        weekly: value_of(given, "keep-weekly", retention::count)?,
        monthly: value_of(given, "keep-monthly", retention::count)?,
        yearly: value_of(given, "keep-yearly", retention::count)?,
    })
}

/// A password may be empty; everything else that is text may not.
fn secret(given: &mut Gathered, name: &'static str) -> Result<Option<Secret>, ConfigError> {
    value_of(given, name, |text| Ok(Secret::from(text.to_owned())))
}

/// The settings `s3-…`, which have to go together.
fn s3_settings(given: &mut Gathered) -> Result<S3Settings, ConfigError> {
    let mut origins = given.origins();
    let path_style = given.has("s3-path-style").then(|| switch(given, "s3-path-style", true)).transpose()?;
    let settings = S3Settings {
        endpoint: value_of(given, "s3-endpoint", s3::endpoint)?,
        region: value_of(given, "s3-region", string)?,
        access_key_id: value_of(given, "s3-access-key-id", string)?,
        secret_access_key: secret(given, "s3-secret-access-key")?,
        session_token: secret(given, "s3-session-token")?,
        profile: value_of(given, "s3-profile", string)?,
        ca_file: value_of(given, "s3-ca-file", path)?,
        sse: value_of(given, "s3-sse", str::parse)?,
        sse_kms_key: value_of(given, "s3-sse-kms-key", string)?,
        sse_customer_key: value_of(given, "s3-sse-customer-key", s3::customer_key)?,
        max_parts: value_of(given, "s3-max-parts", |text| value::number(text, &(10..=10_000)))?
            .unwrap_or(S3Settings::default().max_parts),
        path_style,
        proxy: value_of(given, "s3-proxy", s3::proxy)?,
    };
    match settings.contradiction() {
        None => Ok(settings),
        Some((name, problem)) => {
            let origin = origins.remove(name).unwrap_or(Origin::Default);
            Err(ConfigError::Value { name, origin, problem: ValueError::new(problem) })
        }
    }
}

/// node_exporter passes over files of other names.
fn metrics_warning(path: &Path) -> Option<String> {
    let is_read = path.extension().is_some_and(|extension| extension == "prom");
    (!is_read).then(|| {
        format!("metrics-file '{}' does not end in .prom: node_exporter does not read it", path.display())
    })
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

fn path(text: &str) -> Result<PathBuf, ValueError> {
    string(text).map(PathBuf::from)
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
