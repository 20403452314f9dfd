//! Which database a unit of a dump belongs to, and what it does.

use std::collections::BTreeSet;

/// The database in which a server keeps what is its own.
pub(super) const SYSTEM: &str = "mysql";

/// What a unit is, as far as a load wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unit {
    /// `-- Server version`: which.
    ServerVersion(String),
    /// The first line of a dump.
    Program(String),
    /// The last line of a whole dump.
    Completed,
    /// The first statement on a table: it drops it.
    DropTable(String),
    /// The definition of a table.
    CreateTable(String),
    /// Rows of a table.
    Insert(String),
    /// `LOCK TABLES`, `UNLOCK TABLES`.
    LockTables,
    /// What makes one transaction of the rows of a table (`--no-autocommit`, the default of `mariadb-dump` since 11.8).
    TableTransaction,
    /// A user, a role or a grant.
    Account,
    /// What would change the replication of the server that it is sent to.
    Replication,
    /// A routine, a trigger or an event.
    Block,
    /// Anything else.
    Other,
}

/// Follows the databases of a dump.
#[derive(Debug, Default)]
pub(super) struct Sections {
    database: Option<String>,
    is_trailer: bool,
    /// What was saved within a database (`SET @OLD_X=@@X`): to put it back is no sign of the end.
    saved_within: BTreeSet<String>,
}

impl Sections {
    /// The database that the present unit belongs to. None for what stands before the first one and behind the last one, and
    /// everywhere in a dump that names no database.
    pub(super) fn database(&self) -> Option<&str> {
        self.database.as_deref().filter(|_| !self.is_trailer)
    }

    /// The next unit, by its beginning.
    pub(super) fn next(&mut self, head: &[u8]) -> Unit {
        let text = String::from_utf8_lossy(head);
        if let Some(rest) = text.strip_prefix("--") {
            return self.comment(rest.trim());
        }
        if text.starts_with("DELIMITER ") {
            return Unit::Block;
        }
        let code = uncommented(&text);
        let name = |word: &str| Some(first_name(code.strip_prefix(word)?));
        if let Some(Some(database)) = name("USE ").or_else(|| name("CREATE DATABASE ")) {
            self.enter(database);
            return Unit::Other;
        }
        if code.starts_with("SET ") && code.contains("@OLD_") && self.is_of_a_table(code) {
            return Unit::TableTransaction;
        }
        if let Some(Some(table)) = name("DROP TABLE ") {
            return Unit::DropTable(table);
        }
        if let Some(Some(table)) = name("CREATE TABLE ") {
            return Unit::CreateTable(table);
        }
        if let Some(Some(table)) = name("INSERT ").or_else(|| name("REPLACE ")) {
            return Unit::Insert(table);
        }
        if code.trim_end().trim_end_matches(';') == "COMMIT" {
            return Unit::TableTransaction;
        }
        if code.starts_with("LOCK TABLES ") || code.starts_with("UNLOCK TABLES") {
            return Unit::LockTables;
        }
        match code {
            _ if is_about_accounts(code) => Unit::Account,
            _ if is_about_replication(code) => Unit::Replication,
            _ => Unit::Other,
        }
    }

    /// Whether a session variable is saved, or put back, for one table. Those that are saved before the first database are put back behind the
    /// last one, which is how its end is known.
    fn is_of_a_table(&mut self, code: &str) -> bool {
        let is_within = self.database().is_some();
        let saved: Vec<&str> = variables(code, "@OLD_")
            .filter(|(_, rest)| rest.starts_with('='))
            .map(|(name, _)| name)
            .collect();
        if !saved.is_empty() {
            if is_within {
                self.saved_within.extend(saved.into_iter().map(str::to_owned));
            }
            return is_within;
        }
        let is_of_a_table = variables(code, "=@OLD_").all(|(name, _)| self.saved_within.contains(name));
        self.is_trailer |= !is_of_a_table;
        is_of_a_table
    }

    fn comment(&mut self, text: &str) -> Unit {
        if let Some(rest) = text.strip_prefix("Current Database:") {
            if let Some(database) = first_name(rest) {
                self.enter(database);
            }
        } else if let Some(version) = text.strip_prefix("Server version") {
            return Unit::ServerVersion(version.trim().to_owned());
        } else if text.starts_with("Dump completed") {
            return Unit::Completed;
        } else if text.starts_with("MariaDB dump") || text.starts_with("MySQL dump") {
            return Unit::Program(text.to_owned());
        }
        Unit::Other
    }

    fn enter(&mut self, database: String) {
        self.database = Some(database);
        self.is_trailer = false;
    }
}

