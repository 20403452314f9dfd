//! What the command line says about settings.

use crate::config::table::Flag;
use crate::config::values::secret::Secret;

/// Flags of the command line, as text, each for the setting of its name; they override everything else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsOverrides(Vec<(&'static str, Secret)>);

impl SettingsOverrides {
    /// Notes what a flag says. `None`: it was not given, and says nothing.
    pub fn set(&mut self, flag: Flag, text: Option<&str>) {
        self.0.extend(text.map(|text| (flag.name, Secret::from(text.to_owned()))));
    }

    /// What would be said by flags of these names, for settings that no command has as a flag too.
    pub fn of<'a>(all: impl IntoIterator<Item = (&'static str, &'a str)>) -> Self {
        Self(all.into_iter().map(|(name, text)| (name, Secret::from(text.to_owned()))).collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Secret)> {
        self.0.iter().map(|(name, text)| (*name, text))
    }
}
