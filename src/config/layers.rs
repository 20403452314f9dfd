//! Where a setting comes from: option files, then the environment, then flags; the last one counts.
//!
//! This module gathers the texts with their origin, and refuses names that do not exist. It does not look at
//! values: a wrong value that a later layer replaces does no harm.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use super::names::{Prefix, nearest, normalise, split_prefix};
use super::option_files::{OptionFiles, Setting};
use super::secret::Secret;
use super::settings::ConfigError;

/// Our group in the option files.
const GROUP: &str = "wsrep_sst_backup";
/// What our environment variables begin with.
const ENV_PREFIX: &str = "WSREP_SST_BACKUP_";

/// Every setting there is. Their order is that of [`Gathered`]'s slots.
pub(super) const NAMES: [&str; 47] = [
    "repository",
    "cluster",
    "method",
    "compression",
    "compression-level",
    "threads",
    "encrypt-to",
    "identity-file",
    "freeze-timeout",
    "flush-timeout",
    "lock-timeout",
    "primary-timeout",
    "stall-timeout",
    "limit-rate",
    "low-priority",
    "binlogs",
    "allow-rocksdb",
    "allow-sync-donor",
    "user",
    "password",
    "socket",
    "members",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-verify-server-cert",
    "keep-within",
    "keep-last",
    "keep-daily",
    "keep-weekly",
    "keep-monthly",
    "keep-yearly",
    "prune-after-backup",
    "s3-endpoint",
    "s3-region",
    "s3-access-key-id",
    "s3-secret-access-key",
    "s3-session-token",
    "s3-profile",
    "s3-ca-file",
    "s3-sse",
    "s3-sse-kms-key",
    "s3-sse-customer-key",
    "s3-max-parts",
    "s3-path-style",
    "s3-proxy",
    "metrics-file",
];
/// The settings that are switches: `skip-`, `disable-` and `enable-` apply to them, and a bare name is on.
const SWITCHES: [&str; 6] = [
    "low-priority",
    "allow-rocksdb",
    "allow-sync-donor",
    "ssl-verify-server-cert",
    "prune-after-backup",
    "s3-path-style",
];

/// The settings of which each line of the option files adds to the lines before it. Another layer replaces them all.
const LISTS: [&str; 1] = ["encrypt-to"];

/// Flags of the command line, as text; they override everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the flag of that name, described by its setting")]
pub struct SettingsOverrides {
    pub repository: Option<String>,
    pub cluster: Option<String>,
    pub method: Option<String>,
    pub compression: Option<String>,
    pub compression_level: Option<String>,
    pub threads: Option<String>,
    pub encrypt_to: Option<String>,
    pub identity_file: Option<String>,
    pub freeze_timeout: Option<String>,
    pub flush_timeout: Option<String>,
    pub lock_timeout: Option<String>,
    pub primary_timeout: Option<String>,
    pub stall_timeout: Option<String>,
    pub limit_rate: Option<String>,
    pub low_priority: Option<String>,
    pub binlogs: Option<String>,
    pub allow_rocksdb: Option<String>,
    pub allow_sync_donor: Option<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub socket: Option<String>,
    pub members: Option<String>,
    pub ssl_ca: Option<String>,
    pub ssl_cert: Option<String>,
    pub ssl_key: Option<String>,
    pub ssl_verify_server_cert: Option<String>,
    pub keep_within: Option<String>,
    pub keep_last: Option<String>,
    pub keep_daily: Option<String>,
    pub keep_weekly: Option<String>,
    pub keep_monthly: Option<String>,
    pub keep_yearly: Option<String>,
    pub prune_after_backup: Option<String>,
    pub s3_endpoint: Option<String>,
    pub s3_region: Option<String>,
    pub s3_access_key_id: Option<String>,
    pub s3_secret_access_key: Option<Secret>,
    pub s3_session_token: Option<Secret>,
    pub s3_profile: Option<String>,
    pub s3_ca_file: Option<String>,
    pub s3_sse: Option<String>,
    pub s3_sse_kms_key: Option<String>,
    pub s3_sse_customer_key: Option<Secret>,
    pub s3_max_parts: Option<String>,
    pub s3_path_style: Option<String>,
    pub s3_proxy: Option<Secret>,
    pub metrics_file: Option<String>,
}

