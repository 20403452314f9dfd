//! What a slow freeze costs is told before the server is frozen, and what cannot end well is refused.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::DonateError;
use crate::capture::{Estimate, FileList};
use crate::config::Settings;
use crate::output::millis;
use crate::ui::{bytes, duration_ms};

/// Says how long the freeze will be where `limit-rate` holds it back; an error where it is certain to reach `freeze-timeout`:
/// then the server would stand still all that time for nothing.
pub(super) fn announce(settings: &Settings, estimate: Estimate, list: &FileList) -> Result<(), DonateError> {
    let (Some(rate), Estimate::WhileRead { least: Some(least), most: Some(most) }) =
        (settings.limit_rate, estimate)
    else {
        return Ok(());
    };
    let limit = settings.freeze_timeout;
    // The list counts holes, which are not read.
    if least > limit {
        return Err(DonateError::TooSlow(too_slow(list.stored, rate, millis(least), millis(limit))));
    }
    log::info!(
        "limit-rate is {} a second: the server will be frozen for up to {}, while {} are read",
        bytes(rate.get()),
        duration_ms(millis(most)),
        bytes(list.bytes)
    );
    Ok(())
}

fn too_slow(data: u64, rate: NonZeroU64, takes: u64, limit: u64) -> String {
    format!(
        "at limit-rate ({} a second) the {} of data cannot be read in the {} that the server may be frozen \
         (freeze-timeout), but in {}: raise limit-rate or freeze-timeout",
        bytes(rate.get()),
        bytes(data),
        duration_ms(limit),
        duration_ms(takes)
    )
}

/// Lifts the limits when it goes: threads that still store blocks of a backup that was given up end soon.
pub(super) struct LiftAtEnd(pub(super) Arc<AtomicBool>);

impl Drop for LiftAtEnd {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
