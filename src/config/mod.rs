//! Option files, the environment and flags, resolved once into settings.
#![allow(missing_docs)]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DefaultsArgs {
    pub defaults_file: Option<std::path::PathBuf>,
    pub defaults_extra_file: Option<std::path::PathBuf>,
    pub group_suffix: Option<String>,
    pub no_defaults: bool,
}
