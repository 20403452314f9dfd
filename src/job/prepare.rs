//! What is decided about a backup while the server still runs undisturbed.

use super::JobError;
use crate::capture::{self, Choice, FileList, Overlap, Plan, Prospect, ServerLayout};
use crate::config::{RepositoryUrl, Settings};
use crate::model::PassedMethod;
use crate::quiesce::Files;
use crate::volume_snapshot::SnapshotCommands;

/// The method, where nothing speaks against a backup of these files. `offered` is what they can be made worth while they are read; methods of `given_up` are
/// not tried again.
pub fn choose_method(
    settings: &Settings,
    offered: &[Files],
    layout: &ServerLayout,
    (plan, expected): (&Plan, &FileList),
    given_up: &[PassedMethod],
) -> Result<Choice, JobError> {
    if let RepositoryUrl::Directory(path) = &settings.repository
        && let Some(overlap) = Overlap::find(path, layout, &expected.entries)
    {
        return Err(JobError::Overlap(overlap.text(path)));
    }
    let commands = SnapshotCommands::of(settings);
    let prospect = Prospect {
        is_plain: settings.plain_tar,
        layout,
        files: expected,
        rate: settings.limit_rate,
        worth: Files::Clean,
        snapshot: commands.as_ref(),
        tablespaces: plan.tablespaces(),
    };
    capture::choose(&settings.method, offered, &prospect, given_up).map_err(JobError::NoMethod)
}
