//! What `bench` and `soak` share: processes looked at through `/proc`, commands measured, data made, tables printed.
#![allow(dead_code, unused_imports, reason = "each of the two examples uses another part")]

pub(crate) mod donor;
pub(crate) mod format;
pub(crate) mod machine;
pub(crate) mod measured;
pub(crate) mod proc;
pub(crate) mod sysbench;
pub(crate) mod table;
pub(crate) mod talk;

pub(crate) use donor::{Observed, Observer};
pub(crate) use format::{gib, mib, seconds};
pub(crate) use measured::{Helper, Measured};
pub(crate) use table::Table;
pub(crate) use talk::{heading, say, show};
