//! A part of the table.

use super::entry::SettingSpec;

/// Settings that belong together.
#[derive(Debug, Clone, Copy)]
pub struct Chapter {
    /// What they are about.
    pub title: &'static str,
    /// What is to be said of all of them; may be empty.
    pub text: &'static str,
    /// The settings.
    pub settings: &'static [SettingSpec],
}
