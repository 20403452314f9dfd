//! Our own settings, resolved once; nothing later reads a file, a flag or the environment.

mod combinations;
mod error;
mod layers;
mod origin;
mod overrides;
mod resolve;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

pub use error::ConfigError;
pub use layers::environment;
pub use origin::SettingOrigin;
pub use overrides::SettingsOverrides;

use crate::config::values::choice::{BinlogChoice, MethodChoice};
use crate::config::values::command::CommandWords;
use crate::config::values::dump::DumpSettings;
use crate::config::values::repository::RepositoryUrl;
use crate::config::values::retention::Retention;
use crate::config::values::s3::S3Settings;
use crate::config::values::secret::Secret;
use crate::model::{Compression, HostPort};
use crate::seal::Recipient;

/// The default of `primary-timeout`, for a wait that begins before the settings are known.
pub const PRIMARY_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Everything that can be set, checked. Each field is the setting of that name, `-` for `_`, and is read by its entry in
/// [`SETTINGS`](crate::config::SETTINGS).
///
/// Defaults stand there too: [`Settings::default`] is only what reading begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch that somebody sets")]
pub struct Settings {
    /// Where backups go.
    pub repository: RepositoryUrl,
    /// The cluster's name, where it is not to be taken from the server.
    pub cluster: Option<String>,
    /// How data is captured.
    pub method: MethodChoice,
    /// Where that was said: whether there is such a method is known only where the methods are.
    pub method_origin: SettingOrigin,
    /// The administrator's own snapshot: taken with the first of the two, and given back with the other; both or neither.
    pub snapshot_command: Option<CommandWords>,
    /// What gives it back.
    pub snapshot_release_command: Option<CommandWords>,
    /// How long the first of the two may take, while the server stands still.
    pub snapshot_timeout: Duration,
    /// Where somebody else runs them, if there is such a socket.
    pub snapshot_socket: PathBuf,
    /// How many bytes `precopy` may put aside while the server stands still.
    pub spool_limit: u64,
    /// Whether stock `tar` alone unpacks an archive of `precopy`.
    pub plain_tar: bool,
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
    /// How long `run` waits for the receive queue to drain before it lets the node in again.
    pub resync_timeout: Duration,
    /// How many write sets may wait in the receive queue while `run` keeps the node desynced.
    pub queue_limit: Option<u64>,
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
    /// What `logical` dumps: `databases`, `ignore-tables`, `dump-args`, …
    pub dump: DumpSettings,
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
