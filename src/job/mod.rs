//! One run that takes a backup, in the donor role or by a command: its folder, its state, and what follows the backup.
//!
//! ```text
//! method ──> claim ──> Job ──> room, status ──> (the method captures) ──> publish ──> metrics, pruning
//! ```
//!
//! How the server is made to stand still is no matter of these: the donor role ([`crate::donate`]) is one caller, `run`
//! ([`crate::self_backup`]) is the other.

mod background;
mod claim;
mod ending;
mod error;
mod metrics;
mod prepare;
mod pruning;
mod publish;
mod room;
mod status;

use std::sync::Arc;

pub use background::{ThreadLimits, bounded};
pub use claim::{Claim, claim_folder};
pub use ending::{BackupLeft, FailedRun, conclude};
pub use error::JobError;
pub use metrics::Metrics;
pub use prepare::choose_method;
pub use publish::publish;
pub use room::check_room;
pub use status::Reporter;

use crate::archive::WriterOptions;
use crate::config::Settings;
use crate::output::{Destination, Label};
use crate::priority;
use crate::storage::Storage;
use crate::throttle::Throttle;

/// What `backup --force` puts behind its request.
const FORCED: &str = ".force";

/// What is known of a run when its folder is claimed.
pub struct Job {
    /// As they were resolved for this run.
    pub settings: Settings,
    /// Where the backup goes.
    pub destination: Destination,
    /// The repository without a limit of the rate, not watched for stalls.
    pub repository: Arc<dyn Storage>,
    /// `limit-rate`.
    pub throttle: Throttle,
}

impl Job {
    /// Cluster, node, request and time of the run.
    pub fn label(&self) -> &Label {
        &self.destination.label
    }

    /// From here on the server's own work comes first, where that is wanted (`low-priority`): no client waits for the rest of the run. A priority cannot be raised again.
    pub fn lower_priority(&self) {
        if self.settings.low_priority {
            priority::lower();
        }
    }

    /// Whether the request wants the backup whatever it does to the cluster.
    pub fn is_forced(&self) -> bool {
        self.label().request.as_ref().is_some_and(|request| request.ends_with(FORCED))
    }
}

/// How these settings have an archive written.
fn writer_options(settings: &Settings) -> WriterOptions {
    WriterOptions {
        compression: settings.compression,
        level: settings.compression_level,
        threads: settings.threads,
    }
}
