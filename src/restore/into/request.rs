//! What is asked for, and what came of it.

use super::survey::DumpSurvey;
use crate::cluster::Access;
use crate::sql::Endpoint;

/// What is asked for.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Debug, Clone)]
pub struct LoadRequest {
    /// The server.
    pub endpoint: Endpoint,
    /// How it is asked.
    pub access: Access,
    /// These databases alone; all where it is empty.
    pub databases: Vec<String>,
    /// Users and grants, too.
    pub users: bool,
    /// Tables and accounts that are there are made anew.
    pub overwrite: bool,
    /// The tables of the database `mysql`, too.
    pub system_tables: bool,
    /// Also into a server of an older series.
    pub any_server: bool,
}

impl LoadRequest {
    /// The database that statements go to which name none.
    pub(super) fn default_database(&self, survey: &DumpSurvey) -> Option<&str> {
        self.databases.first().map(String::as_str).filter(|_| !survey.names_databases())
    }
}

/// What was loaded.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The server's version.
    pub version: String,
    /// Nodes of its cluster.
    pub nodes: Option<u64>,
    /// The databases.
    pub databases: Vec<String>,
    /// Tables in them.
    pub tables: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Accounts that were made or replaced.
    pub accounts: Vec<String>,
    /// Accounts of the dump that were there and stay as they are.
    pub accounts_kept: Vec<String>,
    /// Tables whose rows are on this node alone.
    pub not_replicated: Vec<String>,
    /// What else to know.
    pub notes: Vec<String>,
}
