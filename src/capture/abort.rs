//! Why the watch gives a backup up.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// Why a backup was given up, whatever its own thread was doing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Abort {
    /// SIGTERM, SIGINT or SIGHUP.
    #[error("stopped by {0}")]
    Signal(&'static str),
    /// `freeze-timeout`.
    #[error("the server has been frozen for {} s, the limit set by freeze-timeout", .0.as_secs())]
    FreezeTimeout(Duration),
    /// `stall-timeout`.
    #[error(
        "the repository hangs: it has not returned from '{action}' of '{object}' for {} s, the limit set by stall-timeout",
        limit.as_secs()
    )]
    Stalled {
        /// The operation.
        action: &'static str,
        /// What it was done to.
        object: String,
        /// The limit.
        limit: Duration,
    },
    /// The disk of the write-set cache.
    #[error(
        "'{directory}' has {} MiB free, too little for one more page file of {} MiB: write sets that come while the server is \
         frozen go there, and a server without room for them ends. Free space there, or see gcache.dir and gcache.size",
        free >> 20,
        page >> 20
    )]
    NoRoom {
        /// Where page files go.
        directory: PathBuf,
        /// Bytes.
        free: u64,
        /// Bytes of one file.
        page: u64,
    },
    /// The disk of the data, of which clones hold what it was.
    #[error(
        "the file system of '{directory}' has {} MiB free: what the server changes takes room there while the files of the \
         backup are its clones, and they were given up before it is full. Free space there, or take another method",
        free >> 20
    )]
    NoRoomForClones {
        /// Where.
        directory: PathBuf,
        /// Bytes.
        free: u64,
    },
    /// `gcs.sync_donor`, set at run time.
    #[error(
        "this donor holds up the writes of its whole cluster (wsrep_flow_control_requested): gcs.sync_donor was switched on at run \
         time, where @@wsrep_provider_options may still say 'no'; set it to 'no', or allow it with allow-sync-donor or 'backup \
         --force'"
    )]
    FlowControl,
    /// By whoever watches over the server besides: why, in words.
    #[error("{0}")]
    GivenUp(String),
    /// The server has ended.
    #[error("mysqld (pid {0}) has gone away")]
    MysqldGone(i32),
}
