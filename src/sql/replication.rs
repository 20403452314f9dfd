//! What a server says of the masters that it replicates from.

use mysql::Row;

use super::SqlSession;
use crate::model::{Connection, ConnectionSource};

/// One row of `SHOW ALL SLAVES STATUS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// The connection and its positions.
    pub connection: Connection,
    /// The relay log that is applied; its name without a directory.
    pub relay_log: String,
}

impl SqlSession {
    /// The connections to masters. It needs the privilege REPLICA MONITOR, or SUPER before MariaDB 10.5, and answers
    /// under the freeze of a state transfer too.
    pub fn replica_status(&mut self) -> Result<Vec<ReplicaStatus>, String> {
        let rows: Vec<Row> = self.rows("SHOW ALL SLAVES STATUS")?;
        Ok(rows.iter().map(status).filter(|status| !status.connection.host.is_empty()).collect())
    }
}

fn status(row: &Row) -> ReplicaStatus {
    let text = |name: &str| row.get_opt::<String, _>(name).and_then(Result::ok);
    let known = |name: &str| text(name).filter(|value| !value.is_empty());
    let connection = Connection {
        name: text("Connection_name").unwrap_or_default(),
        host: text("Master_Host").unwrap_or_default(),
        port: text("Master_Port").and_then(|port| port.parse().ok()),
        user: text("Master_User").unwrap_or_default(),
        using_gtid: known("Using_Gtid"),
        gtid_io_pos: known("Gtid_IO_Pos"),
        log_file: known("Relay_Master_Log_File"),
        log_pos: text("Exec_Master_Log_Pos").and_then(|position| position.parse().ok()),
        running: text("Slave_SQL_Running").map(|running| running.eq_ignore_ascii_case("yes")),
        source: ConnectionSource::Server,
    };
    ReplicaStatus { connection, relay_log: text("Relay_Log_File").unwrap_or_default() }
}
