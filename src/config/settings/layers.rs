//! The layers of the configuration: option files, then the environment, then flags; the last one that sets a setting counts.
//!
//! This module gathers the texts with their origin, and refuses names that do not exist. It does not look at
//! values: a wrong value that a later layer replaces does no harm.

use std::collections::HashMap;

use super::error::ConfigError;
use super::origin::SettingOrigin;
use super::overrides::SettingsOverrides;
use crate::config::files::{OptionFiles, Setting};
use crate::config::names::{Prefix, nearest, normalise, split_prefix};
use crate::config::table::{RawValue, SettingSpec, entries, find};
use crate::config::values::ValueError;
use crate::config::values::secret::Secret;

/// Our group in the option files.
const GROUP: &str = "wsrep_sst_backup";
/// What our environment variables begin with.
const ENV_PREFIX: &str = "WSREP_SST_BACKUP_";

/// The values of all settings as texts, after every layer has had its say.
#[derive(Debug, Default)]
pub(in crate::config) struct Layers {
    /// The last text; of a list all that add up, in their order.
    said: HashMap<&'static str, Vec<(RawValue, SettingOrigin)>>,
    pub(super) warnings: Vec<String>,
}

impl Layers {
    /// Goes through all layers.
    pub(super) fn from(
        files: &OptionFiles,
        env: impl Iterator<Item = (String, String)>,
        flags: &SettingsOverrides,
    ) -> Result<Self, ConfigError> {
        let mut gathered = Self::default();
        for setting in files.group_settings(&[GROUP]) {
            gathered.file_setting(setting)?;
        }
        for (variable, text) in env {
            gathered.variable(variable, text)?;
        }
        for (name, text) in flags.iter() {
            let origin = SettingOrigin::Flag(name);
            let Some(entry) = find(name) else {
                let meant = nearest(name, names()).map(str::to_owned);
                return Err(ConfigError::unknown(name.to_owned(), origin, meant));
            };
            gathered.replace(entry, RawValue::Text(text.clone()), origin);
        }
        Ok(gathered)
    }

    /// The texts of a setting, and where they stand.
    pub(in crate::config) fn about(&self, name: &str) -> &[(RawValue, SettingOrigin)] {
        self.said.get(name).map_or(&[], Vec::as_slice)
    }

    /// Where a setting has its value from.
    pub(super) fn origin(&self, name: &str) -> SettingOrigin {
        self.about(name).last().map_or(SettingOrigin::Default, |(_, origin)| origin.clone())
    }

    /// The error that the value of a setting is wrong, with the place it comes from.
    pub(in crate::config) fn blame(&self, name: &'static str, problem: ValueError) -> ConfigError {
        ConfigError::Value { name, origin: self.origin(name), problem }
    }

    fn replace(&mut self, entry: &SettingSpec, said: RawValue, origin: SettingOrigin) {
        self.said.insert(entry.name, vec![(said, origin)]);
    }

    fn file_setting(&mut self, setting: &Setting) -> Result<(), ConfigError> {
        let origin = SettingOrigin::File { path: setting.file.clone(), line: setting.line };
        let value = setting.value.as_deref();
        let (loose, name) = match split_prefix(&setting.name) {
            Some((Prefix::Loose, rest)) => (true, rest),
            _ => (false, setting.name.as_str()),
        };
        let plain = value.map_or(RawValue::Bare, |text| RawValue::Text(Secret::from(text.to_owned())));
        if let Some(entry) = find(name) {
            // A group for another repository must be able to do without what the first one has set.
            if value == Some("") && name.starts_with("s3-") && self.said.remove(name).is_some() {
                return Ok(());
            }
            if entry.is_list() {
                self.said.entry(entry.name).or_default().push((plain, origin));
            } else {
                self.replace(entry, plain, origin);
            }
            return Ok(());
        }
        let switched = split_prefix(name).and_then(|(prefix, rest)| {
            let entry = find(rest).filter(|entry| entry.is_switch())?;
            Some((entry, prefix.state(value)?))
        });
        if let Some((entry, on)) = switched {
            self.replace(entry, RawValue::Switched(on), origin);
            return Ok(());
        }
        if loose {
            self.warnings.push(format!("{origin}: unknown option '{}' is skipped", setting.written));
            return Ok(());
        }
        let meant = nearest(name, names()).map(str::to_owned);
        Err(ConfigError::unknown(setting.written.clone(), origin, meant))
    }

    fn variable(&mut self, variable: String, text: String) -> Result<(), ConfigError> {
        let Some(name) = variable.strip_prefix(ENV_PREFIX) else {
            return Ok(());
        };
        let known = entries().find(|entry| variable_name(entry.name) == variable);
        if let Some(entry) = known {
            let said = RawValue::Text(Secret::from(text));
            self.replace(entry, said, SettingOrigin::Environment(variable));
            return Ok(());
        }
        let meant = nearest(&normalise(name), names()).map(variable_name);
        Err(ConfigError::unknown(variable.clone(), SettingOrigin::Environment(variable), meant))
    }
}

fn names() -> impl Iterator<Item = &'static str> + Clone {
    entries().map(|entry| entry.name)
}

fn variable_name(name: &str) -> String {
    format!("{ENV_PREFIX}{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// The variables of this process that are ours. Unlike [`std::env::vars`] it does not panic on bytes that are not
/// UTF-8; a setting that has some is refused when it is resolved.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let all = std::env::vars_os().map(move |(name, text)| (lossy(name), lossy(text)));
    all.filter(|(name, _)| name.starts_with(ENV_PREFIX))
}
