//! Why files could not be listed or copied.

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::objection::{Objection, shown};

/// Objections that are told; one is enough to go on with.
const TOLD: usize = 5;

/// Why the files could not be listed or copied.
#[derive(Debug, Error)]
pub enum CaptureError {
    /// A directory, link or file of the server.
    #[error("cannot read '{path}': {cause}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file that is none of the server's; it can be left out.
    #[error("cannot open '{path}': {cause}")]
    Unopened {
        /// Which.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file of the server under the freeze.
    #[error(
        "'{}' {how} while the server was frozen: the copy would not be of one moment. Nothing may write to a frozen \
         server's data; look for another program in its directories, or for a second server",
        shown(.path)
    )]
    NotStill {
        /// Which.
        path: PathBuf,
        /// Completes the sentence.
        how: &'static str,
    },
    /// What belongs to the server and is not there, or cannot be read.
    #[error("{}", told(.0))]
    Incomplete(Vec<Objection>),
    /// Engines that a state transfer does not freeze.
    #[error(
        "'{path}' holds {engine} tables, which a state transfer does not freeze: their copy would be torn. Back them up \
         apart (mariadb-backup can copy MyRocks), or set allow-rocksdb to leave them out knowingly"
    )]
    Unfrozen {
        /// Its directory or file.
        path: PathBuf,
        /// MyRocks or TokuDB.
        engine: &'static str,
    },
    /// More than may be read while the server stands still.
    #[error(
        "{bytes} bytes, among them '{path}', could not be cloned and are too much to be read while the server stands still: \
         take the method freeze, or see why (the log names each file)"
    )]
    Uncloned {
        /// One of the files.
        path: PathBuf,
        /// Of all of them.
        bytes: u64,
    },
    /// Without that nothing can be copied while the server runs.
    #[error(
        "which tablespaces the server has in use is not known: {0}. The method precopy needs an account for SQL with the privilege \
         PROCESS (user, password; GRANT PROCESS ON *.* TO it); the method freeze needs none"
    )]
    NoTablespaces(String),
    /// The same: without it nobody knows what changes meanwhile.
    #[error(
        "the redo log cannot be followed: {0}. The method precopy needs one of a single file (MariaDB 10.8 and later); the method freeze needs none"
    )]
    NotFollowed(String),
    /// The server would stand still as long as the repository takes for it.
    #[error(
        "{bytes} bytes or more have changed while the server was copied, and {room} may wait until it runs again: the server was not made \
         to stand still for the repository. {}; take the backup when less is written; or take another method",
        more_room(.no_file.as_deref())
    )]
    TooMuchChanged {
        /// To be read while the server stands still.
        bytes: u64,
        /// What the spool has room for.
        room: u64,
        /// Why no file can be made for it.
        no_file: Option<String>,
    },
    /// What makes or watches clones.
    #[error("the server's files could not be cloned: {0}")]
    Clone(io::Error),
    /// The administrator's own snapshot.
    #[error(transparent)]
    Volume(#[from] crate::volume_snapshot::SnapshotError),
    /// A program that captures the data for us.
    #[error("{0}")]
    Program(String),
    /// The archive.
    #[error(transparent)]
    Archive(#[from] crate::archive::ArchiveError),
    /// The sink of the archive.
    #[error(transparent)]
    Output(#[from] crate::output::OutputError),
    /// What quiesces the server cannot tell its position, and the method needs one.
    #[error("the server's position is not known while it stands still: this method needs it")]
    NoPosition,
    /// The host of the method, which takes the backup.
    #[error(transparent)]
    Host(#[from] HostError),
    /// From outside.
    #[error(transparent)]
    Aborted(#[from] super::abort::Abort),
}

impl CaptureError {
    /// Whether the method has ended before anything was stored, for a reason that is its own: another one may work. One that has made the server stand still
    /// leaves it to another one only where that can be done again.
    pub fn gives_way(&self, may_quiesce_again: bool) -> bool {
        match self {
            Self::NoTablespaces(_) | Self::NotFollowed(_) => true,
            Self::Uncloned { .. } => may_quiesce_again,
            _ => false,
        }
    }
}

fn more_room(no_file: Option<&str>) -> String {
    match no_file {
        Some(why) => format!("No file can be made for it beside the data directory ({why})"),
        None => "Raise spool-limit, and leave that much and 512 MiB free beside the data directory".into(),
    }
}

/// Any error of the host.
pub type HostError = Box<dyn StdError + Send + Sync>;

fn told(objections: &[Objection]) -> String {
    let texts: Vec<&str> = objections.iter().take(TOLD).map(|objection| objection.text.as_str()).collect();
    let more = match objections.len().saturating_sub(TOLD) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("the backup would not be complete: {}{more}", texts.join("; "))
}
