//! What is looked at before the server is made to stand still: whether it is known which files can be copied ahead, and whether what has changed since has room until the server runs
//! again.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::class::FileClass;
use super::super::copy::metadata;
use super::super::entry::{Entry, EntryKind};
use super::super::error::CaptureError;
use super::super::facts::Facts as ServerFacts;
use super::super::files::FileList;
use super::super::tablespaces::Tablespaces;
use super::binary_logs::BinaryLogs;
use super::compare::{AheadFile, Comparison, Known, LateFile};
use super::early::may_be_tablespace;
use super::facts::{FileFacts, FileIdentity};
use super::runs::MOST_RUNS;
use crate::innodb::redo::PageSet;

/// Those that the server has in use. Without them no table would be copied ahead, and the server would stand still for all of its data.
pub(super) fn tablespaces(
    facts: &mut ServerFacts,
    list: &FileList,
    datadir: &Path,
) -> Result<Tablespaces, CaptureError> {
    let known = Tablespaces::of_server(facts, datadir).map_err(CaptureError::NoTablespaces)?;
    answered(&known, list, datadir).map_err(CaptureError::NoTablespaces)?;
    Ok(known)
}

/// An account without PROCESS gets no rows, and no error.
pub(super) fn answered(known: &Tablespaces, list: &FileList, datadir: &Path) -> Result<(), String> {
    let is_table = |entry: &&Entry| {
        matches!(entry.kind, EntryKind::File(_))
            && may_be_tablespace(entry)
            && entry.path.as_path().extension().is_some_and(|ending| ending == "ibd")
    };
    let is_listed = |entry: &Entry| {
        let found = metadata(entry, datadir).ok();
        found.is_some_and(|found| known.lists(entry, &entry.belongs(datadir), &found) == Some(true))
    };
    let mut tables = list.entries.iter().filter(is_table).peekable();
    if tables.peek().is_none() || tables.any(is_listed) {
        return Ok(());
    }
    Err("the server lists none of the tables that have a file (INNODB_SYS_TABLESPACES): the account needs the privilege PROCESS".into())
}

/// The data that would be read if the server stood still now, as far as that can be known.
pub(super) struct Foreseen<'a> {
    early: &'a [AheadFile],
    checkpoint: u64,
    is_plain: bool,
    /// Bytes of files that are read as a whole.
    whole: u64,
    /// Those of them that may be new tables, which can be copied ahead.
    new_tables: u64,
    /// Tablespaces that continue an early one.
    tables: Vec<(usize, LateFile)>,
}

