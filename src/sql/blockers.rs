//! The sessions that hold up `FLUSH TABLES WITH READ LOCK`, in words for a person.
//!
//! The plugin `metadata_lock_info`, where somebody has installed it, tells for certain. Else: a statement that writes and takes
//! long, or a table that is locked by one of the sessions that do not wait themselves: nothing in a process list says that a
//! session holds `LOCK TABLES`, whether it sleeps or runs a statement.

use std::collections::BTreeMap;
use std::fmt;

use super::{SqlSession, missing_rights};

/// Sessions that are named at most.
const MOST: usize = 5;
/// Longest text of a statement, in characters.
const LONGEST: usize = 120;
/// Statements that only read, or wait themselves.
const HARMLESS: [&str; 9] =
    ["SELECT", "SHOW", "SET", "EXPLAIN", "DESCRIBE", "DESC", "KILL", "FLUSH", "BACKUP"];
/// Backup locks (`sql/mdl.h`) that let `FLUSH TABLES WITH READ LOCK` pass.
const COMPATIBLE: [&str; 3] = ["MDL_BACKUP_START", "MDL_BACKUP_FLUSH", "MDL_BACKUP_ALTER_COPY"];

/// A line of the process list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct ProcessRow {
    id: u64,
    user: String,
    host: String,
    command: String,
    seconds: i64,
    state: String,
    statement: String,
}

impl fmt::Display for ProcessRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = if self.host.is_empty() { String::new() } else { format!("@{}", self.host) };
        write!(f, "thread {} ({}{host}", self.id, self.user)?;
        if self.statement.is_empty() {
            write!(f, ", idle for {} s)", self.seconds)
        } else {
            write!(f, ", for {} s: {})", self.seconds, shown(&self.statement))
        }
    }
}

impl ProcessRow {
    /// Whether it may be a statement that writes.
    fn writes(&self) -> bool {
        let verb = self.statement.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty());
        let verb = verb.unwrap_or_default().to_ascii_uppercase();
        !self.statement.is_empty()
            && self.seconds >= 1
            && !self.state.starts_with("Waiting for")
            && !HARMLESS.contains(&verb.as_str())
    }

    fn sleeps(&self) -> bool {
        self.command == "Sleep" && self.user != "system user"
    }

    /// Whether it may hold a lock: it sleeps, or runs a statement and does not wait for a lock itself.
    fn may_hold(&self) -> bool {
        let runs = !self.statement.is_empty()
            && self.user != "system user"
            && !self.state.starts_with("Waiting for");
        self.sleeps() || runs
    }
}

/// A line as it comes: number, user, host, command, seconds, state, statement.
type ProcessFields = (u64, String, String, String, i64, String, String);

/// A lock as the plugin tells it: thread, mode, database and table.
type Lock = (u64, String, Option<String>, Option<String>);

impl SqlSession {
    /// Who holds the lock up, as far as this account may see. `own` are sessions of this program.
    pub fn who_blocks(&mut self, own: &[u32]) -> String {
        let threads = self.process_list(own);
        let known = self.lock_holders_among(&threads);
        if known.is_empty() { suspects(&threads, &self.tables_in_use(), self.sees_all()) } else { known }
    }

    /// Who has stopped the server's writes: certainly, or one of the sessions that do not wait themselves.
    pub(super) fn who_stops(&mut self, own: &[u32]) -> String {
        let threads = self.process_list(own);
        let known = self.lock_holders_among(&threads);
        if known.is_empty() { by_one_of(&threads, self.sees_all()) } else { known }
    }

    /// Whether the process list shows this account every session: it has the right PROCESS.
    fn sees_all(&mut self) -> bool {
        let grants: Result<Vec<String>, String> = self.rows("SHOW GRANTS");
        grants.is_ok_and(|grants| !missing_rights(&grants).contains(&"PROCESS"))
    }

    /// Those who certainly hold up a freeze now; empty where there is nobody, and where no plugin tells.
    pub fn lock_holders(&mut self) -> String {
        let threads = self.process_list(&[]);
        self.lock_holders_among(&threads)
    }

    fn lock_holders_among(&mut self, threads: &[ProcessRow]) -> String {
        self.held_locks().map(|locks| holders(&locks, threads)).unwrap_or_default()
    }

    fn process_list(&mut self, own: &[u32]) -> Vec<ProcessRow> {
        let rows: Result<Vec<ProcessFields>, String> = self.rows(
            "SELECT ID, USER, HOST, COMMAND, CAST(IFNULL(TIME, 0) AS SIGNED), IFNULL(STATE, ''), LEFT(IFNULL(INFO, ''), 1000) \
             FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND COMMAND <> 'Daemon' ORDER BY TIME DESC, ID",
        );
        let thread = |(id, user, host, command, seconds, state, statement)| ProcessRow {
            id,
            user,
            host,
            command,
            seconds,
            state,
            statement,
        };
        let mut threads: Vec<ProcessRow> =
            rows.map(|rows| rows.into_iter().map(thread).collect()).unwrap_or_default();
        let mine = self.own.all();
        threads.retain(|thread| !own.iter().chain(&mine).any(|id| u64::from(*id) == thread.id));
        threads
    }

