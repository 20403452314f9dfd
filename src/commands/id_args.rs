//! Which backup a command is about.

use clap::Args;
use jiff::Timestamp;

use super::CommandError;
use crate::catalog::Selector;

/// Which backup is meant.
#[derive(Debug, Clone, Args)]
pub(super) struct IdArgs {
    /// Backup ID, or 'latest'
    #[arg(value_name = "ID|latest", required_unless_present = "target_time")]
    pub(super) id: Option<String>,
    /// The newest backup taken at or before this time, e.g. 2026-11-20T11:30:00Z
    #[arg(long, value_name = "RFC3339", conflicts_with = "id")]
    pub(super) target_time: Option<String>,
}

impl IdArgs {
    /// What the arguments mean, before any repository is looked at.
    pub(super) fn selector(&self) -> Result<Selector, CommandError> {
        selector(self.id.as_deref(), self.target_time.as_deref())
    }
}

/// The backup that these arguments mean.
pub(super) fn selector(id: Option<&str>, time: Option<&str>) -> Result<Selector, CommandError> {
    match (id, time) {
        (_, Some(time)) => Ok(Selector::At(target_time(time)?)),
        (Some("latest"), None) => Ok(Selector::Latest),
        (Some(id), None) => Ok(Selector::Id(
            id.parse().map_err(|error: crate::model::IdError| CommandError::NotFound(error.to_string()))?,
        )),
        (None, None) => Err(CommandError::Usage("name a backup ID, 'latest', or --target-time".into())),
    }
}

/// The time in `--target-time`.
pub(super) fn target_time(text: &str) -> Result<Timestamp, CommandError> {
    text.parse().map_err(|_| {
        CommandError::Usage(format!(
            "--target-time '{text}' is not a time with its zone, like 2026-11-20T11:30:00Z or 2026-11-20T12:30:00+01:00"
        ))
    })
}
