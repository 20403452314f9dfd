//! `status.json`: how a running backup gets on, and how it ended.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BackupId, WsrepGtid};

/// Where a backup stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Looking at the server; it runs undisturbed.
    Starting,
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
    pub state: State,
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
}