impl SettingsOverrides {
    /// The texts in the order of [`NAMES`].
    fn texts(&self) -> [Option<&str>; NAMES.len()] {
        [
            self.repository.as_deref(),
            self.cluster.as_deref(),
            self.method.as_deref(),
            self.compression.as_deref(),
            self.compression_level.as_deref(),
            self.threads.as_deref(),
            self.encrypt_to.as_deref(),
            self.identity_file.as_deref(),
            self.freeze_timeout.as_deref(),
            self.flush_timeout.as_deref(),
            self.lock_timeout.as_deref(),
            self.primary_timeout.as_deref(),
            self.stall_timeout.as_deref(),
            self.limit_rate.as_deref(),
            self.low_priority.as_deref(),
            self.binlogs.as_deref(),
            self.allow_rocksdb.as_deref(),
            self.allow_sync_donor.as_deref(),
            self.user.as_deref(),
            self.password.as_ref().map(Secret::expose),
            self.socket.as_deref(),
            self.members.as_deref(),
            self.ssl_ca.as_deref(),
            self.ssl_cert.as_deref(),
            self.ssl_key.as_deref(),
            self.ssl_verify_server_cert.as_deref(),
            self.keep_within.as_deref(),
            self.keep_last.as_deref(),
            self.keep_daily.as_deref(),
            self.keep_weekly.as_deref(),
            self.keep_monthly.as_deref(),
            self.keep_yearly.as_deref(),
            self.prune_after_backup.as_deref(),
            self.s3_endpoint.as_deref(),
            self.s3_region.as_deref(),
            self.s3_access_key_id.as_deref(),
            self.s3_secret_access_key.as_ref().map(Secret::expose),
            self.s3_session_token.as_ref().map(Secret::expose),
            self.s3_profile.as_deref(),
            self.s3_ca_file.as_deref(),
            self.s3_sse.as_deref(),
            self.s3_sse_kms_key.as_deref(),
            self.s3_sse_customer_key.as_ref().map(Secret::expose),
            self.s3_max_parts.as_deref(),
            self.s3_path_style.as_deref(),
            self.s3_proxy.as_ref().map(Secret::expose),
            self.metrics_file.as_deref(),
        ]
    }
}

/// The place that a setting, or a fault in it, comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// An option file.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u32,
    },
    /// An environment variable of this name.
    Environment(String),
    /// A flag of this name, without dashes.
    Flag(&'static str),
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// The rank of the layer; a higher one overrides a lower one.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What somebody said about one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// `name=text`.
    Text(Secret),
    /// `name` alone.
    Bare,
    /// `skip-name`, `enable-name` and the like.
    Switched(bool),
}

/// The last word on every setting.
#[derive(Debug)]
pub(super) struct Gathered {
    slots: [Option<(Said, Origin)>; NAMES.len()],
    /// What was said in the option files about [`LISTS`], before the last word.
    earlier: Vec<(&'static str, Said, Origin)>,
    pub(super) warnings: Vec<String>,
}

impl Default for Gathered {
    fn default() -> Self {
        Self { slots: [const { None }; NAMES.len()], earlier: Vec::new(), warnings: Vec::new() }
    }
}

impl Gathered {
    /// Goes through all layers.
    pub(super) fn from(
        files: &OptionFiles,
        env: impl Iterator<Item = (String, String)>,
        flags: &SettingsOverrides,
    ) -> Result<Self, ConfigError> {
        let mut gathered = Self::default();
        for setting in files.group_settings(&[GROUP]) {
            gathered.file_setting(setting)?;
        }
        for (variable, text) in env {
            gathered.variable(variable, text)?;
        }
        for (slot, text) in flags.texts().into_iter().enumerate() {
            if let Some(text) = text {
                let said = Said::Text(Secret::from(text.to_owned()));
                gathered.slots[slot] = Some((said, Origin::Flag(NAMES[slot])));
            }
        }
        Ok(gathered)
    }

