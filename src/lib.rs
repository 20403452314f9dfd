//! Physical backups of a Galera Cluster, taken by a donor at one exact GTID.
//!
//! Imports point one way:
//! `main → cli, commands → donate, restore, verify → capture, catalog → sst, archive, storage → config, innodb, model`.
#![forbid(unsafe_code)]

pub mod archive;
pub mod catalog;
pub mod config;
pub mod innodb;
pub mod model;
pub mod sst;
pub mod storage;
