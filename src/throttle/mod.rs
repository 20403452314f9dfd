//! `limit-rate`: no more than so many bytes a second.
//!
//! The limit counts on each of the two sides on its own ([`Throttle`]): what is read from, or written to, a data
//! directory, and what goes to, or comes from, the repository. Neither is asked for more than the limit, and together
//! they may move twice as much.
//!
//! A wait is never a part of an operation that somebody watches (`stall-timeout` counts what a storage takes, not what
//! we let it wait), and it ends at once when the limit is lifted: who is told to stop does not first wait for bytes.

mod limiter;
mod reader;
mod token_bucket;

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use limiter::{Clock, Limiter, Monotonic};
pub use reader::LimitedReader;

/// The limits of one run.
#[derive(Debug, Clone)]
pub struct Throttle {
    /// Of what is read from, or written to, the data directory.
    pub data: Arc<Limiter>,
    /// Of what goes to, or comes from, the repository.
    pub repository: Arc<Limiter>,
}

impl Throttle {
    /// `rate` bytes a second on each side, or no limit; and none any more once `lifted` is true.
    pub fn new(rate: Option<NonZeroU64>, lifted: &Arc<AtomicBool>) -> Self {
        let limiter = || Arc::new(Limiter::new(rate, Arc::clone(lifted)));
        Self { data: limiter(), repository: limiter() }
    }
}

/// How long so many bytes take at least, in milliseconds.
pub fn millis(bytes: u64, rate: NonZeroU64) -> u64 {
    let millis = u128::from(bytes) * 1000 / u128::from(rate.get());
    u64::try_from(millis).unwrap_or(u64::MAX)
}

/// The same as a time.
pub fn time_for(bytes: u64, rate: NonZeroU64) -> std::time::Duration {
    std::time::Duration::from_millis(millis(bytes, rate))
}
