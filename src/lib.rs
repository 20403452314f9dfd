//! Physical backups of a Galera Cluster, taken by a donor at one exact GTID.
//!
//! Imports point one way:
//! `main → cli, commands → donate, self_backup → job → drill → restore, verify, prune, copy, trigger, check, metrics, report → capture → output → catalog, lease, cluster →
//! sst, archive, storage, sql → server, quiesce, child, tool → config, hosts, innodb, model, priority → seal, throttle`.
#![forbid(unsafe_code)]
// The list is in clippy.toml. Tests are no program that somebody installs: Cargo.toml lets them.
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::exit,
    clippy::print_stdout,
    clippy::print_stderr
)]

pub mod archive;
pub mod capture;
pub mod catalog;
pub mod check;
pub mod child;
pub mod cli;
pub mod cluster;
pub mod commands;
pub mod config;
pub mod copy;
pub mod desync;
pub mod donate;
pub mod drill;
pub mod exit;
pub mod guard;
pub mod hosts;
pub mod innodb;
pub mod job;
pub mod lease;
pub mod lock;
pub mod metrics;
pub mod model;
pub mod output;
pub mod presence;
pub mod priority;
pub mod prune;
pub mod quiesce;
pub mod regular_file;
pub mod report;
pub mod restore;
pub mod seal;
pub mod self_backup;
pub mod server;
pub mod signals;
pub mod sql;
pub mod sst;
pub mod storage;
pub mod throttle;
pub mod tool;
pub mod trigger;
pub mod ui;
pub mod users;
pub mod verify;
pub mod volume_snapshot;
