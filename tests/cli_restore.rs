//! `restore`: what comes back is what was there, or nothing is there at all.

#[path = "cli_restore/bombs.rs"]
mod bombs;
#[path = "cli_restore/disk.rs"]
mod disk;
#[path = "cli_restore/exactness.rs"]
mod exactness;
#[path = "cli_restore/interruptions.rs"]
mod interruptions;
#[path = "cli_restore/malice.rs"]
mod malice;
#[path = "cli_restore/places.rs"]
mod places;
#[path = "cli_restore/purposes.rs"]
mod purposes;
#[path = "cli_restore/refusals.rs"]
mod refusals;
mod support;
#[path = "cli_restore/targets.rs"]
mod targets;
#[path = "cli_restore/told.rs"]
mod told;

use std::path::Path;

use support::cli::{Answer, Cli, cli};

/// `restore latest --to TARGET`, with more arguments.
fn restoring(repository: &Path, target: &Path, more: &str) -> Cli {
    cli(&format!("restore latest {more}")).on(repository).to(target)
}

/// The same, to its end.
fn restore(repository: &Path, target: &Path, more: &str) -> Answer {
    restoring(repository, target, more).run()
}
