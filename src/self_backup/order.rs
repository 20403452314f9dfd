//! What is asked for.

use std::path::PathBuf;
use std::sync::Arc;

use crate::capture::Login;
use crate::config::{OptionFiles, Settings};
use crate::job::Metrics;
use crate::lock::SqlLock;
use crate::server::Server;

/// A backup that is wanted.
pub struct BackupOrder {
    /// The server.
    pub server: Server,
    /// Its option files, and ours.
    pub files: OptionFiles,
    /// As they were resolved.
    pub settings: Settings,
    /// How to ask it.
    pub login: Login,
    /// The cluster's folder.
    pub folder: String,
    /// The name of the cluster in the manifest.
    pub cluster: String,
    /// The server's own name in it.
    pub node: String,
    /// The file in which its process has written its number.
    pub pid_file: Option<PathBuf>,
    /// Where it stands.
    pub position: OwnPosition,
    /// Locks it for a moment, where that may be done; else it is read as it runs.
    pub lock: Option<SqlLock>,
    /// They hear of a run that has a folder. Of one that ends before, or is not waited for, whoever has ordered it tells them.
    pub metrics: Arc<Metrics>,
}

/// Where a server stands before its backup begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnPosition {
    /// A node of a cluster: at or behind this seqno of this state UUID.
    Node {
        /// The state UUID.
        history: String,
        /// `wsrep_last_committed`; -1 where it is not known.
        at_least: i64,
    },
    /// No node of a cluster.
    Alone {
        /// Whether it is a replica, of which nothing is applied while it is read.
        is_replica: bool,
    },
}
