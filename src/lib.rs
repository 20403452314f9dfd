//! Physical backups of a Galera Cluster, taken by a donor at one exact GTID.
//!
//! Imports point one way:
//! `main → cli, commands → donate, restore, verify → capture, catalog → sst, archive, storage → config, innodb, model`.
#![forbid(unsafe_code)]

pub mod archive;
pub mod capture;
pub mod catalog;
pub mod cli;
pub mod commands;
pub mod config;
pub mod donate;
pub mod exit;
pub mod innodb;
pub mod model;
pub mod restore;
pub mod sst;
pub mod storage;
pub mod ui;
pub mod verify;
