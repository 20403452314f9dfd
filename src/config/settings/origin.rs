//! Where a setting comes from.

use std::fmt;
use std::path::PathBuf;

/// The place that a setting, or a fault in it, comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SettingOrigin {
    /// An option file.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: u32,
    },
    /// An environment variable of this name.
    Environment(String),
    /// A flag of this name, without dashes.
    Flag(&'static str),
    /// No layer has set it.
    #[default]
    Default,
}

impl SettingOrigin {
    /// The rank of the layer; a higher one overrides a lower one.
    pub(super) fn layer(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for SettingOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{} line {line}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Default => f.write_str("default"),
        }
    }
}
