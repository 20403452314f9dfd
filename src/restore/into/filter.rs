//! What of a dump is sent, and where in it the client is.
//!
//! Of what is left out the line ends are sent all the same, so that a line that the server refuses has the number that it has in the
//! dump.

use std::collections::{BTreeSet, VecDeque};
use std::io;

use super::accounts::Accounts;
use super::sections::{SYSTEM, Sections, Unit};
use super::units::UnitSink;

/// Places in the dump that are remembered: more than stand in what the client can have read and not carried out.
const PLACES: usize = 10_000;
/// Bytes between two statements whose lines are kept, at least.
const STEP: u64 = 4 << 10;

/// What is wanted of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoadPass {
    /// Databases.
    Data,
    /// Users, roles and grants.
    Accounts,
}

/// What is sent.
#[derive(Debug)]
pub(super) struct WantedUnits {
    pub(super) part: LoadPass,
    /// These databases alone; all where it is empty.
    pub(super) databases: BTreeSet<String>,
    /// The tables of the database `mysql`, too.
    pub(super) system_tables: bool,
    /// `LOCK TABLES` and a transaction for each table, too: a cluster takes neither a lock nor transactions of any size.
    pub(super) locks: bool,
}

impl WantedUnits {
    /// Whether a database is among them.
    pub(super) fn has(&self, database: Option<&str>) -> bool {
        match database {
            Some(SYSTEM) => self.system_tables && self.databases.is_empty(),
            Some(name) => self.databases.is_empty() || self.databases.contains(name),
            None => true,
        }
    }

    fn takes(&self, unit: &Unit, database: Option<&str>) -> bool {
        match unit {
            Unit::Account => self.part == LoadPass::Accounts,
            _ if self.part == LoadPass::Accounts => false,
            Unit::Replication => false,
            Unit::LockTables | Unit::TableTransaction if !self.locks => false,
            _ => self.has(database),
        }
    }
}

/// A place in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DumpPlace {
    /// Its first line.
    pub(super) line: u64,
    /// Bytes before it.
    pub(super) offset: u64,
    pub(super) database: Option<String>,
    pub(super) table: Option<String>,
}

/// Passes on what is wanted.
#[derive(Debug)]
pub(super) struct Filter {
    wanted: WantedUnits,
    accounts: Accounts,
    sections: Sections,
    places: VecDeque<DumpPlace>,
    /// Statements among them, by line and bytes before it: a large table is one place.
    marks: VecDeque<(u64, u64)>,
    offset: u64,
    passes: bool,
    /// A statement on an account, which is sent in other words.
    account: Option<Vec<u8>>,
    /// What is to be sent.
    pub(super) out: Vec<u8>,
}

impl Filter {
    pub(super) fn new(wanted: WantedUnits, accounts: Accounts) -> Self {
        Self {
            wanted,
            accounts,
            sections: Sections::default(),
            places: VecDeque::new(),
            marks: VecDeque::new(),
            offset: 0,
            passes: false,
            account: None,
            out: Vec::new(),
        }
    }

    /// What has become of the accounts.
    pub(super) fn into_accounts(self) -> Accounts {
        self.accounts
    }

    /// Where in the dump this line is.
    pub(super) fn place_of(&self, line: u64) -> Option<DumpPlace> {
        let place = self.places.iter().rev().find(|place| place.line <= line)?.clone();
        let mark = self.marks.iter().rev().find(|(at, _)| *at <= line);
        let offset = mark.map_or(place.offset, |(_, offset)| place.offset.max(*offset));
        Some(DumpPlace { offset, ..place })
    }

    /// Where the last table begins: of what was sent since, nobody knows how far the server has come.
    pub(super) fn last_place(&self) -> Option<DumpPlace> {
        self.places.back().cloned()
    }

    /// The server is behind by what pipes and the client hold, which is less than all marks together.
    fn mark(&mut self, line: u64) {
        if self.marks.back().is_some_and(|(_, offset)| self.offset - offset < STEP) {
            return;
        }
        self.marks.push_back((line, self.offset));
        if self.marks.len() > PLACES {
            self.marks.pop_front();
        }
    }

    /// Of the database and the table that were begun last.
    fn remember(&mut self, line: u64, table: Option<String>) {
        let database = self.sections.database().map(str::to_owned);
        let place = DumpPlace { line, offset: self.offset, database, table };
        let is_same = |last: &DumpPlace| last.database == place.database && last.table == place.table;
        if self.places.back().is_some_and(is_same) {
            return;
        }
        self.places.push_back(place);
        if self.places.len() > PLACES {
            self.places.pop_front();
        }
    }
}

impl UnitSink for Filter {
    fn begin(&mut self, head: &[u8], line: u64) -> io::Result<()> {
        self.mark(line);
        let before = self.sections.database().map(str::to_owned);
        let unit = self.sections.next(head);
        self.passes = self.wanted.takes(&unit, self.sections.database());
        if self.passes && unit == Unit::Account {
            self.account = Some(Vec::new());
        }
        match unit {
            Unit::DropTable(table) | Unit::CreateTable(table) | Unit::Insert(table) => {
                self.remember(line, Some(table));
            }
            _ if self.sections.database() != before.as_deref() => self.remember(line, None),
            Unit::Block => self.remember(line, None),
            _ => {}
        }
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.offset += bytes.len() as u64;
        match &mut self.account {
            Some(statement) => statement.extend_from_slice(bytes),
            None if self.passes => self.out.extend_from_slice(bytes),
            None => self.out.extend(bytes.iter().filter(|byte| **byte == b'\n')),
        }
        Ok(())
    }