impl<'a> Foreseen<'a> {
    /// Looks at the files of a server that runs. What is gone in this moment is none of it, nor is what goes by the flush.
    pub(super) fn look(
        (list, datadir, logs): (&FileList, &Path, BinaryLogs<'_>),
        early: &'a [AheadFile],
        checkpoint: u64,
        is_plain: bool,
    ) -> Self {
        // A table may have another name by now; files of others are known by theirs.
        let by_identity: BTreeMap<FileIdentity, usize> = early
            .iter()
            .enumerate()
            .filter(|(_, early)| !early.is_lost)
            .map(|(number, early)| (early.facts.identity, number))
            .collect();
        let mut foreseen = Self { early, checkpoint, is_plain, whole: 0, new_tables: 0, tables: Vec::new() };
        for entry in &list.entries {
            if !matches!(entry.kind, EntryKind::File(_)) || entry.class != FileClass::Data {
                continue;
            }
            if logs.goes_by_the_flush(entry) {
                continue;
            }
            let Ok(found) = metadata(entry, datadir) else { continue };
            let facts = FileFacts::of(&found);
            let before = by_identity.get(&facts.identity).map(|number| (*number, &early[*number]));
            let has_pages = |before: &AheadFile| before.space.is_some() && !before.was_closed;
            match before {
                Some((number, before)) if has_pages(before) && before.facts.is_same_file(&facts) => {
                    let is_external = entry.origin.is_some();
                    let file = LateFile { path: entry.path.clone(), is_external, facts, is_tablespace: true };
                    foreseen.tables.push((number, file));
                }
                Some((_, before))
                    if before.path == entry.path && before.facts.is_untouched(before.opened, &facts) => {}
                _ => {
                    // Holes are not read.
                    let stored = facts.bytes.min(found.blocks().saturating_mul(512));
                    foreseen.whole += stored;
                    if may_be_tablespace(entry) {
                        foreseen.new_tables += stored;
                    }
                }
            }
        }
        foreseen
    }

    /// Bytes that another round would copy, with the pages that the log names. All else it would leave: that is no reason against it.
    pub(super) fn for_a_round(&self, set: &PageSet) -> u64 {
        self.bytes(Some(set)) - (self.whole - self.new_tables)
    }

    /// Bytes that it would copy and that had to be read again, of which the log names these pages since it began. What tables have grown by until then it would copy.
    pub(super) fn left_by_a_round(&self, set: &PageSet) -> u64 {
        let named = self.tables.iter().map(|(number, file)| {
            let Some(part) = &self.early[*number].space else { return 0 };
            let (space, size) = (part.zero.space, u64::from(part.zero.page_size).max(1));
            if set.is_replaced(space) {
                return file.facts.bytes;
            }
            let own = part.base..part.base + file.facts.bytes.div_ceil(size);
            set.of_space(space).filter(|page| own.contains(&u64::from(*page))).count() as u64 * size
        });
        named.sum()
    }

    /// Bytes, with these pages; without any of tablespaces where the log does not name them.
    pub(super) fn bytes(&self, set: Option<&PageSet>) -> u64 {
        let tables = self.tables.iter().map(|(number, file)| {
            let before = &self.early[*number];
            let (Some(set), Some(part)) = (set, &before.space) else { return 0 };
            let is_touched = !before.facts.is_untouched(before.opened, &file.facts)
                || set.of_space(part.zero.space).next().is_some();
            if set.is_replaced(part.zero.space) || self.is_plain && is_touched {
                return file.facts.bytes;
            }
            let comparison =
                Comparison { early: self.early, known: Known::Named(set), checkpoint: self.checkpoint };
            comparison.runs(*number, file, None, &[], MOST_RUNS).iter().map(|(_, length)| length).sum()
        });
        self.whole + tables.sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::entry::Look;
    use super::super::super::layout::{BinlogFiles, ServerLayout};
    use super::super::compare::{Extent, SpacePart};
    use super::*;
    use crate::config::BinlogChoice;
    use crate::innodb::PageZero;
    use crate::model::ArchivePath;

    fn list(folder: &Path, paths: &[&str]) -> FileList {
        let entry = |path: &&str| Entry {
            path: ArchivePath::new(*path),
            kind: EntryKind::File(Look::of(&folder.join(path).metadata().unwrap())),
            origin: None,
            system_tablespace: false,
            class: FileClass::of(Path::new(path)),
        };
        FileList { entries: paths.iter().map(entry).collect(), ..FileList::default() }
    }

    fn foreseen<'a>(list: &FileList, folder: &Path, early: &'a [AheadFile]) -> Foreseen<'a> {
        let layout = ServerLayout::bare(folder);
        let logs = BinaryLogs::of(list, &layout, BinlogChoice::Newest);
        Foreseen::look((list, folder, logs), early, 1, false)
    }

