//! A node that is out of its cluster's flow control while something works on it, and that comes back for certain.
//!
//! ```text
//! note ── wsrep_desync=ON ── (the command) ── the queue drains ── wsrep_desync=OFF ── Synced ── note removed
//! ```
//!
//! A desynced node goes on applying, and whatever it does not get to waits in its receive queue without holding up the others.
//! `wsrep_desync=OFF` before that queue is empty would have the node ask the cluster to wait for it (flow control); so the queue drains
//! first.
//!
//! Whatever ends this program, the desync ends: on each way out that the program sees, and after a death that it does not see
//! (kill -9, the OOM killer) by whoever comes next, who knows from a note beside the server's socket that the desync is ours ([`note`]).
//! A replica, whose SQL threads stand meanwhile ([`replica`]), is treated alike: where this text says desync, its stopped threads are meant as well.
//!
//! The note is there before the desync begins and goes after it has ended, and its lock lives as long as its writer. A desync without a note is the
//! administrator's, and is never touched.

mod judge;
mod leftover;
mod load;
mod node;
mod note;
mod replica;
mod resync;
mod vigil;

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use judge::{DesyncRefusal, judge, judge_again};
pub use leftover::{DesyncLeft, end_leftover};
pub use load::NodeLoad;
pub use node::LocalNode;
pub use note::DesyncRecord;
pub use replica::{CaughtUp, Restarted, StoppedReplica, connections, doubts};
pub use resync::{Desynced, Drained, INSIST, ResyncPatience, ResyncStep, Resynced};
pub use vigil::{Vigil, VigilLimits};

/// What stands for a command in the note of a backup ([`DesyncRecord`]).
pub const BACKUP: &str = "backup";

/// What goes wrong around a desync.
#[derive(Debug, Error)]
pub enum DesyncError {
    /// The server does not answer, or refuses.
    #[error("{0}")]
    Sql(String),
    /// The note.
    #[error(
        "cannot {action} '{}', which says that this program has desynced the node: {cause}", .path.display()
    )]
    Note {
        /// What was done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// Another process holds the note.
    #[error("{0}")]
    Busy(String),
    /// A replica's threads do not run again.
    #[error(
        "THE REPLICA STANDS STILL: its SQL threads could not be started for {} s ({cause}); START SLAVE, or 'run --resync' when the server \
         answers again",
        .tried.as_secs()
    )]
    StillStopped {
        /// For how long it was tried.
        tried: Duration,
        /// The last answer.
        cause: String,
    },
    /// Another server is there by now, and is desynced.
    #[error(
        "the server was started anew since this program had desynced it, and is desynced (wsrep_desync), by its option files or by somebody else: that is left \
         alone, and '{}' stays until it is over; SET GLOBAL wsrep_desync=OFF, then 'run --resync'",
        .note.display()
    )]
    OfAnother {
        /// The note.
        note: PathBuf,
    },
    /// It is still desynced.
    #[error(
        "THE NODE IS STILL DESYNCED: wsrep_desync=OFF did not succeed for {} s ({cause}); SET GLOBAL wsrep_desync=OFF, or 'run --resync' when the \
         server answers again",
        .tried.as_secs()
    )]
    StillDesynced {
        /// For how long it was tried.
        tried: Duration,
        /// The last answer.
        cause: String,
    },
}
