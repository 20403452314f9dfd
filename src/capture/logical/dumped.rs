//! What a dump holds, for its manifest.

use super::super::facts::Facts;
use crate::config::DumpSettings;
use crate::model::Dump;
use crate::sql::SqlSession;

/// Definitions have not changed since the snapshot, so that engines are those of that moment. The manifest of an encrypted backup names no table.
pub(super) fn tell(
    sql: &mut SqlSession,
    settings: &DumpSettings,
    databases: &[String],
    is_encrypted: bool,
    facts: &mut Facts,
) -> Dump {
    let mut dump = Dump {
        whole: settings.is_whole(),
        global_priv: databases.iter().any(|name| name == "mysql"),
        ..Dump::default()
    };
    if !dump.whole {
        dump.filter = Dump::part(&settings.databases, &settings.ignore_tables, is_encrypted);
    }
    if !is_encrypted {
        dump.databases.clone_from(&settings.databases);
        dump.ignored_tables.clone_from(&settings.ignore_tables);
        dump.arguments.clone_from(&settings.args);
    }
    let found = sql.tables_without_snapshots().unwrap_or_else(|why| {
        facts.warnings.push(format!(
            "which tables are not of InnoDB is not known ({why}): their rows may be of a later moment than the others"
        ));
        Vec::new()
    });
    let of_these = found.into_iter().filter_map(|(database, table, engine)| {
        let name = format!("{database}.{table}");
        let is_dumped = databases.contains(&database) && !settings.ignore_tables.contains(&name);
        // The system's own tables are told by `global_priv`.
        (is_dumped && database != "mysql").then_some((name, engine))
    });
    let of_these: Vec<(String, String)> = of_these.collect();
    dump.not_innodb_count = of_these.len() as u64;
    if let Some((name, engine)) = of_these.first() {
        let which = if is_encrypted { String::new() } else { format!(", {name} ({engine}) among them") };
        facts.warnings.push(format!(
            "tables that are not of InnoDB take no part in a snapshot: the rows of {}{which} may be of a later moment than the others, and on a \
             Galera cluster they are on one node only",
            of_these.len()
        ));
    }
    if !is_encrypted {
        dump.not_innodb = of_these.into_iter().take(Dump::MOST_NAMES).map(|(name, _)| name).collect();
    }
    dump
}
