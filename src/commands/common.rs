//! The flags that every command has, and what they resolve to.

use clap::Args;

use super::{CommandError, Context};
use crate::config::{DefaultsArgs, OptionFiles, Settings, SettingsOverrides, environment};

/// Where backups are, for every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Repository and configuration")]
pub struct CommonArgs {
    /// Directory that holds the backups [default: /var/backups/wsrep_sst_backup]
    #[arg(long, value_name = "DIR")]
    repository: Option<String>,
    /// Backups of this cluster only (wsrep_cluster_name)
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Read only this option file
    #[arg(long, value_name = "FILE")]
    defaults_file: Option<std::path::PathBuf>,
    /// Read this option file after the global ones
    #[arg(long, value_name = "FILE")]
    defaults_extra_file: Option<std::path::PathBuf>,
    /// Read [wsrep_sst_backup<SUFFIX>] too
    #[arg(long, value_name = "SUFFIX")]
    defaults_group_suffix: Option<String>,
}

impl CommonArgs {
    /// Resolves files, environment and flags. `threads` is the flag of the commands that have one.
    pub fn context(&self, threads: Option<String>) -> Result<Context, CommandError> {
        let usage = |error: &dyn std::fmt::Display| CommandError::Usage(error.to_string());
        let defaults = DefaultsArgs {
            defaults_file: self.defaults_file.clone(),
            defaults_extra_file: self.defaults_extra_file.clone(),
            group_suffix: self.defaults_group_suffix.clone(),
            no_defaults: false,
        };
        let files = OptionFiles::read(&defaults).map_err(|error| usage(&error))?;
        let flags = SettingsOverrides {
            repository: self.repository.clone(),
            cluster: self.cluster.clone(),
            threads,
            ..SettingsOverrides::default()
        };
        let settings = Settings::resolve(&files, environment(), &flags).map_err(|error| usage(&error))?;
        for warning in files.warnings().iter().chain(&settings.warnings) {
            log::warn!("{warning}");
        }
        Context::open(settings)
    }
}
