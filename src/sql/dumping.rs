//! What is asked of a server that is dumped.

use std::collections::BTreeSet;

use super::{SqlSession, bounded};

/// Databases that hold no data of anybody.
const VIRTUAL: [&str; 2] = ["information_schema", "performance_schema"];
/// Before a number, in the list of transactions (`innobase_mysql_print_thd`).
const THREAD: &str = " thread id ";
/// In a transaction with a snapshot (`ReadViewBase::print_limits`).
const SNAPSHOT: &str = "Trx read view will not see";
/// Where the list is too long (`srv_printf_innodb_monitor`).
const TRUNCATED: &str = "... truncated...";

impl SqlSession {
    /// All databases with data.
    pub fn databases_with_data(&mut self) -> Result<Vec<String>, String> {
        let names: Vec<String> = self.answer("SHOW DATABASES", bounded::NAMES).map_err(|e| self.plain(e))?;
        let is_real = |name: &String| !VIRTUAL.iter().any(|other| name.eq_ignore_ascii_case(other));
        Ok(names.into_iter().filter(is_real).collect())
    }

    /// What a new session waits for before each of its statements.
    pub fn global_sync_wait(&mut self) -> Result<u64, String> {
        let found = self.variables(&["wsrep_sync_wait"])?;
        Ok(found.get("wsrep_sync_wait").and_then(|value| value.parse().ok()).unwrap_or(0))
    }

    /// Routines and events: the database, what it is, and a digest. The time of an event's last run is no part of it.
    pub fn stored_programs(&mut self) -> Result<Vec<(String, String, String)>, String> {
        let statement = "SELECT db, CONCAT(LOWER(type), ' ', db, '.', name), MD5(CONCAT_WS('|', created, modified, definer, sql_mode, \
                         security_type, MD5(body), MD5(param_list), MD5(returns))) FROM mysql.proc UNION ALL SELECT db, \
                         CONCAT('event ', db, '.', name), MD5(CONCAT_WS('|', created, modified, definer, sql_mode, MD5(body), status, \
                         execute_at, interval_value, interval_field, starts, ends)) FROM mysql.event";
        self.answer(statement, bounded::NAMES).map_err(|error| self.plain(error))
    }

    /// The sessions that read from a consistent snapshot now; none where the server has too many transactions to list them all. Needs the right PROCESS.
    pub fn snapshots(&mut self) -> Result<Option<BTreeSet<u32>>, String> {
        let rows: Vec<(String, String, String)> = self
            .answer("SHOW ENGINE INNODB STATUS", bounded::USUAL)
            .map_err(|error| format!("{}; the right PROCESS is needed", self.plain(error)))?;
        Ok(rows.first().and_then(|(.., text)| snapshots_in(text)))
    }

    /// The tables of an engine without snapshots: database, table, engine.
    pub fn tables_without_snapshots(&mut self) -> Result<Vec<(String, String, String)>, String> {
        // Every definition is opened for that.
        let _ = self.run_one("SET SESSION max_statement_time=0");
        let statement = "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', \
                         'SEQUENCE', 'SYSTEM VERSIONED') AND ENGINE IS NOT NULL AND ENGINE <> 'InnoDB' ORDER BY 1, 2";
        self.answer(statement, bounded::NAMES).map_err(|error| self.plain(error))
    }
}

fn snapshots_in(status: &str) -> Option<BTreeSet<u32>> {
    if status.contains(TRUNCATED) {
        return None;
    }
    let transactions = status.split("---TRANSACTION").skip(1).filter(|one| one.contains(SNAPSHOT));
    let number = |one: &str| {
        let (_, rest) = one.split_once(THREAD)?;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    Some(transactions.filter_map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_with_a_snapshot_is_known_by_its_session() {
        // As 10.11.19 says it.
        let status = "LIST OF TRANSACTIONS FOR EACH SESSION:\n---TRANSACTION (0x7f8f4991c180), ACTIVE 0 sec\n0 lock struct(s)\n\
                      MariaDB thread id 22, OS thread handle 140254102898368, query id 682 localhost root starting\n\
                      show engine innodb status\nTrx read view will not see trx with id >= 42, sees < 42\n\
                      ---TRANSACTION 41, ACTIVE 1 sec\nMariaDB thread id 23, OS thread handle 1, query id 1 localhost root\n\
                      ---TRANSACTION (0x7f8f4991b680), not started\n0 lock struct(s), heap size 1128, 0 row lock(s)\n--------\nFILE I/O\n";
        assert_eq!(snapshots_in(status), Some([22].into()));
        assert_eq!(snapshots_in(&status.replace("MariaDB", "MySQL")), Some([22].into()));
        assert_eq!(snapshots_in("no list"), Some(BTreeSet::new()));
        assert_eq!(snapshots_in(&format!("{status}\n{TRUNCATED}\n")), None);
    }
}
