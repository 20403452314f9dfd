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

/// A table whose tablespace is not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosedTable {
    /// `database/table`, in the form of file names.
    pub path: String,
    /// The number of its tablespace.
    pub space: u32,
    /// Its database.
    pub database: String,
    /// Its name.
    pub table: String,
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

    /// Tables whose tablespace is not open: it was not needed since the server was started, could not be opened, or was discarded. Without
    /// partitions. Needs the right PROCESS.
    pub fn closed_tables(&mut self) -> Result<Vec<ClosedTable>, String> {
        let plain = |part: &str| {
            let bytes = format!("CAST(SUBSTRING_INDEX(t.NAME, '/', {part}) AS BINARY)");
            format!("CONVERT(CAST({bytes} AS CHAR CHARACTER SET filename) USING utf8mb4)")
        };
        let closed = format!(
            "SELECT t.NAME, t.SPACE, {}, {} FROM information_schema.INNODB_SYS_TABLES t \
             LEFT JOIN information_schema.INNODB_SYS_TABLESPACES s ON s.SPACE = t.SPACE \
             WHERE t.SPACE <> 0 AND s.SPACE IS NULL AND t.NAME LIKE '%/%' AND t.NAME NOT LIKE '%#%'",
            plain("1"),
            plain("-1")
        );
        let closed: Vec<(String, u32, String, String)> =
            self.answer(&closed, bounded::NAMES).map_err(|error| self.plain(error))?;
        let closed = closed.into_iter();
        Ok(closed
            .map(|(path, space, database, table)| ClosedTable { path, space, database, table })
            .collect())
    }

    /// Whether the tablespace of a table was discarded (`ALTER TABLE … DISCARD TABLESPACE`). Only an attempt to read tells that, so it needs
    /// the right SELECT; false where it is not known.
    pub fn is_discarded(&mut self, table: &ClosedTable) -> bool {
        let reading = format!("SELECT 1 FROM {}.{} LIMIT 1", quoted(&table.database), quoted(&table.table));
        let answer = self.answer::<mysql::Row>(&reading, bounded::USUAL);
        matches!(answer, Err(mysql::Error::MySqlError(error)) if error.code == DISCARDED)
    }
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}
