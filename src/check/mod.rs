//! Would a backup work here, and would it be of use? Asked before one is needed.
//!
//! Each topic has a module with facts and a judgement: the facts come from SQL, from `/proc`, from the repository and
//! from a child that stands where the donor program would stand ([`probe`]); the judgement is a function of them.
//! Nothing is changed anywhere, but for a file that is written into the repository and removed.

mod asking_topics;
mod backups;
mod bucket;
mod data;
mod donor_view;
mod files;
mod finding;
mod flow_control;
mod freeze;
mod garbd;
mod gcache;
mod left_out;
mod local;
mod lock;
mod network;
mod node;
mod overflow;
mod probe;
mod process;
mod program;
mod repository;
mod service;
mod settings;
mod space;
mod sql;
mod topics;

use std::time::Duration;

use jiff::Timestamp;

pub use donor_view::look;
pub use finding::{Finding, Level};
pub use probe::{COMMAND as PROBE_COMMAND, ProbeAnswer, ProbeRequest};

use crate::catalog::Catalog;
use crate::config::{OptionFiles, Settings};
use topics::CheckFacts;

/// What `check` was asked.
pub struct Options<'a> {
    /// Our own settings.
    pub settings: &'a Settings,
    /// The files that they came from.
    pub files: &'a OptionFiles,
    /// An age of the newest backup above which there is an error.
    pub max_age: Option<Duration>,
    /// How long the write rate is sampled; none for not at all.
    pub sample: Option<Duration>,
    /// The time.
    pub now: Timestamp,
}

/// The only finding where the settings cannot be used: whatever else was looked at might be the wrong thing.
pub fn unusable_settings(why: &str) -> Finding {
    Finding::error(
        "settings",
        why,
        "correct it, then check again; a donor that reads it makes no backup either",
    )
}

/// What `check` came to.
pub struct CheckOutcome {
    /// In the order in which they should be read.
    pub findings: Vec<Finding>,
    /// The cluster that was looked at, where it has a name.
    pub cluster: Option<String>,
    /// What is in the repository, where it could be read.
    pub catalog: Option<Catalog>,
}

/// Looks at everything.
pub fn check(options: &Options<'_>) -> CheckOutcome {
    let scene = CheckFacts::look(options);
    let warnings: Vec<String> =
        options.files.warnings().iter().chain(&options.settings.warnings).cloned().collect();
    let findings = [
        settings::judge_files(options.files, &warnings),
        scene.server(),
        scene.donor(),
        scene.space(),
        scene.freeze(),
        scene.backups(),
        scene.sql(),
        scene.group(),
        scene.data(),
        scene.files(),
        scene.ist(),
    ]
    .concat();
    let (cluster, catalog) = scene.into_repository();
    CheckOutcome { findings, cluster, catalog }
}
