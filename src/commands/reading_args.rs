//! The flags of the commands that read whole backups.

use clap::Args;

use crate::config::{Flag, SettingsOverrides, flag};

const THREADS: Flag = flag("threads", "restore");
const LIMIT_RATE: Flag = flag("limit-rate", "restore");

/// With how many threads a backup is read, and how fast.
#[derive(Debug, Clone, Args)]
pub(super) struct ReadingArgs {
    #[arg(long, value_name = THREADS.value, help = THREADS.help)]
    threads: Option<String>,
    #[arg(long, value_name = LIMIT_RATE.value, help = LIMIT_RATE.help)]
    limit_rate: Option<String>,
}

impl ReadingArgs {
    /// The settings that have flags here.
    pub(super) fn set(&self, flags: &mut SettingsOverrides) {
        flags.set(THREADS, self.threads.as_deref());
        flags.set(LIMIT_RATE, self.limit_rate.as_deref());
    }
}
