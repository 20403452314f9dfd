//! What a dump holds: read as a whole before anything of it is sent.

use std::collections::BTreeSet;
use std::io;

use super::sections::{SYSTEM, Sections, Unit, first_name};
use super::units::UnitSink;

/// Longest definition of a table in which its engine is looked for, bytes.
const DEFINITION: usize = 4 << 20;
/// Most tables that are named one by one.
const MOST_NAMES: usize = 1000;

/// What a dump holds of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HeldDatabase {
    /// Its name; none in a dump of one database that does not name it.
    pub(super) name: Option<String>,
    pub(super) tables: u64,
    /// Of its statements.
    pub(super) bytes: u64,
}

/// What a dump holds.
#[expect(clippy::struct_excessive_bools, reason = "each tells of another thing in the dump")]
#[derive(Debug, Default)]
pub(super) struct DumpSurvey {
    /// What has made it.
    pub(super) program: Option<String>,
    /// The version of the server that it is of.
    pub(super) version: Option<String>,
    pub(super) held: Vec<HeldDatabase>,
    /// Tables of engines whose rows Galera does not replicate, with their engine.
    pub(super) not_innodb: Vec<(Option<String>, String, String)>,
    /// Bytes of the longest statement.
    pub(super) longest: u64,
    /// The line that it begins in.
    pub(super) longest_line: u64,
    pub(super) bytes: u64,
    /// Whether its last line is that of a whole dump.
    pub(super) is_complete: bool,
    /// The last line that begins a statement or a comment.
    pub(super) last_line: u64,
    pub(super) has_accounts: bool,
    pub(super) has_replication: bool,
    /// Tables of the database `mysql` that have rows in it.
    pub(super) system_rows: BTreeSet<String>,
    sections: Sections,
    /// The definition that is being read, with its table.
    definition: Option<(String, Vec<u8>)>,
    is_comment: bool,
}

impl DumpSurvey {
    /// Whether it names its databases.
    pub(super) fn names_databases(&self) -> bool {
        self.held.iter().any(|held| held.name.is_some())
    }

    fn held(&mut self) -> &mut HeldDatabase {
        let name = self.sections.database().map(str::to_owned);
        let at = self.held.iter().position(|held| held.name == name).unwrap_or_else(|| {
            self.held.push(HeldDatabase { name, ..HeldDatabase::default() });
            self.held.len() - 1
        });
        &mut self.held[at]
    }

    fn note_engine(&mut self, table: String, definition: &[u8]) {
        let text = String::from_utf8_lossy(definition);
        let engine = text.rsplit_once("\n) ENGINE=").map(|(_, rest)| rest);
        let engine: String =
            engine.unwrap_or_default().chars().take_while(char::is_ascii_alphanumeric).collect();
        let replicates = engine.is_empty() || engine.eq_ignore_ascii_case("InnoDB");
        if !replicates && self.not_innodb.len() < MOST_NAMES {
            self.not_innodb.push((self.sections.database().map(str::to_owned), table, engine));
        }
    }
}

impl UnitSink for DumpSurvey {
    fn begin(&mut self, head: &[u8], line: u64) -> io::Result<()> {
        self.last_line = line;
        self.is_complete = false;
        self.is_comment = head.starts_with(b"--") || head.starts_with(b"#");
        let unit = self.sections.next(head);
        let is_system = self.sections.database() == Some(SYSTEM);
        match unit {
            Unit::ServerVersion(version) => self.version = Some(version),
            Unit::Program(program) => self.program = Some(program),
            Unit::Completed => self.is_complete = true,
            Unit::CreateTable(table) => {
                self.held().tables += 1;
                self.definition = Some((table, Vec::new()));
            }
            Unit::Insert(table) => {
                self.held();
                if is_system {
                    self.system_rows.insert(table);
                }
            }
            Unit::DropTable(_) | Unit::Block => {
                self.held();
            }
            Unit::Account => self.has_accounts = true,
            Unit::Replication => self.has_replication = true,
            Unit::LockTables | Unit::TableTransaction | Unit::Other => {
                let is_named = self.sections.database().is_some();
                if is_named && first_name(&String::from_utf8_lossy(head)).is_some() {
                    self.held();
                }
            }
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some((_, definition)) = &mut self.definition
            && definition.len() < DEFINITION
        {
            definition.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn end(&mut self, length: u64) -> io::Result<()> {
        self.bytes += length;
        if let Some((table, definition)) = self.definition.take() {
            self.note_engine(table, &definition);
        }
        if self.is_comment {
            return Ok(());
        }
        if length > self.longest {
            (self.longest, self.longest_line) = (length, self.last_line);
        }
        let name = self.sections.database();
        if let Some(held) = self.held.iter_mut().find(|held| held.name.as_deref() == name) {
            held.bytes += length;
        }
        Ok(())
    }

    fn gap(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::units::Splitter;
    use super::*;

    fn survey(text: &str) -> DumpSurvey {
        let mut splitter = Splitter::new(DumpSurvey::default());
        splitter.feed(text.as_bytes()).unwrap();
        splitter.finish().unwrap()
    }

    #[test]
    fn a_dump_tells_what_is_in_it() {
        let text = super::super::testing::DUMP;
        let found = survey(text);
        let held: Vec<_> = found.held.iter().map(|held| (held.name.as_deref(), held.tables)).collect();
        assert_eq!(held, [(Some("a"), 2), (Some("mysql"), 2), (Some("b"), 1)]);
        assert_eq!(found.version.as_deref(), Some("10.11.19-MariaDB-log"));
        assert_eq!(found.not_innodb[0], (Some("a".into()), "m".into(), "MyISAM".into()));
        assert_eq!(found.bytes, text.len() as u64);
        assert!(found.is_complete && found.has_accounts && found.names_databases() && found.has_replication);
        assert_eq!(found.system_rows.iter().collect::<Vec<_>>(), ["global_priv"]);
        assert_eq!(found.longest_line, 23, "the rows of a.t");
    }

    #[test]
    fn a_dump_that_is_cut_off_anywhere_is_not_complete() {
        let text = super::super::testing::DUMP;
        let end = text.rfind("-- Dump completed").unwrap();
        for cut in 0..end + 16 {
            assert!(!survey(&text[..cut]).is_complete, "{cut}");
        }
        assert!(survey(&text[..end + 17]).is_complete);
        assert!(!survey(&format!("{text}INSERT INTO `t` VALUES (1);\n")).is_complete);
        assert!(
            !survey(&text.replace("-- Dump completed", "INSERT INTO `t` VALUES ('\n-- Dump completed"))
                .is_complete
        );
    }
}
