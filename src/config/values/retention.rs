//! How many backups are to be kept: the settings `keep-…`.

use std::time::Duration;

use super::{ValueError, number};

/// More than this is a slip.
const MOST: u32 = 100_000;

/// Which backups are wanted. Each rule keeps backups on its own; what no rule keeps may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retention {
    /// Those taken at most this long before the newest.
    pub within: Option<Duration>,
    /// The newest ones, this many.
    pub last: Option<u32>,
    /// The newest of each of the last days (UTC) that have one, this many days.
    pub daily: Option<u32>,
    /// The same by ISO weeks, which begin on Monday.
    pub weekly: Option<u32>,
    /// The same by months.
    pub monthly: Option<u32>,
    /// The same by years.
    pub yearly: Option<u32>,
}

impl Retention {
    /// No rule is set.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Reads the number of a rule; at least 1.
pub(in crate::config) fn count(text: &str) -> Result<u32, ValueError> {
    number(text, &(1..=MOST))
}
