//! What a request is followed with: where its donor answers, and what ends the wait.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use super::flushes::Flushes;
use crate::cluster::{Access, Survey};
use crate::storage::Storage;

/// How long a program that is gone has certainly been silent: it writes every two seconds, or says that it does not.
pub(super) const SILENT: Duration = Duration::from_secs(6);
/// How long a selected donor may take until its program has written anything.
pub(super) const FIRST_SIGN: Duration = Duration::from_secs(15);

/// What is watched, and how long.
pub struct Watching<'a> {
    /// The repository.
    pub storage: &'a Arc<dyn Storage>,
    /// How to ask the donor.
    pub access: &'a Access,
    /// The donor, where it is known.
    pub donor: Option<String>,
    /// The members, as they have answered.
    pub survey: &'a Survey,
    /// How often their tables had been flushed before the request.
    pub flushes: Flushes,
    /// Ctrl-C.
    pub interrupted: &'a AtomicBool,
    /// `--timeout`.
    pub deadline: Option<Instant>,
}
