//! What a check is asked.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::{OptionFiles, Settings};

/// What `check` was asked.
pub struct Options<'a> {
    /// Our own settings.
    pub settings: &'a Settings,
    /// The files that they came from.
    pub files: &'a OptionFiles,
    /// An age of the newest backup above which there is an error.
    pub max_age: Option<Duration>,
    /// How long the write rate is sampled; none for not at all.
    pub sample: Option<Duration>,
    /// The time.
    pub now: Timestamp,
}
