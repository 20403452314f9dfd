//! `metrics-file`: what there is to know about the backups of a cluster, for node_exporter's textfile collector.
//!
//! One file belongs to one node. Its numbers have two sources, and each is replaced by who knows better:
//!
//! - **The repository**: the newest backup (whoever the donor was), how many there are, the last verification and the last drill. The donor
//!   writes them after its backup; `prune`, `verify`, `drill` and `check` write them anew. Where the repository cannot be read, the last
//!   numbers stay, with the moment at which they were true, and `repository_readable` is 0.
//! - **The last run on this node**: only its donor program knows it, a failure that no repository has heard of too. The
//!   commands keep what they find of it in the file.
//!
//! So a file is read before it is written, under a lock on its folder. It appears whole or not at all, readable for everybody,
//! and nothing is written in the place of a file that is not ours.

mod exposition;
mod families;
mod file;
mod numbers;
mod sample;

use jiff::Timestamp;
use thiserror::Error;

pub use exposition::Exposition;
pub use families::{FAMILIES, Family, PREFIX};
pub use file::update;
pub use numbers::{News, Numbers, Scope};

use crate::storage::StorageError;

/// Why the file was not rewritten.
#[derive(Debug, Error)]
pub enum MetricsError {
    /// It could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another program has written it.
    #[error(
        "'{0}' is not replaced: wsrep_sst_backup has not written it (the setting 'metrics-file' names it)"
    )]
    Foreign(String),
    /// Another process holds its lock.
    #[error("'{0}' is being written by another process, which does not come to its end")]
    Busy(String),
}

/// How the last run on this node has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// Folder of the cluster.
    pub cluster: String,
    /// wsrep_node_name.
    pub node: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// 0, or the number that mysqld logs.
    pub exit_status: u8,
    /// How long the server was frozen; none where it was not.
    pub frozen_ms: Option<u64>,
}
