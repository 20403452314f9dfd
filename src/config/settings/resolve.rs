//! Every setting gets its value out of the layers.

use super::Settings;
use super::combinations;
use super::error::ConfigError;
use super::layers::Layers;
use super::overrides::SettingsOverrides;
use crate::config::files::OptionFiles;
use crate::config::table::{SettingSpec, Unset, entries};

impl Settings {
    /// Resolves the layers: option files (group `[wsrep_sst_backup]`), then variables `WSREP_SST_BACKUP_<NAME>` out
    /// of `env` (others are passed over; see [`environment`]), then flags.
    pub fn resolve(
        files: &OptionFiles,
        env: impl Iterator<Item = (String, String)>,
        flags: &SettingsOverrides,
    ) -> Result<Self, ConfigError> {
        let mut given = Layers::from(files, env, flags)?;
        let mut settings = Self { warnings: std::mem::take(&mut given.warnings), ..Self::default() };
        for entry in entries() {
            entry.resolve(&mut settings, &given)?;
        }
        combinations::check(&mut settings, &given)?;
        Ok(settings)
    }
}

impl SettingSpec {
    /// Puts its value into the settings: what was said, else what holds without.
    fn resolve(&self, into: &mut Settings, given: &Layers) -> Result<(), ConfigError> {
        let said = given.about(self.name);
        if said.is_empty() {
            return match self.unset {
                Unset::Is(text) => {
                    self.read_text(into, text).map_err(|problem| given.blame(self.name, problem))
                }
                Unset::Described(_) => Ok(()),
                Unset::Found(_, find) => {
                    find(into);
                    Ok(())
                }
            };
        }
        for (said, origin) in said {
            self.take(into, said).map_err(|problem| ConfigError::Value {
                name: self.name,
                origin: origin.clone(),
                problem,
            })?;
        }
        Ok(())
    }
}
