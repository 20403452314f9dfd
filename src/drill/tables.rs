//! The tables: whether each is whole, and how many rows they have.

use std::time::{SystemTime, UNIX_EPOCH};

use super::findings::DrillFindings;
use crate::sql::{ServedTable, SqlSession};

/// Tables of a sample, beside those of the database `mysql`.
const SAMPLE: usize = 50;
/// Tables that are named in a message.
const NAMED: usize = 5;

/// How `CHECK TABLE` begins to speak of a table without rows (`ER_TABLESPACE_DISCARDED`; seen with 10.11.19).
const DISCARDED: &str = "Tablespace has been discarded";

/// How it begins to speak of a table that a newer series wants to have upgraded.
const UPGRADES: [&str; 3] = ["Upgrade required", "Table rebuild required", "Table needs to be upgraded"];
/// Tables of the server's own in which it logs, by the engine CSV.
const LOGS: [&str; 2] = ["general_log", "slow_log"];

/// Which tables are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableChoice {
    /// Each.
    All,
    /// Some, other ones each time, so that with time it is each.
    Sample,
    /// None.
    None,
}

/// Checks them; what is wrong, in words.
pub(super) fn check(
    session: &mut SqlSession,
    choice: TableChoice,
    findings: &mut DrillFindings,
) -> Result<(), String> {
    if choice == TableChoice::None {
        return Ok(());
    }
    let all = session.served_tables()?;
    findings.measured.tables.all = all.len() as u64;
    let (unknown, known): (Vec<ServedTable>, Vec<ServedTable>) =
        all.into_iter().partition(is_of_unknown_engine);
    if let Some(first) = unknown.first() {
        findings.notes.push(format!(
            "{} tables are of engines that are not loaded for a drill, the first one is {}.{} ({}): they were not opened",
            unknown.len(),
            first.database,
            first.name,
            first.comment
        ));
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let chosen = match choice {
        TableChoice::Sample => sample(known, seconds),
        TableChoice::All | TableChoice::None => known,
    };
    let (mut broken, mut count, mut discarded) = (Vec::new(), 0_usize, Vec::new());
    let mut noted = Vec::new();
    for table in &chosen {
        match whole(session, table) {
            Ok(rows) => findings.measured.rows = findings.measured.rows.saturating_add(rows),
            Err(CheckFault::Discarded) => discarded.push(format!("{}.{}", table.database, table.name)),
            Err(CheckFault::Harmless(what)) => {
                noted.push(format!("{}.{}: {what}", table.database, table.name));
            }
            Err(CheckFault::Table(what)) => {
                count += 1;
                if broken.len() < NAMED {
                    broken.push(format!("{}.{}: {what}", table.database, table.name));
                }
            }
            Err(CheckFault::Session(what)) => {
                return Err(format!("{}.{}: {what}", table.database, table.name));
            }
        }
        findings.measured.tables.checked += 1;
    }
    if !discarded.is_empty() {
        findings.notes.push(format!(
            "{} tables have no rows, because somebody has discarded their tablespaces on the server that was backed up, the first one is {}",
            discarded.len(),
            discarded[0]
        ));
    }
    if let Some(first) = noted.first() {
        findings.notes.push(format!(
            "CHECK TABLE has something to say of {} tables that is no damage, of the first one {first}",
            noted.len()
        ));
    }
    if broken.is_empty() {
        return Ok(());
    }
    let more = count - broken.len();
    let more = if more == 0 { String::new() } else { format!("; and {more} more tables") };
    Err(format!("{}{more}", broken.join("; ")))
}

/// What is wrong.
enum CheckFault {
    /// The table.
    Table(String),
    /// Nothing that rows were lost by.
    Harmless(String),
    /// Nothing: it has no rows, by `ALTER TABLE … DISCARD TABLESPACE`.
    Discarded,
    /// The server does not answer any more.
    Session(String),
}

/// Its rows, where all of it is well.
fn whole(session: &mut SqlSession, table: &ServedTable) -> Result<u64, CheckFault> {
    let said = session.check_table(table).map_err(CheckFault::Session)?;
    if said.iter().any(|(_, text)| text.starts_with(DISCARDED)) {
        return Err(CheckFault::Discarded);
    }
    if let Some(what) = complaint(&said) {
        let fault = if is_harmless(table, &what) { CheckFault::Harmless } else { CheckFault::Table };
        return Err(fault(what));
    }
    session.count_rows(table).map_err(CheckFault::Session)
}

/// Whether no rows were lost by what `CHECK TABLE` says: it asks for an upgrade by `mariadb-upgrade` (`ER_TABLE_NEEDS_UPGRADE`,
/// `ER_TABLE_NEEDS_REBUILD`), or speaks of a log that the server writes to while its files are read.
fn is_harmless(table: &ServedTable, what: &str) -> bool {
    let is_log = table.database == "mysql" && LOGS.contains(&table.name.as_str());
    is_log || UPGRADES.iter().any(|text| what.starts_with(text))
}

/// What `CHECK TABLE` has against a table. An engine that cannot check says so in a note.
fn complaint(said: &[(String, String)]) -> Option<String> {
    let is = |kind: &str, wanted: &str| kind.eq_ignore_ascii_case(wanted);
    let errors: Vec<&str> =
        said.iter().filter(|(kind, _)| is(kind, "error")).map(|(_, text)| text.as_str()).collect();
    let status = said.iter().rev().find(|(kind, _)| is(kind, "status")).map(|(_, text)| text.as_str());
    match (errors.is_empty(), status) {
        (true, None | Some("OK" | "Table is already up to date")) => None,
        (true, Some(other)) => Some(other.to_owned()),
        (false, _) => Some(errors.join(", ")),
    }
}

/// `ER_UNKNOWN_STORAGE_ENGINE` in the place of a comment.
fn is_of_unknown_engine(table: &ServedTable) -> bool {
    table.engine.is_none() && table.comment.starts_with("Unknown storage engine")
}

/// Every n-th table, beginning with another one at each moment; those of the server itself, and those that cannot be opened, in any case.
fn sample(tables: Vec<ServedTable>, moment: u64) -> Vec<ServedTable> {
    let step = tables.len().div_ceil(SAMPLE).max(1);
    let first = usize::try_from(moment).unwrap_or(0) % step;
    let is_chosen = |at: usize, table: &ServedTable| {
        at % step == first || table.database == "mysql" || table.engine.is_none()
    };
    tables
        .into_iter()
        .enumerate()
        .filter(|(at, table)| is_chosen(*at, table))
        .map(|(_, table)| table)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(database: &str, name: &str, engine: Option<&str>, comment: &str) -> ServedTable {
        let own = str::to_owned;
        ServedTable {
            database: own(database),
            name: own(name),
            engine: engine.map(own),
            comment: own(comment),
        }
    }

    #[test]
    fn samples_of_following_moments_have_every_table() {
        let all = |count: usize| -> Vec<ServedTable> {
            (0..count).map(|n| table("d", &format!("t{n}"), Some("InnoDB"), "")).collect()
        };
        assert_eq!(sample(all(SAMPLE), 4711).len(), SAMPLE);
        let mut seen: Vec<String> = (0..5).flat_map(|at| sample(all(201), at)).map(|one| one.name).collect();
        assert!(sample(all(201), 3).len() <= SAMPLE);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 201);
        let mut tables = all(500);
        tables.push(table("mysql", "db", Some("Aria"), ""));
        tables.push(table("d", "gone", None, "Table 'd.gone' doesn't exist in engine"));
        for at in 0..12 {
            let names: Vec<String> = sample(tables.clone(), at).into_iter().map(|one| one.name).collect();
            assert!(names.contains(&"db".into()) && names.contains(&"gone".into()));
        }
    }

    #[test]
    fn errors_and_any_other_status_than_ok_are_complaints() {
        let said = |rows: &[(&str, &str)]| {
            complaint(&rows.iter().map(|(kind, text)| ((*kind).into(), (*text).into())).collect::<Vec<_>>())
        };
        assert_eq!(said(&[("status", "OK")]), None);
        assert_eq!(said(&[("warning", "1 client is using it"), ("status", "OK")]), None);
        assert_eq!(said(&[("note", "The storage engine for the table doesn't support check")]), None);
        assert_eq!(
            said(&[("Error", "Table 'd.t' doesn't exist in engine"), ("status", "Operation failed")])
                .as_deref(),
            Some("Table 'd.t' doesn't exist in engine")
        );
        assert_eq!(said(&[("warning", "x"), ("status", "Corrupt")]).as_deref(), Some("Corrupt"));
    }

    #[test]
    fn what_an_upgrade_mends_and_half_a_line_in_a_log_are_no_damage() {
        let own = table("d", "t", Some("MyISAM"), "");
        let log = table("mysql", "slow_log", Some("CSV"), "");
        assert!(is_harmless(
            &own,
            "Upgrade required. Please do \"REPAIR TABLE `t`\" or dump/reload to fix it!"
        ));
        assert!(is_harmless(&own, "Table rebuild required. Please do \"ALTER TABLE `t` FORCE\""));
        assert!(is_harmless(&log, "Corrupt") && !is_harmless(&own, "Corrupt"));
        assert!(!is_harmless(&table("mysql", "db", Some("Aria"), ""), "Corrupt"));
    }

    #[test]
    fn an_engine_that_is_not_loaded_is_no_fault_of_the_table() {
        assert!(is_of_unknown_engine(&table("d", "t", None, "Unknown storage engine 'SPIDER'")));
        assert!(!is_of_unknown_engine(&table("d", "t", None, "Table 'd.t' doesn't exist in engine")));
        assert!(!is_of_unknown_engine(&table(
            "d",
            "t",
            Some("InnoDB"),
            "Unknown storage engine, says the comment"
        )));
    }
}
