//! What the server says of InnoDB's tablespaces.

use super::{SqlSession, bounded};

/// `ER_BAD_FIELD_ERROR`.
const NO_SUCH_COLUMN: u16 = 1054;
/// `ER_TABLESPACE_DISCARDED`.
const DISCARDED: u16 = 1814;

/// The files of InnoDB's tablespaces as the server spells them, relative to its data directory or absolute.
#[derive(Debug, Default)]
pub struct TablespaceFiles {
    /// Without that for temporary tables.
    pub paths: Vec<String>,
    /// From the dictionary of an older server (MariaDB before 10.6), which may name files that are not there: those of
    /// discarded tablespaces. Newer ones name what they have open or know to be there.
    pub of_dictionary: bool,
}

/// A table, or a partition of one, whose tablespace is not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedTable {
    /// `database/table` or `database/table#P#partition`, in the form of file names.
    pub path: String,
    /// The number of its tablespace.
    pub space: u32,
    /// Its database.
    pub database: String,
    /// Its name.
    pub table: String,
    /// The partition, or the subpartition.
    pub partition: Option<String>,
}

impl SqlSession {
    /// The files of InnoDB's tablespaces (MariaDB `storage/innobase/handler/i_s.cc`). Needs the right PROCESS.
    pub fn tablespace_files(&mut self) -> Result<TablespaceFiles, String> {
        let open =
            "SELECT FILENAME FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME <> 'innodb_temporary'";
        match self.answer(open, bounded::NAMES) {
            Err(mysql::Error::MySqlError(error)) if error.code == NO_SUCH_COLUMN => {}
            answer => {
                let answer: Vec<Option<String>> = answer.map_err(|error| self.plain(error))?;
                return Ok(TablespaceFiles {
                    paths: answer.into_iter().flatten().collect(),
                    of_dictionary: false,
                });
            }
        }
        let known = "SELECT PATH FROM information_schema.INNODB_SYS_DATAFILES";
        let paths: Vec<Option<String>> =
            self.answer(known, bounded::NAMES).map_err(|error| self.plain(error))?;
        Ok(TablespaceFiles { paths: paths.into_iter().flatten().collect(), of_dictionary: true })
    }

    /// The InnoDB tablespaces that the server has, as `database/table` in the form of file names. Needs the right PROCESS.
    pub fn innodb_tablespaces(&mut self) -> Result<Vec<String>, String> {
        self.answer("SELECT NAME FROM information_schema.INNODB_SYS_TABLESPACES", bounded::NAMES)
            .map_err(|error| self.plain(error))
    }

    /// Tables and partitions whose tablespace is not open: it was not needed since the server was started, could not be opened, or was
    /// discarded. Needs the right PROCESS.
    ///
    /// `INNODB_SYS_TABLESPACES` has the tablespaces that are open. With MariaDB before 10.6 it is read from the dictionary and has all; only for
    /// an open one the block size of a file system is known there (seen with 10.5.23).
    pub fn closed_tables(&mut self) -> Result<Vec<ClosedTable>, String> {
        let closed = closed("s.FILENAME IS NULL");
        let closed: Vec<(String, u32, String, String, Option<String>)> =
            match self.answer(&closed, bounded::NAMES) {
                Err(mysql::Error::MySqlError(error)) if error.code == NO_SUCH_COLUMN => {
                    self.answer(&self::closed("IFNULL(s.FS_BLOCK_SIZE, 0) = 0"), bounded::NAMES)
                }
                answer => answer,
            }
            .map_err(|error| self.plain(error))?;
        let table = |(path, space, database, table, partition)| ClosedTable {
            path,
            space,
            database,
            table,
            partition,
        };
        Ok(closed.into_iter().map(table).collect())
    }

