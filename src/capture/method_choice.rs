//! Which methods there are, and which one is taken on a server.

use super::freeze::Freeze;
use super::mariadb_backup::BackupProgram;
use super::method::{Estimate, Method, Prospect};
use crate::config::{ConfigError, MethodChoice, OptionFiles, Settings, SettingsOverrides, ValueError};

/// All methods, the one with the least harm first: the order in which `auto` tries them.
pub const METHODS: &[&dyn Method] = &[
    &Freeze,
    &BackupProgram,
    #[cfg(test)]
    &super::sample::Sample,
];

/// A method, and why it is that one.
#[derive(Clone)]
pub struct Choice {
    /// The method.
    pub method: &'static dyn Method,
    /// What it is expected to cost.
    pub estimate: Estimate,
    /// Methods before it that do not work here, and why, each a phrase.
    pub passed: Vec<String>,
}

/// Resolves the settings, and sees whether there is a method as they name it.
pub fn settings(
    files: &OptionFiles,
    env: impl Iterator<Item = (String, String)>,
    flags: &SettingsOverrides,
) -> Result<Settings, ConfigError> {
    let settings = Settings::resolve(files, env, flags)?;
    match &settings.method {
        MethodChoice::Named(name) => find(name).map(drop).map_err(|problem| ConfigError::Value {
            name: "method",
            origin: settings.method_origin.clone(),
            problem: ValueError::new(problem),
        })?,
        MethodChoice::Auto => {}
    }
    Ok(settings)
}

/// The method of this name; the text says which there are.
fn find(name: &str) -> Result<&'static dyn Method, String> {
    METHODS.iter().find(|method| method.name() == name).copied().ok_or_else(|| {
        let names: Vec<&str> = METHODS.iter().map(|method| method.name()).collect();
        format!("'{name}' is not one of auto, {}", names.join(", "))
    })
}

/// The method that is taken on this server; the text says why there is none.
pub fn choose(wanted: &MethodChoice, prospect: &Prospect<'_>) -> Result<Choice, String> {
    let candidates = match wanted {
        MethodChoice::Auto => METHODS.iter().filter(|method| method.is_automatic()).copied().collect(),
        MethodChoice::Named(name) => vec![find(name)?],
    };
    let mut passed = Vec::new();
    for method in candidates {
        match method.estimate(prospect) {
            Ok(estimate) => return Ok(Choice { method, estimate, passed }),
            Err(why) => passed.push(format!("{}: {why}", method.name())),
        }
    }
    Err(format!("no method works on this server: {}", passed.join("; ")))
}
