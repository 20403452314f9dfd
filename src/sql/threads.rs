//! The threads of a server, as far as the account may see them.

use std::fmt;

use super::SqlSession;

/// Characters of a statement that are shown.
const SHOWN: usize = 100;

/// A thread of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Number in the process list.
    pub id: u64,
    /// Account; `system user` is a thread that applies what the others write.
    pub user: String,
    /// Seconds since its state began.
    pub seconds: u64,
    /// What it does.
    pub state: String,
    /// Its statement, cut short; empty where there is none.
    pub statement: String,
}

impl Thread {
    /// Whether the thread applies write sets of other members, and works on one now.
    pub fn is_busy_applier(&self) -> bool {
        // The states between two write sets: `sql/wsrep_high_priority_service.cc`, `sql/wsrep_thd.cc`; seen on 10.11.19.
        let is_idle = ["", "wsrep applier idle", "wsrep applier committed", "wsrep aborter idle"]
            .contains(&self.state.as_str());
        self.user == "system user" && !is_idle
    }

    /// Whether the thread waits for the lock of another session. An applier behind `LOCK TABLES` was seen in both states on 10.11.19.
    pub fn waits_for_lock(&self) -> bool {
        let is_lock = self.state.starts_with("Waiting for") && self.state.ends_with("lock");
        is_lock || self.state == "Waiting to execute in isolation"
    }
}

impl fmt::Display for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} ('{}', {} s", self.id, self.user, self.seconds)?;
        match self.statement.as_str() {
            "" => write!(f, ")"),
            statement => write!(f, "): {statement}"),
        }
    }
}

/// A metadata lock that a thread holds, from the plugin `metadata_lock_info`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataLock {
    /// Number of its thread in the process list.
    pub thread: u64,
    /// `MDL_SHARED_READ_ONLY`, `MDL_BACKUP_FTWRL2`, …
    pub mode: String,
    /// `schema.table`; empty for a lock of the whole server.
    pub table: String,
}

impl SqlSession {
    /// All threads but this session's own; without the PROCESS privilege only those of the account.
    pub fn threads(&mut self) -> Result<Vec<Thread>, String> {
        let rows: Vec<(u64, String, i64, String, String)> = self.rows(
            "SELECT ID, USER, IFNULL(TIME, 0), IFNULL(STATE, ''), IFNULL(LEFT(INFO, 400), '') \
                 FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() ORDER BY TIME DESC",
        )?;
        let thread = |(id, user, seconds, state, statement): (_, _, i64, _, String)| Thread {
            id,
            user,
            seconds: u64::try_from(seconds).unwrap_or(0),
            state,
            statement: shown(&statement),
        };
        Ok(rows.into_iter().map(thread).collect())
    }

    /// The metadata locks that are held; an error where the plugin is not loaded.
    pub fn metadata_locks(&mut self) -> Result<Vec<MetadataLock>, String> {
        let rows: Vec<(u64, String, String)> = self
            .rows(
                "SELECT THREAD_ID, IFNULL(LOCK_MODE, ''), IF(IFNULL(TABLE_NAME, '') = '', '', CONCAT_WS('.', TABLE_SCHEMA, \
                 TABLE_NAME)) FROM information_schema.METADATA_LOCK_INFO WHERE THREAD_ID <> CONNECTION_ID()",
            )?;
        Ok(rows.into_iter().map(|(thread, mode, table)| MetadataLock { thread, mode, table }).collect())
    }
}

/// A statement in one short line; one that may hold a password is not shown.
fn shown(statement: &str) -> String {
    let upper = statement.to_ascii_uppercase();
    if ["IDENTIFIED", "PASSWORD"].iter().any(|word| upper.contains(word)) {
        return "a statement about passwords".into();
    }
    let line = statement.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_shown_short_and_without_passwords() {
        assert_eq!(shown("select\n  1"), "select 1");
        assert_eq!(shown("set password = 'x'"), "a statement about passwords");
        assert_eq!(shown(&"é".repeat(500)).chars().count(), SHOWN + 1);
    }

    #[test]
    fn an_applier_between_two_write_sets_is_not_busy() {
        let thread = |user: &str, state: &str| Thread {
            id: 1,
            user: user.into(),
            seconds: 7,
            state: state.into(),
            statement: String::new(),
        };
        assert!(!thread("system user", "wsrep applier committed").is_busy_applier());
        assert!(!thread("root", "Waiting for table metadata lock").is_busy_applier());
        let waits = thread("system user", "Waiting for table metadata lock");
        assert!(waits.is_busy_applier() && waits.waits_for_lock());
        assert!(thread("system user", "Waiting to execute in isolation").waits_for_lock());
        assert_eq!(waits.to_string(), "thread 1 ('system user', 7 s)");
    }
}
