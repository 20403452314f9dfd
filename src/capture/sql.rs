//! What the local server says of itself, where it answers.
//!
//! SQL is optional: a donor with `wsrep_sst_donor_rejects_queries=ON` refuses every connection, and a
//! frozen server blocks `SHOW MASTER STATUS` until it is thawed. So every statement has a time limit,
//! which is the socket's, and no answer is an answer.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use mysql::prelude::Queryable;
use mysql::{Conn, OptsBuilder};

use crate::model::MariadbGtid;
use crate::sst::Credentials;

/// Longest wait for one answer of a server that runs.
const LIMIT: Duration = Duration::from_secs(5);

/// A connection to the local server over its unix socket.
pub struct SqlSession {
    connection: Conn,
}

/// The server's or the system's own words, without the names of Rust types.
fn plain(error: mysql::Error) -> String {
    match error {
        mysql::Error::MySqlError(error) => format!("{} (error {})", error.message, error.code),
        mysql::Error::IoError(error) => error.to_string(),
        mysql::Error::DriverError(error) => error.to_string(),
        other => other.to_string(),
    }
}

impl SqlSession {
    /// Connects; the text says why not.
    pub fn connect(socket: &Path, credentials: &Credentials) -> Result<Self, String> {
        let user = credentials.user.clone().or_else(|| super::user_name(nix::unistd::geteuid().as_raw()));
        let options = OptsBuilder::new()
            .socket(Some(socket.to_string_lossy().into_owned()))
            .prefer_socket(false)
            .user(user.clone())
            .pass(credentials.password.clone())
            .read_timeout(Some(LIMIT))
            .write_timeout(Some(LIMIT));
        let connection = Conn::new(options).map_err(|error| {
            format!("no SQL as '{}' over '{}': {}", user.unwrap_or_default(), socket.display(), plain(error))
        })?;
        let mut session = Self { connection };
        // A backup of our own account's sessions must not wait for somebody's lock.
        let _ =
            session.connection.query_drop("SET SESSION lock_wait_timeout=1, SESSION max_statement_time=2");
        Ok(session)
    }

    /// These global variables, those the server has.
    pub fn variables(&mut self, names: &[&str]) -> Result<HashMap<String, String>, String> {
        let list: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        let statement = format!("SHOW GLOBAL VARIABLES WHERE Variable_name IN ({})", list.join(","));
        let rows: Vec<(String, String)> = self.connection.query(statement).map_err(plain)?;
        Ok(rows.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect())
    }

    /// Names of the active plugins of these types, and of the engines among `engines`.
    pub fn plugins(&mut self, engines: &[&str]) -> Result<Vec<(String, String)>, String> {
        let list: Vec<String> = engines.iter().map(|name| format!("'{name}'")).collect();
        let statement = format!(
            "SELECT PLUGIN_TYPE, PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE' AND \
             (PLUGIN_TYPE = 'ENCRYPTION' OR (PLUGIN_TYPE = 'STORAGE ENGINE' AND UPPER(PLUGIN_NAME) IN ({})))",
            list.join(",")
        );
        self.connection.query(statement).map_err(plain)
    }

    /// `wsrep_cluster_status`: `Primary`, `non-Primary` or `Disconnected`. Answered by a node that is cut off too.
    pub fn cluster_status(&mut self) -> Result<String, String> {
        let row: Option<(String, String)> =
            self.connection.query_first("SHOW GLOBAL STATUS LIKE 'wsrep_cluster_status'").map_err(plain)?;
        row.map(|(_, status)| status).ok_or_else(|| "the server has no wsrep_cluster_status".into())
    }

    /// MariaDB's three positions; they answer at once in a frozen server too.
    pub fn mariadb_gtid(&mut self) -> Result<MariadbGtid, String> {
        let row: Option<(Option<String>, Option<String>, Option<String>)> = self
            .connection
            .query_first(
                "SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_current_pos, @@GLOBAL.gtid_slave_pos",
            )
            .map_err(plain)?;
        let (binlog_pos, current_pos, slave_pos) = row.unwrap_or_default();
        Ok(MariadbGtid { binlog_pos, current_pos, slave_pos })
    }
}
