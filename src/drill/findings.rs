//! What a drill finds on its way.

use std::time::Instant;

use crate::model::DrillMeasures;

/// What a drill has found so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrillFindings {
    /// What is recorded of it.
    pub measured: DrillMeasures,
    /// What else to know, in sentences without their full stop.
    pub notes: Vec<String>,
}

/// Since then.
pub(super) fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
