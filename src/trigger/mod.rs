//! Asking a cluster for a backup, and following it to its end.
//!
//! ```text
//! survey of the members → plan (whom to ask, or why not) → garbd asks → the repository tells what becomes of it
//! ```
//!
//! garbd exits 0 whatever happens, so it is believed in one thing only: the line in which the group selects a donor.
//! Everything else comes from the repository, where the donor's program writes under the request's id, and from the
//! donor's own state. garbd is known to lose its request: it sees a view of itself alone first, takes it for the
//! end of the connection, and leaves with exit status 0 (seen in one of four visits that followed each other closely).
//! Such a request is repeated; one that the group has answered never is.

mod ask;
mod backlog;
mod donor;
mod donor_choice;
mod election;
mod flushes;
mod follow;
mod garbd;
mod garbd_call;
mod garbd_log;
mod group_rest;
mod lockable_donors;
mod missing_status;
mod outcome;
mod request;
mod seen_runs;
mod traffic;
mod visitor;
mod watch;
mod watching;

use std::time::Duration;

use thiserror::Error;

pub use ask::{SelectedDonor, ask};
pub use backlog::{Desync, blocked, desyncs};
pub use donor_choice::{DonorChoice, DonorWish, Refusal, plan};
pub use election::{AskDecision, AskLock, Election, Pace};
pub use flushes::Flushes;
pub use follow::{BackupPlace, Follower, RequestProgress};
pub use garbd_call::{GarbdCall, GarbdCallArgs};
pub use group_rest::when_calm;
pub use lockable_donors::LockableDonors;
pub use outcome::{RequestOutcome, SyncedAgain};
pub use request::RequestId;
pub use traffic::Traffic;
pub use watch::watch;
pub use watching::Watching;

use crate::model::{BackupState, Status};

/// Why no backup was asked for, or no donor was selected.
#[derive(Debug, Error)]
pub enum AskError {
    /// The cluster is in a state in which a backup would do harm or fail.
    #[error("{0}")]
    Refused(Refusal),
    /// garbd, or the way to the group, has failed.
    #[error("{0}")]
    Failed(String),
    /// The repository cannot be used.
    #[error("{0}")]
    Repository(String),
    /// A request to be followed that the repository does not know.
    #[error(
        "nothing of this request is in the repository '{0}': it was never taken, it still waits in the queue of a donor, or its \
         backup is stored elsewhere"
    )]
    NoSuchRequest(String),
    /// Ctrl-C, or the time limit, before a donor was selected.
    #[error("given up before a donor was selected: {0}")]
    GivenUp(&'static str),
}

/// What happens, for a person who watches.
#[derive(Debug)]
pub enum Event<'a> {
    /// Another process asks, or another backup runs: what is waited for.
    Waiting(&'a str),
    /// garbd is started, for the given time.
    Asking {
        /// Its name in the group.
        garbd: &'a str,
        /// Where it listens.
        listen: &'a str,
        /// Counted from 1.
        attempt: u32,
    },
    /// garbd has lost the request.
    Lost,
    /// The donors are busy; it is tried for a while.
    Busy,
    /// The group has selected this donor.
    Selected(&'a str),
    /// How far the backup is.
    Progress {
        /// The newest status.
        status: &'a Status,
        /// How long the server has been frozen, or was.
        frozen: Option<Duration>,
    },
    /// The donor has not come to the request yet: its name and why.
    Behind(&'a str, &'a str),
    /// The donor is not Synced again: its name, and why as far as it can be seen.
    NotSynced(&'a str, &'a str),
    /// The manifest was read back; the donor's program and node are waited for.
    Complete,
}

/// A state in a word or two.
pub fn describe(state: BackupState) -> &'static str {
    match state {
        BackupState::Starting => "starting",
        BackupState::Ahead => "running, copying ahead",
        BackupState::Freezing => "freezing the server",
        BackupState::Copying => "copying, the server is frozen",
        BackupState::Thawed => "storing, the server runs again",
        BackupState::Publishing => "publishing",
        BackupState::Done => "done",
        BackupState::Failed => "failed",
    }
}
