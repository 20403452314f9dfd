//! The flags that every command has, and what they resolve to.

use clap::Args;
use thiserror::Error;

use super::{CommandError, Context, write_metrics};
use crate::capture;
use crate::config::{
    ConfigError, DefaultsArgs, EVERY_COMMAND, Flag, OptionFileError, OptionFiles, RepositoryUrl,
    SettingOrigin, Settings, SettingsOverrides, environment, flag, named_here,
};
use crate::metrics::Scope;
use crate::model::safe_component;

const REPOSITORY: Flag = flag("repository", EVERY_COMMAND);
const CLUSTER: Flag = flag("cluster", EVERY_COMMAND);
const IDENTITY_FILE: Flag = flag("identity-file", EVERY_COMMAND);

/// Where backups are, for every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Repository and configuration")]
pub struct CommonArgs {
    #[arg(long, value_name = REPOSITORY.value, help = REPOSITORY.help)]
    repository: Option<String>,
    #[arg(long, value_name = CLUSTER.value, help = CLUSTER.help)]
    cluster: Option<String>,
    #[arg(long, value_name = IDENTITY_FILE.value, help = IDENTITY_FILE.help)]
    identity_file: Option<String>,
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
    /// Resolves files, environment and flags, and opens the repository.
    pub fn context(&self) -> Result<Context, CommandError> {
        self.context_with(|_| ()).map(|(context, _)| context)
    }

    /// The same with the flags that only one command has, and with the option files themselves, in which the
    /// server's own options stand.
    pub fn context_with(
        &self,
        add: impl FnOnce(&mut SettingsOverrides),
    ) -> Result<(Context, OptionFiles), CommandError> {
        let (files, settings) = self.resolve_aloud(add)?;
        Ok((Context::open(settings)?, files))
    }

    /// The same for a command that writes the metrics anew: they hear that the repository cannot be used. One that is named by a flag
    /// may be another than the one that they are about.
    pub(super) fn context_with_metrics(
        &self,
        add: impl FnOnce(&mut SettingsOverrides),
    ) -> Result<(Context, OptionFiles), CommandError> {
        let (files, settings) = self.resolve_aloud(add)?;
        let opened = Context::open(settings.clone()).inspect_err(|error| {
            if matches!(error, CommandError::Repository(_)) && self.repository.is_none() {
                let cluster = settings.cluster.as_deref().map(safe_component);
                write_metrics(&settings, cluster.as_deref().map_or(Scope::All, Scope::Cluster), None);
            }
        });
        Ok((opened?, files))
    }

    /// Says what is odd in the option files.
    fn resolve_aloud(
        &self,
        add: impl FnOnce(&mut SettingsOverrides),
    ) -> Result<(OptionFiles, Settings), CommandError> {
        let (files, settings) = self.resolve(add)?;
        for warning in files.warnings().iter().chain(&settings.warnings) {
            log::warn!("{warning}");
        }
        Ok((files, settings))
    }

    /// The settings of another repository than the one that `here` is about. It has the same, unless `suffix` names a
    /// group for it; then those of that group, as `--defaults-group-suffix` would have them, and nothing of the
    /// environment, whose variables cannot say which of the two they mean. `to` is its place, where the group does not
    /// say it.
    pub(super) fn other(
        &self,
        here: &Settings,
        to: Option<&str>,
        suffix: Option<&str>,
    ) -> Result<Settings, CommandError> {
        let repository: Option<RepositoryUrl> = to
            .map(|to| named_here(to).and_then(|to| to.parse()))
            .map(|to| to.map_err(|error| CommandError::Usage(format!("--to: {error}"))))
            .transpose()?;
        let Some(suffix) = suffix else {
            let repository = repository.unwrap_or_else(|| here.repository.clone());
            return Ok(Settings { repository, ..here.clone() });
        };
        let files = OptionFiles::read(&self.defaults(Some(suffix))).map_err(SettingsFault::from)?;
        let group = format!("wsrep_sst_backup{suffix}");
        if suffix.is_empty() || !files.has_group(&group) {
            let problem =
                format!("--to-defaults-group-suffix: no option file has a setting in a group [{group}]");
            return Err(CommandError::Usage(problem));
        }
        let flags = SettingsOverrides::default();
        let settings = capture::settings(&files, std::iter::empty(), &flags).map_err(SettingsFault::from)?;
        for warning in settings.warnings.iter().filter(|warning| !here.warnings.contains(warning)) {
            log::warn!("{warning}");
        }
        let repository = repository.unwrap_or_else(|| settings.repository.clone());
        Ok(Settings { repository, ..settings })
    }

    /// Where the option files of the server of this machine are.
    pub(super) fn server_defaults(&self) -> DefaultsArgs {
        self.defaults(self.defaults_group_suffix.as_deref())
    }

    /// Where option files are.
    fn defaults(&self, suffix: Option<&str>) -> DefaultsArgs {
        DefaultsArgs {
            defaults_file: self.defaults_file.clone(),
            defaults_extra_file: self.defaults_extra_file.clone(),
            group_suffix: suffix.map(str::to_owned),
            no_defaults: false,
        }
    }

    /// Resolves files, environment and flags; touches no repository.
    pub(super) fn resolve(
        &self,
        add: impl FnOnce(&mut SettingsOverrides),
    ) -> Result<(OptionFiles, Settings), SettingsFault> {
        let files = OptionFiles::read(&self.defaults(self.defaults_group_suffix.as_deref()))?;
        let repository = self.repository.as_deref().map(named_here).transpose().map_err(|problem| {
            ConfigError::Value { name: "repository", origin: SettingOrigin::Flag("repository"), problem }
        })?;
        let mut flags = SettingsOverrides::default();
        flags.set(REPOSITORY, repository.as_deref());
        flags.set(CLUSTER, self.cluster.as_deref());
        flags.set(IDENTITY_FILE, self.identity_file.as_deref());
        add(&mut flags);
        let settings = capture::settings(&files, environment(), &flags)?;
        Ok((files, settings))
    }
}

/// Why there are no settings.
#[derive(Debug, Error)]
pub(super) enum SettingsFault {
    /// A file.
    #[error(transparent)]
    Files(#[from] OptionFileError),
    /// A setting.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl SettingsFault {
    /// Whether the command line is to blame, and not what it leads to.
    pub(super) fn is_usage(&self) -> bool {
        match self {
            Self::Files(error) => matches!(error, OptionFileError::Required { .. }),
            Self::Config(ConfigError::Unknown { origin, .. } | ConfigError::Value { origin, .. }) => {
                matches!(origin, SettingOrigin::Flag(_))
            }
        }
    }
}

impl From<SettingsFault> for CommandError {
    fn from(fault: SettingsFault) -> Self {
        Self::Usage(fault.to_string())
    }
}
