//! What has to go together: settings that are right each by itself.

use std::path::Path;

use super::Settings;
use super::error::ConfigError;
use super::layers::Layers;
use super::origin::SettingOrigin;
use crate::config::values::ValueError;
use crate::config::values::choice::MethodChoice;
use crate::config::values::dump::DumpSettings;
use crate::model::{BackupClass, Compression, Dump};

/// The method that dumps.
const LOGICAL: &str = "logical";

/// Looks at all settings when each has its value, and adds what a person should know.
pub(super) fn check(settings: &mut Settings, given: &Layers) -> Result<(), ConfigError> {
    let is_logical = matches!(&settings.method, MethodChoice::Named(name) if name == LOGICAL);
    // What reads such files elsewhere knows gzip.
    if is_logical && given.origin("compression") == SettingOrigin::Default {
        settings.compression = Compression::Gzip;
    }
    settings.compression_level = level(settings, given)?;
    settings.method_origin = given.origin("method");
    if let Some((name, problem)) = settings.s3.contradiction() {
        return Err(given.blame(name, ValueError::new(problem)));
    }
    snapshot_commands(settings, given)?;
    let idle = settings.prune_after_backup && settings.retention.is_empty();
    let idle = idle.then(|| "prune-after-backup does nothing: no keep-… setting says what to keep".into());
    let readable = settings.s3.warning(&settings.repository);
    let unread = settings.metrics_file.as_deref().and_then(metrics_warning);
    let undumped = (!is_logical).then(|| undumped(given)).flatten();
    settings.warnings.extend([idle, readable, unread, undumped].into_iter().flatten());
    Ok(())
}

/// A snapshot that nobody gives back fills its volume.
fn snapshot_commands(settings: &Settings, given: &Layers) -> Result<(), ConfigError> {
    let (take, release) = ("snapshot-command", "snapshot-release-command");
    let (there, missing) = match (&settings.snapshot_command, &settings.snapshot_release_command) {
        (Some(_), None) => (take, release),
        (None, Some(_)) => (release, take),
        _ => return Ok(()),
    };
    Err(given.blame(there, ValueError::new(format!("is of no use without {missing}: set both, or neither"))))
}

/// The level has to suit the compression, which may come from elsewhere.
///
/// `none` has no levels, so a level beside it is an error; but one of an earlier layer was meant for the compression
/// that a later layer has switched off, and cannot be unset there.
fn level(settings: &Settings, given: &Layers) -> Result<i32, ConfigError> {
    let (compression, level) = (settings.compression, settings.compression_level);
    let (from, origin) = (given.origin("compression"), given.origin("compression-level"));
    if origin == SettingOrigin::Default {
        return Ok(compression.default_level());
    }
    let problem = match compression.levels() {
        Some(levels) if levels.contains(&level) => return Ok(level),
        Some(levels) => {
            let (low, high) = levels.into_inner();
            format!("{level} is not a level of {compression} ({from}), whose levels are {low} to {high}")
        }
        None if origin.layer() < from.layer() => return Ok(compression.default_level()),
        None => format!("{level} cannot be used: compression '{compression}' ({from}) has no levels"),
    };
    Err(given.blame("compression-level", ValueError::new(problem)))
}

impl Settings {
    /// What a backup by these settings can stand in for.
    pub fn backup_class(&self) -> BackupClass {
        let DumpSettings { databases, ignore_tables, .. } = &self.dump;
        match &self.method {
            MethodChoice::Named(name) if name == LOGICAL && self.dump.is_whole() => BackupClass::Sql,
            MethodChoice::Named(name) if name == LOGICAL => {
                BackupClass::PartialSql(Dump::part(databases, ignore_tables, !self.encrypt_to.is_empty()))
            }
            _ => BackupClass::Physical,
        }
    }
}

/// Settings of dumps where nothing is dumped.
fn undumped(given: &Layers) -> Option<String> {
    let names = ["databases", "ignore-tables", "ignore-global-priv", "dump-args", "dump-retries"];
    let set: Vec<&str> =
        names.into_iter().filter(|name| given.origin(name) != SettingOrigin::Default).collect();
    (!set.is_empty()).then(|| format!("of no effect without method={LOGICAL}: {}", set.join(", ")))
}

/// node_exporter passes over files of other names.
fn metrics_warning(path: &Path) -> Option<String> {
    let is_read = path.extension().is_some_and(|extension| extension == "prom");
    (!is_read).then(|| {
        format!("metrics-file '{}' does not end in .prom: node_exporter does not read it", path.display())
    })
}
