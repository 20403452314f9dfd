//! `limit-rate` on the donor: what it costs is told before the server is frozen, and what cannot end well is refused.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{DonateError, Run};
use crate::capture::FileList;
use crate::throttle::millis;
use crate::ui::{bytes, duration_ms};

/// Says how long the freeze will be; an error where it is certain to reach `freeze-timeout`: then the server would stand
/// still all that time for nothing.
pub(super) fn announce(run: &Run, list: &FileList) -> Result<(), DonateError> {
    let Some(rate) = run.settings.limit_rate else { return Ok(()) };
    let limit = u64::try_from(run.settings.freeze_timeout.as_millis()).unwrap_or(u64::MAX);
    // What was listed counts holes, which nobody reads.
    if millis(list.stored, rate) > limit {
        return Err(DonateError::TooSlow(too_slow(list.stored, rate, limit)));
    }
    log::info!(
        "limit-rate is {} a second: the server will be frozen for up to {}, while {} are read",
        bytes(rate.get()),
        duration_ms(millis(list.bytes, rate)),
        bytes(list.bytes)
    );
    Ok(())
}

fn too_slow(least: u64, rate: NonZeroU64, limit: u64) -> String {
    format!(
        "at limit-rate ({} a second) the {} of data cannot be read in the {} that the server may be frozen \
         (freeze-timeout), but in {}: raise limit-rate or freeze-timeout",
        bytes(rate.get()),
        bytes(least),
        duration_ms(limit),
        duration_ms(millis(least, rate))
    )
}

/// Lifts the limits when it goes: threads that still store what nobody wants any more do not take their time.
pub(super) struct LiftAtEnd(pub(super) Arc<AtomicBool>);

impl Drop for LiftAtEnd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
