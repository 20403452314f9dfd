//! `status.json`: how a running backup gets on, and how it ended.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BackupId, WsrepGtid};

/// The state of a backup in the making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupState {
    /// Looking at the server; it runs undisturbed.
    Starting,
    /// Files are read ahead while the server runs undisturbed.
    Ahead,
    /// `flush tables` is asked.
    Freezing,
    /// The server is frozen, files are read.
    Copying,
    /// The server runs again; what was read is being stored.
    Thawed,
    /// Archive and index are being made durable.
    Publishing,
    /// The manifest is there and mysqld has been told. Only the manifest makes a backup of it.
    Done,
    /// It failed; `error` says why.
    Failed,
}

/// The content of `status.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The backup.
    pub id: BackupId,
    /// wsrep_cluster_name.
    pub cluster: String,
    /// wsrep_node_name.
    pub node: String,
    /// Request id and labels from the SST address.
    pub request: Option<String>,
    /// Where it stands.
    pub state: BackupState,
    /// When it started.
    pub started: Timestamp,
    /// When this file was written.
    pub updated: Timestamp,
    /// Process id of the program on the donor.
    pub pid: u32,
    /// Bytes of data read so far.
    pub bytes_done: u64,
    /// Bytes of data to read, once known.
    pub bytes_total: Option<u64>,
    /// Milliseconds since `flush tables` while the server is frozen; then how long it was.
    #[serde(default)]
    pub frozen_ms: Option<u64>,
    /// The position, once known.
    pub gtid: Option<WsrepGtid>,
    /// Why it failed; beside `done`, why mysqld could not be told.
    pub error: Option<String>,
    /// Seconds after which it is written again at the latest while the backup runs; two where it does not say. A storage
    /// that keeps old versions would have thousands of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beat_s: Option<u64>,
}

impl Status {
    /// How often it is written where each time leaves an old version.
    pub const RARE: Duration = Duration::from_secs(300);
    /// The longest beat that is believed ([`Status::beat_s`]).
    const RAREST_S: u64 = 3600;

    /// How long its writer may have been silent and be alive: what is `usual` for one who writes every two seconds, or two and a
    /// half times what it says itself.
    pub fn patience(&self, usual: Duration) -> Duration {
        let beat = Duration::from_secs(self.beat_s.unwrap_or(0).min(Self::RAREST_S));
        usual.max(beat * 5 / 2)
    }
}