    /// None where the plugin is not there.
    fn held_locks(&mut self) -> Option<Vec<Lock>> {
        let statement = "SELECT THREAD_ID, LOCK_MODE, TABLE_SCHEMA, TABLE_NAME FROM information_schema.METADATA_LOCK_INFO \
                         WHERE THREAD_ID <> CONNECTION_ID()";
        self.rows(statement).ok()
    }

    /// Names of tables that are locked, or worked on.
    fn tables_in_use(&mut self) -> Vec<String> {
        let rows: Result<Vec<(String, String, u64, u64)>, String> =
            self.rows("SHOW OPEN TABLES WHERE In_use > 0");
        rows.map(|rows| rows.into_iter().map(|(database, table, ..)| format!("{database}.{table}")).collect())
            .unwrap_or_default()
    }
}

/// The sessions that certainly hold it up.
fn holders(locks: &[Lock], threads: &[ProcessRow]) -> String {
    let mut modes: BTreeMap<u64, &str> = BTreeMap::new();
    for (id, mode, ..) in locks {
        if mode.starts_with("MDL_BACKUP_") && !COMPATIBLE.contains(&mode.as_str()) {
            modes.insert(*id, mode);
        }
    }
    let said = modes.iter().take(MOST).map(|(id, mode)| {
        let unknown = || format!("thread {id}");
        let who = threads.iter().find(|thread| thread.id == *id).map_or_else(unknown, ToString::to_string);
        let table = locks.iter().find_map(|(holder, mode, database, table)| {
            (holder == id && mode == "MDL_SHARED_NO_READ_WRITE")
                .then(|| format!("{}.{}", database.as_deref()?, table.as_deref()?).into())
                .flatten()
        });
        let what = match (*mode, table) {
            (_, Some(table)) => format!("LOCK TABLES {table} WRITE, or DDL on it"),
            ("MDL_BACKUP_DDL" | "MDL_BACKUP_BLOCK_DDL", None) => "a lock of DDL".to_owned(),
            ("MDL_BACKUP_FTWRL1" | "MDL_BACKUP_FTWRL2", None) => "FLUSH TABLES WITH READ LOCK".to_owned(),
            (mode, None) if mode.contains("_WAIT_") => "a BACKUP STAGE".to_owned(),
            (_, None) => "a statement that writes".to_owned(),
        };
        format!("{who} holds {what}")
    });
    said.collect::<Vec<_>>().join(", ")
}

fn list<'a>(threads: impl Iterator<Item = &'a ProcessRow>) -> String {
    let mut said: Vec<String> = threads.map(ToString::to_string).collect();
    let more = said.len().saturating_sub(MOST);
    said.truncate(MOST);
    if more > 0 {
        said.push(format!("{more} more"));
    }
    said.join(", ")
}

/// By whom, where nobody says that he holds a lock.
fn by_one_of(threads: &[ProcessRow], sees_all: bool) -> String {
    let maybe = || threads.iter().filter(|thread| thread.may_hold());
    let idle = if maybe().all(ProcessRow::sleeps) { "idle " } else { "" };
    match (list(maybe()), sees_all) {
        (none, true) if none.is_empty() => {
            "by whom cannot be told: the process list shows no session but those that wait".into()
        }
        (none, false) if none.is_empty() => {
            "by a session that cannot be seen without the right PROCESS".into()
        }
        (named, true) => format!("by one of the {idle}sessions: {named}"),
        (named, false) => {
            format!(
                "by one of the {idle}sessions: {named}, or one that cannot be seen without the right PROCESS"
            )
        }
    }
}

/// Those who may be it.
fn suspects(threads: &[ProcessRow], tables: &[String], sees_all: bool) -> String {
    let writing = list(threads.iter().filter(|thread| thread.writes()));
    if !writing.is_empty() {
        return format!("a statement that writes takes long: {writing}");
    }
    if tables.is_empty() {
        let right = if sees_all { "" } else { "the right PROCESS shows all sessions, " };
        return format!("who it is cannot be seen ({right}the plugin metadata_lock_info shows their locks)");
    }
    let tables = tables.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    format!("{tables} is locked (LOCK TABLES … WRITE) {}", by_one_of(threads, sees_all))
}

/// A statement on one line, without what it says of people and passwords: the texts in quotes are left out.
fn shown(statement: &str) -> String {
    let mut text = String::new();
    let mut quote = None;
    let mut escaped = false;
    for c in statement.chars() {
        match quote {
            Some(end) if c == end && !escaped => {
                quote = None;
                text.push(c);
            }
            Some(_) => escaped = c == '\\' && !escaped,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                text.push(c);
                text.push('…');
            }
            None if c.is_whitespace() => {
                if !text.ends_with(' ') {
                    text.push(' ');
                }
            }
            None => text.push(c),
        }
    }
    let text = text.trim();
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let cut: String = text.chars().take(LONGEST).collect();
    format!("{cut}…")
}

#[cfg(test)]
#[path = "blockers_tests.rs"]
mod tests;
