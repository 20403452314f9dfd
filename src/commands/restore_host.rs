//! The server of this machine, which may be the one that will start on what is restored: its version, and its option files.

use super::CommandError;
use crate::config::{OptionFiles, ServerOptions};
use crate::model::Manifest;
use crate::restore::{
    Advice, Installed, Purpose, RestoreError, RestoreRequest, Restored, SeriesUpgrade, is_of,
    missing_options, unstartable,
};

/// How to restore all the same.
const CURE: &str = "restore with --any-server where another server will use the directory";

/// What is known of it.
pub(super) struct RestoreHost {
    /// None where no server of MariaDB is found.
    installed: Option<Installed>,
    options: ServerOptions,
    /// That of the installed server, else that of the backup's: whose groups of the option files and whose defaults count.
    version: Option<String>,
}

impl RestoreHost {
    /// `theirs` is the version of the backup's server.
    pub(super) fn look(files: &OptionFiles, theirs: Option<&str>) -> Self {
        let installed = Installed::find(&ServerOptions::from(files, &[], theirs));
        let here = installed.as_ref().map(|installed| installed.version.clone());
        let version = here.or_else(|| theirs.map(str::to_owned));
        let options = ServerOptions::from(files, &[], version.as_deref());
        Self { installed, options, version }
    }

    /// Refuses a backup on which this server would not start.
    pub(super) fn refuse(&self, manifest: &Manifest, request: &RestoreRequest) -> Result<(), CommandError> {
        let theirs = manifest.server.version.as_deref();
        if let Some(installed) = &self.installed {
            installed.refuse_newer(manifest.id.as_str(), theirs, CURE)?;
        }
        // The option file of a server with some tables is written by the restore.
        if request.only.is_some() || !is_of(&self.options, &request.target) {
            return Ok(());
        }
        let lines = unstartable(&manifest.server, &request.target, self.version.as_deref(), &self.options);
        if lines.is_empty() {
            return Ok(());
        }
        Err(RestoreError::Refused(format!(
            "the option files here name '{}' as data directory, and with them no server would start on backup '{}', whose files were made with other \
             options. Add to the group [mysqld]:  {}  - or {CURE}",
            request.target.display(),
            manifest.id,
            lines.join("; ")
        ))
        .into())
    }

    /// What to do where this server is of a newer series than the backup's.
    pub(super) fn tell_upgrade(&self, manifest: &Manifest, purpose: Purpose, advice: &mut Advice) {
        let theirs = manifest.server.version.as_deref();
        let upgrade = self.installed.as_ref().and_then(|installed| SeriesUpgrade::needed(theirs, installed));
        if let Some(upgrade) = upgrade {
            upgrade.tell(manifest, purpose, advice);
        }
    }

    /// Option lines that the option files here do not have.
    pub(super) fn missing(&self, restored: &Restored) -> Vec<String> {
        missing_options(&restored.needed, &restored.datadir, self.version.as_deref(), &self.options)
    }
}
