//! What a restore is asked to do.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::directory_map::{AllowedDirectory, DirectoryMap};
use super::table_selection::Selection;
use crate::throttle::Limiter;

/// What the data directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A node that joins its cluster by IST.
    Node,
    /// The first node of a cluster that starts anew.
    Cluster,
    /// A server outside any cluster.
    Standalone,
    /// An asynchronous replica.
    Replica,
}

/// What to restore, and how.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The new data directory.
    pub target: PathBuf,
    /// What it is for.
    pub purpose: Purpose,
    /// Where the server that will start on the target looks for `grastate.dat`, if that is not the target.
    pub wsrep_home: Option<PathBuf>,
    /// Where external directories go.
    pub maps: Vec<DirectoryMap>,
    /// Where they may go back to where they were; what is in neither list is refused.
    pub external: Vec<AllowedDirectory>,
    /// A file for mysqld's `init_file` that is written beside the data directory ([`super::InitFile`]).
    pub init_file: Option<PathBuf>,
    /// Decompressing threads.
    pub threads: usize,
    /// No other tables than these, beside those of the server itself; for a standalone server.
    pub only: Option<Selection>,
}

/// Progress, interruption and pace of a long operation.
pub struct Control<'a> {
    /// Told the position in the tar stream.
    pub progress: &'a dyn Fn(u64),
    /// Looked at between members and chunks.
    pub interrupted: &'a AtomicBool,
    /// Of what is written.
    pub limiter: &'a Limiter,
}