    #[test]
    fn a_server_that_lists_none_of_its_tables_does_not_tell() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        for path in ["d/t.ibd", "d/t.frm"] {
            std::fs::write(folder.path().join(path), "0123456789").unwrap();
        }
        let ask = |paths: &[&str]| {
            let list = list(folder.path(), paths);
            answered(&Tablespaces::default(), &list, folder.path())
        };
        let why = ask(&["d/t.frm", "d/t.ibd"]).unwrap_err();
        assert!(why.contains("lists none of the tables") && why.contains("PROCESS"), "{why}");
        assert_eq!(ask(&["d/t.frm"]), Ok(()), "nothing is to be listed");
    }

    #[test]
    fn what_was_not_copied_ahead_is_read_while_the_server_stands_still() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        for path in ["d/t.ibd", "d/t.frm", "d/t.txt"] {
            std::fs::write(folder.path().join(path), "0123456789").unwrap();
        }
        let list = list(folder.path(), &["d/t.ibd", "d/t.frm", "d/t.txt"]);
        let bytes =
            |early: &[AheadFile]| foreseen(&list, folder.path(), early).bytes(Some(&PageSet::default()));
        assert_eq!(bytes(&[]), 20, "the text is none of the server's");
        let facts = FileFacts::of(&folder.path().join("d/t.ibd").metadata().unwrap());
        let early = |opened| AheadFile {
            was_closed: false,
            member: 0,
            path: ArchivePath::new("d/t.ibd"),
            is_external: false,
            opened,
            facts,
            space: None,
            damaged: None,
            extent: Extent::of(facts.bytes),
            is_lost: false,
        };
        assert_eq!(bytes(&[early(i64::MAX)]), 10, "untouched since");
        assert_eq!(bytes(&[early(0)]), 20, "maybe written to since");
    }

    #[test]
    fn what_a_table_has_grown_by_is_not_left_by_a_round() {
        const PAGE: usize = 16 << 10;
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        let table = folder.path().join("d/t.ibd");
        let mut content = vec![0; 4 * PAGE];
        content[24 + 1] = 8;
        content[38 + 8 + 3] = 8;
        content[38 + 16 + 3] = 0x15;
        std::fs::write(&table, &content).unwrap();
        let zero = PageZero::read(&content).unwrap();
        let facts = FileFacts::of(&table.metadata().unwrap());
        let early = [AheadFile {
            was_closed: false,
            member: 0,
            path: ArchivePath::new("d/t.ibd"),
            is_external: false,
            opened: i64::MAX,
            facts,
            space: Some(SpacePart { zero, base: 0, is_system: false }),
            damaged: None,
            extent: Extent::of(facts.bytes),
            is_lost: false,
        }];
        std::fs::File::options().write(true).open(&table).unwrap().set_len(7 * PAGE as u64).unwrap();
        let list = list(folder.path(), &["d/t.ibd"]);
        let foreseen = foreseen(&list, folder.path(), &early);
        assert!(foreseen.bytes(Some(&PageSet::default())) >= 3 * PAGE as u64);
        assert_eq!(foreseen.left_by_a_round(&PageSet::default()), 0);
    }

    #[test]
    fn a_binary_log_is_foreseen_only_where_all_of_them_are_wanted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("d")).unwrap();
        let paths = ["b.000001", "b.000002", "d/new.ibd", "d/t.frm"];
        for path in paths {
            std::fs::write(folder.path().join(path), "0123456789").unwrap();
        }
        let mut list = list(folder.path(), &paths);
        list.entries[..2].iter_mut().for_each(|log| log.class = FileClass::Data);
        let mut layout = ServerLayout::bare(folder.path());
        let [base, index] = ["b", "b.index"].map(|name| folder.path().join(name));
        layout.binlog = Some(BinlogFiles { base, index });
        for (binlogs, bytes) in [(BinlogChoice::Newest, 20), (BinlogChoice::All, 40)] {
            let logs = BinaryLogs::of(&list, &layout, binlogs);
            let foreseen = Foreseen::look((&list, folder.path(), logs), &[], 1, false);
            let set = PageSet::default();
            assert_eq!(foreseen.bytes(Some(&set)), bytes, "{binlogs:?}");
            // What no round can copy does not speak against one.
            assert_eq!((foreseen.for_a_round(&set), foreseen.left_by_a_round(&set)), (10, 0), "{binlogs:?}");
        }
    }
}