    fn end(&mut self, _: u64) -> io::Result<()> {
        if let Some(statement) = self.account.take() {
            let sent = self.accounts.rewrite(&String::from_utf8_lossy(&statement));
            match sent {
                Some(sent) => self.out.extend_from_slice(sent.as_bytes()),
                None => self.out.extend(statement.iter().filter(|byte| **byte == b'\n')),
            }
        }
        Ok(())
    }

    fn gap(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.offset += bytes.len() as u64;
        self.out.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::DUMP;
    use super::super::units::Splitter;
    use super::*;

    fn wanted(part: LoadPass, databases: &[&str], system_tables: bool) -> WantedUnits {
        let databases = databases.iter().map(|name| (*name).to_owned()).collect();
        WantedUnits { part, databases, system_tables, locks: false }
    }

    fn sent(part: LoadPass, databases: &[&str], system_tables: bool) -> (String, Filter) {
        sent_as(wanted(part, databases, system_tables))
    }

    fn sent_as(wanted: WantedUnits) -> (String, Filter) {
        let mut splitter = Splitter::new(Filter::new(wanted, Accounts::default()));
        for piece in DUMP.as_bytes().chunks(11) {
            splitter.feed(piece).unwrap();
        }
        let mut filter = splitter.finish().unwrap();
        let out = String::from_utf8(std::mem::take(&mut filter.out)).unwrap();
        assert_eq!(out.lines().count(), DUMP.lines().count(), "lines keep their numbers");
        (out, filter)
    }

    #[test]
    fn only_what_is_wanted_is_sent() {
        let (all, _) = sent(LoadPass::Data, &[], false);
        for (text, is_sent) in [
            ("global_priv", false),
            ("gtid_slave_pos", false),
            ("LOCK TABLES", false),
            ("AUTOCOMMIT", false),
            ("COMMIT;", false),
            ("GRANT", false),
            ("INSERT INTO `t` VALUES (7)", true),
            ("-- Current Database: `b`\nUSE `b`;');", true),
            ("SET SQL_MODE=@OLD_SQL_MODE", true),
            ("CREATE PROCEDURE", true),
        ] {
            assert_eq!(all.contains(text), is_sent, "{text}");
        }
        let (b, _) = sent(LoadPass::Data, &["b"], false);
        assert!(b.contains("VALUES (7)") && b.contains("CREATE PROCEDURE") && !b.contains("longest"), "{b}");
        assert!(b.contains("@OLD_SQL_MODE=@@SQL_MODE") && b.contains("SET SQL_MODE=@OLD_SQL_MODE"), "{b}");
        assert!(sent(LoadPass::Data, &[], true).0.contains("global_priv"));
        let server = WantedUnits { locks: true, ..wanted(LoadPass::Data, &[], false) };
        let (server, _) = sent_as(server);
        for (text, is_sent) in [("global_priv", false), ("column_stats", false), ("LOCK TABLES `t`", true)] {
            assert_eq!(server.contains(text), is_sent, "{text}");
        }
        assert_eq!(
            server.matches("AUTOCOMMIT=@OLD_AUTOCOMMIT").count(),
            1,
            "that of the table of users: {server}"
        );
        let (accounts, _) = sent(LoadPass::Accounts, &[], false);
        assert_eq!(accounts.trim(), "GRANT SELECT ON `a`.* TO `u`@`%`;");
    }

    #[test]
    fn a_line_is_in_a_table() {
        let (out, filter) = sent(LoadPass::Data, &["b"], false);
        let line = out.lines().position(|line| line.contains("VALUES (7)")).unwrap() as u64 + 1;
        let place = filter.place_of(line).unwrap();
        assert_eq!((place.database.as_deref(), place.table.as_deref()), (Some("b"), Some("t")));
        assert_eq!(place.offset, DUMP.rfind("DROP TABLE IF EXISTS `t`").unwrap() as u64);
        assert_eq!(filter.place_of(1), None);
    }

    /// A table may be as large as the whole dump.
    #[test]
    fn how_far_a_line_is_is_known_within_a_table() {
        let mut text = "USE `b`;\nCREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB;\n".to_owned();
        let head = text.lines().count() as u64;
        for row in 0..1000 {
            text.push_str(&format!("INSERT INTO `t` VALUES ({row},'{}');\n", "v".repeat(100)));
        }
        let wanted = WantedUnits {
            part: LoadPass::Data,
            databases: BTreeSet::new(),
            system_tables: false,
            locks: false,
        };
        let mut splitter = Splitter::new(Filter::new(wanted, Accounts::default()));
        splitter.feed(text.as_bytes()).unwrap();
        let filter = splitter.finish().unwrap();
        for row in [0, 1, 500, 999] {
            let line = head + row + 1;
            let before: usize =
                text.lines().take(usize::try_from(line).unwrap() - 1).map(|line| line.len() + 1).sum();
            let place = filter.place_of(line).unwrap();
            let behind = (before as u64).checked_sub(place.offset).expect("no more than there is before it");
            assert!(behind < STEP + 200 && place.table.as_deref() == Some("t"), "{row}: {before} {place:?}");
        }
        assert_eq!(
            filter.last_place().map(|place| place.line),
            filter.place_of(head).map(|place| place.line)
        );
    }
}