    /// Whether the tablespace of a table was discarded (`ALTER TABLE … DISCARD TABLESPACE`), or came as a partition when it had been
    /// (`EXCHANGE PARTITION … WITHOUT VALIDATION`, MariaDB 11.4 and later; seen with 11.8.9). Only an attempt to read tells that, so it needs the
    /// right SELECT; false where it is not known.
    pub fn is_discarded(&mut self, table: &ClosedTable) -> bool {
        matches!(self.read_a_row(table), Err(mysql::Error::MySqlError(error)) if error.code == DISCARDED)
    }

    /// Whether a table can be read. Needs the right SELECT; false where it is not known.
    pub fn is_readable(&mut self, table: &ClosedTable) -> bool {
        self.read_a_row(table).is_ok()
    }

    fn read_a_row(&mut self, table: &ClosedTable) -> mysql::Result<Vec<mysql::Row>> {
        let ClosedTable { database, table, partition, .. } = table;
        // A statement on the whole table would be answered for whichever partition comes first.
        let only = partition
            .as_deref()
            .map_or_else(String::new, |name| format!(" PARTITION ({})", quoted_name(name)));
        let reading = format!("SELECT 1 FROM {}.{}{only} LIMIT 1", quoted_name(database), quoted_name(table));
        self.answer(&reading, bounded::USUAL)
    }
}

/// Asks for those with a tablespace of their own of which this is true. A name has `#` before `P#partition` and `SP#subpartition` only (any other
/// is encoded); what an ALTER has in work begins or ends with one.
fn closed(is_closed: &str) -> String {
    let plain = |part: &str| {
        format!("CONVERT(CAST(CAST({part} AS BINARY) AS CHAR CHARACTER SET filename) USING utf8mb4)")
    };
    format!(
        "SELECT t.NAME, t.SPACE, {}, {}, IF(t.NAME LIKE '%#%', {}, NULL) \
         FROM information_schema.INNODB_SYS_TABLES t \
         LEFT JOIN information_schema.INNODB_SYS_TABLESPACES s ON s.SPACE = t.SPACE \
         WHERE t.SPACE <> 0 AND {is_closed} AND t.NAME LIKE '%/%' AND t.NAME NOT LIKE '%/#%' AND t.NAME NOT LIKE '%#'",
        plain("SUBSTRING_INDEX(t.NAME, '/', 1)"),
        plain("SUBSTRING_INDEX(SUBSTRING_INDEX(t.NAME, '/', -1), '#', 1)"),
        plain("SUBSTRING_INDEX(t.NAME, '#', -1)")
    )
}

/// A name in backquotes.
pub(super) fn quoted_name(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::sql::LIMIT;
    use crate::sql::testing::{server, session};

    #[test]
    fn an_older_server_is_asked_otherwise_and_a_partition_by_itself() {
        let folder = tempfile::tempdir().unwrap();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&heard);
        let (endpoint, _) = server(folder.path(), move |wire, statement| {
            told.lock().unwrap().push(statement.to_owned());
            if statement.contains("FILENAME") {
                wire.error(NO_SUCH_COLUMN)
            } else if statement.contains("FS_BLOCK_SIZE") {
                wire.texts(5, &[vec!["d/t@002dx#P#p0#SP#p0`s", "7", "d", "t-x", "p0`s"]])
            } else {
                wire.error(if statement.contains("PARTITION") { DISCARDED } else { 1932 })
            }
        });
        let mut session = session(&endpoint, LIMIT);
        let mut closed = session.closed_tables().unwrap();
        let [table] = &mut closed[..] else { panic!("{closed:?}") };
        assert_eq!((table.path.as_str(), table.space), ("d/t@002dx#P#p0#SP#p0`s", 7));
        assert!(session.is_discarded(table));
        table.partition = None;
        assert!(!session.is_discarded(table), "error 1932: it cannot be opened");
        let heard = heard.lock().unwrap();
        assert_eq!(
            heard[2..],
            ["SELECT 1 FROM `d`.`t-x` PARTITION (`p0``s`) LIMIT 1", "SELECT 1 FROM `d`.`t-x` LIMIT 1"]
        );
    }
}