    /// Whether anything was said about a setting.
    pub(super) fn has(&self, name: &str) -> bool {
        position(name).is_some_and(|slot| self.slots[slot].is_some())
    }

    /// Where each setting that anything was said about has it from.
    pub(super) fn origins(&self) -> HashMap<&'static str, Origin> {
        let said = NAMES.into_iter().zip(&self.slots);
        said.filter_map(|(name, slot)| Some((name, slot.as_ref()?.1.clone()))).collect()
    }

    /// What was said about a setting of [`NAMES`], and where.
    pub(super) fn take(&mut self, name: &str) -> Option<(Said, Origin)> {
        let slot = NAMES.iter().position(|known| *known == name)?;
        self.slots[slot].take()
    }

    /// The same for a setting of [`LISTS`]: everything that counts, in its order.
    pub(super) fn take_all(&mut self, name: &str) -> Vec<(Said, Origin)> {
        let Some(last) = self.take(name) else { return Vec::new() };
        let adds = matches!(last.1, Origin::File { .. });
        let mut all: Vec<(Said, Origin)> = self
            .earlier
            .extract_if(.., |(list, ..)| *list == name)
            .map(|(_, said, from)| (said, from))
            .collect();
        if !adds {
            all.clear();
        }
        all.push(last);
        all
    }

    fn file_setting(&mut self, setting: &Setting) -> Result<(), ConfigError> {
        let origin = Origin::File { path: setting.file.clone(), line: setting.line };
        let value = setting.value.as_deref();
        let (loose, name) = match split_prefix(&setting.name) {
            Some((Prefix::Loose, rest)) => (true, rest),
            _ => (false, setting.name.as_str()),
        };
        let plain = value.map_or(Said::Bare, |text| Said::Text(Secret::from(text.to_owned())));
        if let Some(slot) = position(name) {
            // A group for another repository must be able to do without what the first one has set.
            if value == Some("") && name.starts_with("s3-") && self.slots[slot].take().is_some() {
                return Ok(());
            }
            let before = self.slots[slot].replace((plain, origin));
            if let Some((said, from)) = before.filter(|_| LISTS.contains(&name)) {
                self.earlier.push((NAMES[slot], said, from));
            }
            return Ok(());
        }
        let switched = split_prefix(name).and_then(|(prefix, rest)| {
            let slot = position(rest).filter(|_| SWITCHES.contains(&rest))?;
            Some((slot, prefix.state(value)?))
        });
        if let Some((slot, on)) = switched {
            self.slots[slot] = Some((Said::Switched(on), origin));
            return Ok(());
        }
        if loose {
            self.warnings.push(format!("{origin}: unknown option '{}' is skipped", setting.written));
            return Ok(());
        }
        let meant = nearest(name, &NAMES).map(str::to_owned);
        Err(ConfigError::unknown(setting.written.clone(), origin, meant))
    }

    fn variable(&mut self, variable: String, text: String) -> Result<(), ConfigError> {
        let Some(name) = variable.strip_prefix(ENV_PREFIX) else {
            return Ok(());
        };
        let known = NAMES.iter().position(|known| variable_name(known) == variable);
        if let Some(slot) = known {
            let said = Said::Text(Secret::from(text));
            self.slots[slot] = Some((said, Origin::Environment(variable)));
            return Ok(());
        }
        let meant = nearest(&normalise(name), &NAMES).map(variable_name);
        Err(ConfigError::unknown(variable.clone(), Origin::Environment(variable), meant))
    }
}

fn position(name: &str) -> Option<usize> {
    NAMES.iter().position(|known| *known == name)
}

fn variable_name(name: &str) -> String {
    format!("{ENV_PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// The variables of this process that are ours. Unlike [`std::env::vars`] it does not panic on bytes that are not
/// UTF-8; a setting that has some is refused when it is resolved.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let all = std::env::vars_os().map(move |(name, text)| (lossy(name), lossy(text)));
    all.filter(|(name, _)| name.starts_with(ENV_PREFIX))
}
