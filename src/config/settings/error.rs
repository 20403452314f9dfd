//! Why there are no settings.

use thiserror::Error;

use super::origin::SettingOrigin;
use crate::config::values::ValueError;

/// Why there are no settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A name that does not exist.
    #[error("{origin}: unknown {kind} '{name}'{}", hint(.meant.as_deref()), kind = kind(.origin))]
    Unknown {
        /// The name as written.
        name: String,
        /// Where it stands.
        origin: SettingOrigin,
        /// A name that does exist and looks like it.
        meant: Option<String>,
    },
    /// A value that does not fit.
    #[error("{origin}: {}{problem}", again(.name, .origin))]
    Value {
        /// The setting.
        name: &'static str,
        /// Where it was set.
        origin: SettingOrigin,
        /// What is wrong. It never has the text of a password.
        problem: ValueError,
    },
}

fn kind(origin: &SettingOrigin) -> &'static str {
    if matches!(origin, SettingOrigin::Environment(_)) { "variable" } else { "option" }
}

/// The name, where the place does not say it already.
fn again(name: &str, origin: &SettingOrigin) -> String {
    match origin {
        SettingOrigin::Flag(flag) if *flag == name => String::new(),
        _ => format!("{name}: "),
    }
}

fn hint(meant: Option<&str>) -> String {
    meant.map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

impl ConfigError {
    pub(super) fn unknown(name: String, origin: SettingOrigin, meant: Option<String>) -> Self {
        Self::Unknown { name, origin, meant }
    }
}
