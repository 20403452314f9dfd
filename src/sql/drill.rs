//! What a server is asked that is to prove its files.

use super::tablespaces::quoted_name;
use super::{SqlSession, bounded};

/// A table, as the server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedTable {
    /// Its database.
    pub database: String,
    /// Its name.
    pub name: String,
    /// Its engine; none where the server cannot open it.
    pub engine: Option<String>,
    /// Why not, where that is so.
    pub comment: String,
}

impl SqlSession {
    /// Takes the time limit off the statements of this session.
    pub fn take_time(&mut self) -> Result<(), String> {
        self.run_one("SET SESSION max_statement_time=0").map_err(|error| self.plain(error))
    }

    /// Names of the plugins that work.
    pub fn active_plugins(&mut self) -> Result<Vec<String>, String> {
        self.rows("SELECT PLUGIN_NAME FROM information_schema.PLUGINS WHERE PLUGIN_STATUS = 'ACTIVE'")
    }

    /// Nothing is written by this session from now on, unless a statement asks for just that (seen with 10.11.19: error 1792, for DDL and for tables
    /// of engines without transactions too).
    pub fn only_read(&mut self) -> Result<(), String> {
        self.run_one("SET SESSION TRANSACTION READ ONLY").map_err(|error| self.plain(error))
    }

    /// Whether there are triggers that run when a server starts or ends. They stand among the events, in a column that servers without them do not have
    /// (`sql/sql_sys_or_ddl_trigger.cc` of MariaDB 13).
    pub fn has_triggers_of_servers(&mut self) -> Result<bool, String> {
        let column = "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'mysql' AND TABLE_NAME = 'event' AND COLUMN_NAME = 'kind'";
        let triggers = "SELECT COUNT(*) FROM mysql.event WHERE FIND_IN_SET('STARTUP', kind) OR FIND_IN_SET('SHUTDOWN', kind)";
        let any = |counts: Vec<u64>| counts.into_iter().any(|count| count > 0);
        Ok(any(self.rows(column)?) && any(self.rows(triggers)?))
    }

    /// Lets the next start load no plugin that somebody has once installed by a statement.
    pub fn forget_plugins(&mut self) -> Result<(), String> {
        self.run_one("DELETE FROM mysql.plugin").map_err(|error| self.plain(error))
    }

    /// All tables with files, those of the server itself too; no views.
    pub fn served_tables(&mut self) -> Result<Vec<ServedTable>, String> {
        let statement = "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE, TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_TYPE NOT LIKE '%VIEW' \
                         AND TABLE_TYPE <> 'TEMPORARY' AND TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema') ORDER BY 1, 2";
        let rows: Vec<(String, String, Option<String>, Option<String>)> =
            self.answer(statement, bounded::NAMES).map_err(|error| self.plain(error))?;
        let rows = rows.into_iter();
        Ok(rows
            .map(|(database, name, engine, comment)| ServedTable {
                database,
                name,
                engine,
                comment: comment.unwrap_or_default(),
            })
            .collect())
    }

    /// `CHECK TABLE`: kinds of messages and the messages. The last one of kind `status` is `OK` where all is well.
    pub fn check_table(&mut self, table: &ServedTable) -> Result<Vec<(String, String)>, String> {
        let rows: Vec<(String, String, String, String)> =
            self.rows(&format!("CHECK TABLE {}", named(table)))?;
        Ok(rows.into_iter().map(|(_, _, kind, text)| (kind, text)).collect())
    }

    /// How many rows a table has, counted.
    pub fn count_rows(&mut self, table: &ServedTable) -> Result<u64, String> {
        let rows: Vec<u64> = self.rows(&format!("SELECT COUNT(*) FROM {}", named(table)))?;
        rows.into_iter().next().ok_or_else(|| "the server counts nothing".into())
    }

    /// The rows of any statement, each with the texts of its columns.
    pub fn texts(&mut self, statement: &str) -> Result<Vec<Vec<String>>, String> {
        let rows: Vec<mysql::Row> = self.rows(statement)?;
        Ok(rows.into_iter().map(|row| row.unwrap_raw().into_iter().map(text).collect()).collect())
    }
}

fn named(table: &ServedTable) -> String {
    format!("{}.{}", quoted_name(&table.database), quoted_name(&table.name))
}

/// As the `mariadb` client shows it.
fn text(value: Option<mysql::Value>) -> String {
    match value {
        None | Some(mysql::Value::NULL) => "NULL".into(),
        Some(mysql::Value::Bytes(bytes)) => String::from_utf8_lossy(&bytes).into_owned(),
        // Only the binary protocol has the other kinds, and a statement without parameters comes by text.
        Some(other) => other.as_sql(true),
    }
}