/// The names that stand behind this prefix, each with what follows it.
fn variables<'t>(code: &'t str, prefix: &'static str) -> impl Iterator<Item = (&'t str, &'t str)> {
    code.split(prefix).skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        rest.split_at(end)
    })
}

/// A statement for some versions only, as the statement that it is.
pub(super) fn uncommented(text: &str) -> &str {
    let Some(rest) = text.strip_prefix("/*!").or_else(|| text.strip_prefix("/*M!")) else { return text };
    rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start()
}

/// Users, roles and what they may do: what `mariadb-dump --system=users` writes.
fn is_about_accounts(code: &str) -> bool {
    [
        "CREATE USER ",
        "CREATE OR REPLACE USER ",
        "CREATE ROLE ",
        "CREATE OR REPLACE ROLE ",
        "DROP ROLE ",
        "DROP USER ",
        "ALTER USER ",
        "GRANT ",
        "REVOKE ",
        "SET ROLE ",
        "SET DEFAULT ROLE ",
        "SELECT COALESCE(CURRENT_ROLE()",
        "EXECUTE IMMEDIATE CONCAT('SET ROLE ",
    ]
    .iter()
    .any(|begin| code.starts_with(begin))
}

/// What `mariadb-dump` writes with `--master-data=1` and `--dump-slave=1`.
fn is_about_replication(code: &str) -> bool {
    let words = [
        "CHANGE MASTER ",
        "SET GLOBAL gtid_slave_pos",
        "STOP ALL SLAVES",
        "START ALL SLAVES",
        "STOP SLAVE",
        "START SLAVE",
    ];
    words.iter().any(|begin| code.starts_with(begin))
}

/// The first name in quotes, `` `a``b` `` being ``a`b``.
pub(super) fn first_name(text: &str) -> Option<String> {
    quoted(text, '`').map(|(name, _)| name)
}

/// The first text between two of `quote`, which doubled stands for itself, and what follows.
pub(super) fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut rest = &text[text.find(quote)? + 1..];
    let mut name = String::new();
    loop {
        let end = rest.find(quote)?;
        name.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        match rest.strip_prefix(quote) {
            Some(more) => {
                name.push(quote);
                rest = more;
            }
            None => return Some((name, rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_of_a_dump_are_known_and_so_are_their_databases() {
        let mut sections = Sections::default();
        let mut next = |head: &str| {
            let unit = sections.next(head.as_bytes());
            (unit, sections.database().map(str::to_owned))
        };
        let d = || Some("d`x".to_owned());
        for (head, unit, database) in [
            (
                "-- Server version\t10.11.19-MariaDB-log\n",
                Unit::ServerVersion("10.11.19-MariaDB-log".into()),
                None,
            ),
            (
                "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;",
                Unit::Other,
                None,
            ),
            ("GRANT SELECT ON `d`.* TO `u`@`%`;", Unit::Account, None),
            ("/*M!100005 CREATE ROLE 'r' WITH ADMIN mariadb_dump_import_role */;", Unit::Account, None),
            ("-- Current Database: `d``x`\n", Unit::Other, d()),
            (
                "CREATE DATABASE /*!32312 IF NOT EXISTS*/ `d``x` /*!40100 DEFAULT CHARACTER SET latin1 */;",
                Unit::Other,
                d(),
            ),
            ("DROP TABLE IF EXISTS `t`;", Unit::DropTable("t".into()), d()),
            ("CREATE TABLE `t` (\n", Unit::CreateTable("t".into()), d()),
            ("LOCK TABLES `t` WRITE;", Unit::LockTables, d()),
            ("INSERT INTO `t` VALUES\n(1)", Unit::Insert("t".into()), d()),
            ("DELIMITER ;;\nUSE `e`;", Unit::Block, d()),
            ("/*!50001 SET character_set_client      = @saved_cs_client */;", Unit::Other, d()),
            ("USE `e`;", Unit::Other, Some("e".into())),
            ("SET @OLD_AUTOCOMMIT=@@AUTOCOMMIT, @@AUTOCOMMIT=0;", Unit::TableTransaction, Some("e".into())),
            ("COMMIT;", Unit::TableTransaction, Some("e".into())),
            ("SET AUTOCOMMIT=@OLD_AUTOCOMMIT;", Unit::TableTransaction, Some("e".into())),
            ("DROP TABLE IF EXISTS `t2`;", Unit::DropTable("t2".into()), Some("e".into())),
            ("/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;", Unit::Other, None),
            ("-- Dump completed on 2026-11-27 13:08:58\n", Unit::Completed, None),
        ] {
            assert_eq!(next(head), (unit, database), "{head}");
        }
    }
}
