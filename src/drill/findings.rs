//! What a drill finds on its way.

use std::time::Instant;

use crate::model::{DrilledJoin, TableCount};

/// What a drill has found and measured so far; times in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrillFindings {
    /// Where the server found its files to stand.
    pub position: Option<String>,
    /// Tables of the server.
    pub tables: TableCount,
    /// Rows of those that were checked.
    pub rows: u64,
    /// Questions with the expected answers.
    pub queries: u64,
    /// Until the files were restored, or the dump was loaded.
    pub restore_ms: u64,
    /// From then on until the server had recovered and answered.
    pub start_ms: u64,
    /// For tables and questions.
    pub check_ms: u64,
    /// How it joined its cluster, where it did.
    pub join: Option<DrilledJoin>,
    /// What else to know, in sentences without their full stop.
    pub notes: Vec<String>,
}

/// Since then.
pub(super) fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
