//! The two commands, and how long they may take.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{CommandWords, Settings};

/// Giving a snapshot back has as long at least: nothing waits for it but the next backup.
const RELEASE_AT_LEAST: Duration = Duration::from_secs(60);

/// The two commands of the administrator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotCommands {
    /// `snapshot-command`.
    pub take: CommandWords,
    /// `snapshot-release-command`.
    pub release: CommandWords,
    /// `snapshot-timeout`.
    pub limit: Duration,
    /// `snapshot-socket`.
    pub socket: PathBuf,
}

impl SnapshotCommands {
    /// Those that are set; both are, or neither.
    pub fn of(settings: &Settings) -> Option<Self> {
        Some(Self {
            take: settings.snapshot_command.clone()?,
            release: settings.snapshot_release_command.clone()?,
            limit: settings.snapshot_timeout,
            socket: settings.snapshot_socket.clone(),
        })
    }

    /// How long giving back may take.
    pub(super) fn release_limit(&self) -> Duration {
        self.limit.max(RELEASE_AT_LEAST)
    }

    /// Whether somebody else runs them: there is such a socket.
    pub fn has_socket(&self) -> bool {
        fs::metadata(&self.socket).is_ok_and(|metadata| metadata.file_type().is_socket())
    }

    /// Why one of them cannot be started.
    pub fn objection(&self) -> Option<String> {
        let commands = [("snapshot-command", &self.take), ("snapshot-release-command", &self.release)];
        commands.into_iter().find_map(|(name, command)| {
            let program = command.program();
            let why = match fs::metadata(program) {
                Err(error) => error.to_string(),
                Ok(metadata) if !metadata.is_file() => "it is not a file".into(),
                Ok(metadata) if metadata.permissions().mode() & 0o111 == 0 => "it is not executable".into(),
                Ok(_) => return None,
            };
            Some(format!("{name} '{}' cannot be started: {why}", program.display()))
        })
    }
}
