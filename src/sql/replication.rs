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
    /// The master's binary log and the position in it up to which everything is received.
    pub received: Option<(String, u64)>,
    /// What has ended its SQL thread.
    pub error: Option<String>,
    /// Seconds by which it is to be behind its master (`MASTER_DELAY`); 0 for none.
    pub delay: u64,
    /// Seconds until the next event is due, where the SQL thread waits for that: what was due is applied.
    pub next_due: Option<u64>,
}

impl ReplicaStatus {
    /// Whether it is behind by no more than it is to be: the next event is not due yet.
    pub fn waits_for_its_delay(&self) -> bool {
        self.delay > 0 && self.connection.running == Some(true) && self.next_due.is_some()
    }

    /// Whether it has applied everything up to there, a file of the master's and a position in it. The numbers at the files' ends have as many
    /// digits each, so that their names sort.
    pub fn has_applied(&self, goal: Option<&(String, u64)>) -> bool {
        let Some((file, position)) = goal else { return true };
        let applied =
            (self.connection.log_file.as_deref().unwrap_or_default(), self.connection.log_pos.unwrap_or(0));
        applied >= (file.as_str(), *position)
    }
}

/// `STOP SLAVE` and `START SLAVE` name a connection by a literal; none is the default one.
fn sql_thread(verb: &str, name: &str) -> String {
    let quoted = name.replace('\\', "\\\\").replace('\'', "''");
    let of = if name.is_empty() { String::new() } else { format!(" '{quoted}'") };
    format!("{verb} SLAVE{of} SQL_THREAD")
}

impl SqlSession {
    /// The connections to masters. It needs the privilege REPLICA MONITOR, or SUPER before MariaDB 10.5, and answers
    /// under the freeze of a state transfer too.
    pub fn replica_status(&mut self) -> Result<Vec<ReplicaStatus>, String> {
        let rows: Vec<Row> = self.rows("SHOW ALL SLAVES STATUS")?;
        Ok(rows.iter().map(status).filter(|status| !status.connection.host.is_empty()).collect())
    }

    /// Stops the thread that applies what a connection has received. Needs the right REPLICATION SLAVE ADMIN, or SUPER.
    pub fn stop_sql_thread(&mut self, connection: &str) -> Result<(), String> {
        let statement = sql_thread("STOP", connection);
        self.run_one(&statement).map_err(|error| format!("{statement}: {}", self.plain(error)))
    }

    /// Starts it.
    pub fn start_sql_thread(&mut self, connection: &str) -> Result<(), String> {
        let statement = sql_thread("START", connection);
        self.run_one(&statement).map_err(|error| format!("{statement}: {}", self.plain(error)))
    }
}

impl SqlSession {
    /// The GTID position of a place in the server's own binary log (`BINLOG_GTID_POS`); none where it has no such place.
    pub fn binlog_gtid_pos(&mut self, file: &str, offset: u64) -> Result<Option<String>, String> {
        let file = file.replace('\\', "\\\\").replace('\'', "''");
        let rows: Vec<Option<String>> = self.rows(&format!("SELECT BINLOG_GTID_POS('{file}', {offset})"))?;
        Ok(rows.into_iter().next().flatten())
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
    let position = text("Read_Master_Log_Pos").and_then(|position| position.parse().ok());
    ReplicaStatus {
        connection,
        relay_log: text("Relay_Log_File").unwrap_or_default(),
        received: known("Master_Log_File").zip(position),
        error: known("Last_SQL_Error"),
        delay: text("SQL_Delay").and_then(|seconds| seconds.parse().ok()).unwrap_or(0),
        next_due: text("SQL_Remaining_Delay").and_then(|seconds| seconds.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_named_as_a_literal() {
        assert_eq!(sql_thread("STOP", ""), "STOP SLAVE SQL_THREAD");
        assert_eq!(sql_thread("START", "it's\\"), "START SLAVE 'it''s\\\\' SQL_THREAD");
    }

    #[test]
    fn what_is_applied_is_compared_by_file_and_position() {
        let status = |file: &str, position| ReplicaStatus {
            connection: Connection {
                log_file: Some(file.into()),
                log_pos: Some(position),
                ..Connection::default()
            },
            relay_log: String::new(),
            received: None,
            error: None,
            delay: 0,
            next_due: None,
        };
        let goal = ("m-bin.000009".to_owned(), 400);
        assert!(
            status("m-bin.000009", 400).has_applied(Some(&goal))
                && status("m-bin.000010", 4).has_applied(Some(&goal))
        );
        assert!(
            !status("m-bin.000009", 399).has_applied(Some(&goal))
                && !status("m-bin.000008", 900).has_applied(Some(&goal))
        );
        assert!(status("", 0).has_applied(None));
    }

    #[test]
    fn a_delayed_replica_has_nothing_to_do_when_its_next_event_is_not_due() {
        let status = |delay, next_due, running| ReplicaStatus {
            connection: Connection { running: Some(running), ..Connection::default() },
            relay_log: String::new(),
            received: None,
            error: None,
            delay,
            next_due,
        };
        assert!(status(3600, Some(3599), true).waits_for_its_delay());
        for (delay, next_due, running) in [(3600, None, true), (3600, Some(7), false), (0, Some(7), true)] {
            assert!(
                !status(delay, next_due, running).waits_for_its_delay(),
                "{delay} {next_due:?} {running}"
            );
        }
    }
}
