//! How long ago something was.

use std::time::Duration;

use jiff::Timestamp;

use crate::ui::duration_ms;

/// Time since a moment; none for one in the future.
pub(super) fn age(since: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(since)).unwrap_or_default()
}

/// A duration in words, in days where it is long.
pub(super) fn shown(duration: Duration) -> String {
    match duration.as_secs() / 86_400 {
        0 | 1 => duration_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        days => format!("{days} days"),
    }
}
