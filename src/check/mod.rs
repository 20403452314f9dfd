//! Would a backup work here, and would it be of use? Asked before one is needed.
//!
//! Each topic has a module with facts and a judgement: the facts come from SQL, from `/proc`, from the repository and
//! from a child that stands where the donor program would stand ([`probe`]); the judgement is a function of them.
//! Nothing is changed anywhere, but for a file that is written into the repository and removed, and for a desync that a `run` which was
//! killed has left ([`desync`]), and a snapshot of the administrator's that a backup which was killed has left ([`snapshot`]).

mod ages;
mod asking_topics;
mod attempts;
mod backups;
mod bucket;
mod capture_method;
mod data;
mod desync;
mod donor_view;
mod dumps;
mod facts;
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
mod options;
mod overflow;
mod own_settings;
mod probe;
mod probe_request;
mod process;
mod program;
mod repository;
mod rest;
mod run_service;
mod service;
mod snapshot;
mod space;
mod sql;
mod topics;

pub use donor_view::look;
pub use finding::{Finding, Level};
pub use options::Options;
pub use probe::{COMMAND as PROBE_COMMAND, ProbeAnswer};
pub use probe_request::ProbeRequest;

use crate::catalog::Catalog;
use facts::CheckFacts;

/// The only finding where the settings cannot be used: whatever else was looked at might be the wrong thing.
pub fn unusable_settings(why: &str) -> Finding {
    Finding::error(
        "settings",
        why,
        "correct it, then check again; a donor that reads it makes no backup either",
    )
}

/// The findings of a check, and what it has read on the way.
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
        own_settings::judge_files(options.files, &warnings),
        scene.left(),
        scene.server(),
        scene.donor(),
        scene.space(),
        scene.capture_method(),
        scene.snapshot(),
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
