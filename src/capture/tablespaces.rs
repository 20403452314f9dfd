//! Which tablespace files the server uses: only it knows. Asked once, before the freeze.
//!
//! `INNODB_SYS_TABLESPACES` has the tablespaces that are in use, also those whose file was emptied, and not those that were
//! discarded \[seen, 10.11\], but with servers before 10.6, where it has them too \[seen, 10.5\]. So a file of that list is data, unless the
//! server says that the table's own was discarded. One that is not in it may still be that of a table: the server lists none
//! that it could not open. It is a leftover where no definition (`.frm`) lies beside it, or where the table's own was discarded.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::entry::Entry;
use super::facts::Facts;
use crate::innodb::PageZero;
use crate::regular_file;
use crate::sql::SqlSession;

/// Most tables that are asked for one by one; usually there is none.
const MOST_ASKED: usize = 1000;
/// The server rounds the size of a file down to a multiple of this.
const SIZE_UNIT: u64 = 4096;
/// Seconds by which the clock of a file system may be behind.
const SLACK: i64 = 1;

/// The answer of the server.
#[derive(Debug, Default)]
pub struct Tablespaces {
    /// `database/table`, as in the names of files.
    names: HashSet<Box<str>>,
    /// The same of tables without one.
    discarded: HashSet<Box<str>>,
    /// Databases behind links: where they really are, and what the server calls them.
    linked: Vec<(PathBuf, Box<str>)>,
    /// When it was asked, seconds since 1970.
    asked: i64,
}

impl Tablespaces {
    /// Asks the server, and which of its tables were discarded; the text says why there is no answer.
    pub fn of_server(facts: &mut Facts, datadir: &Path) -> Result<Self, String> {
        let sql = facts.sql.as_mut().ok_or("the server cannot be asked by SQL")?;
        let mut known = Self::ask(sql)?;
        known.linked = linked_databases(&known.names, datadir);
        if let Err(why) = known.ask_for_discarded(sql, datadir) {
            log::debug!("which tables were discarded is not known: {why}");
        }
        Ok(known)
    }

    fn ask(sql: &mut SqlSession) -> Result<Self, String> {
        let asked = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let names = sql.innodb_tablespaces()?.into_iter().map(Into::into).collect();
        let discarded = HashSet::new();
        let asked = i64::try_from(asked).unwrap_or(i64::MAX);
        Ok(Self { names, discarded, linked: Vec::new(), asked })
    }

    /// Asks which tables were discarded, of those in whose place there is a file that does not begin like the table's own: where one does, the
    /// server has not needed it yet, and is not made to open it.
    fn ask_for_discarded(&mut self, sql: &mut SqlSession, datadir: &Path) -> Result<(), String> {
        let strange = sql.closed_tables()?.into_iter().filter(|table| {
            let own = is_own(&datadir.join(format!("{}.ibd", table.path)), table.space);
            own.is_ok_and(|is_own| !is_own)
        });
        for table in strange.take(MOST_ASKED).collect::<Vec<_>>() {
            if sql.is_discarded(&table) {
                self.discarded.insert(table.path.into());
            }
        }
        Ok(())
    }

    /// The database to which the server counts a table's file there.
    fn database_of<'a>(&'a self, entry: &'a Entry, disk: &Path) -> Option<&'a str> {
        if entry.origin.is_some()
            && !self.linked.is_empty()
            && let Some(folder) = disk.parent().and_then(|folder| fs::canonicalize(folder).ok())
            && let Some((_, database)) = self.linked.iter().find(|(linked, _)| *linked == folder)
        {
            return Some(database);
        }
        entry.path.as_path().parent()?.file_name()?.to_str()
    }

    /// Whether the server has the tablespace in this file, which is at `disk`; none where that is not certain, or it is no
    /// file of a table.
    pub fn lists(&self, entry: &Entry, disk: &Path, metadata: &Metadata) -> Option<bool> {
        let path = entry.path.as_path();
        let name = path.file_name()?.to_str()?.strip_suffix(".ibd")?;
        let database = self.database_of(entry, disk)?;
        let table = format!("{database}/{name}");
        let is_discarded = self.discarded.contains(table.as_str());
        if self.names.contains(table.as_str()) && !is_discarded {
            return Some(true);
        }
        // Elsewhere the folder need not have the name of the database; and what is younger than the list may be of a table
        // that was made, or given another name, since.
        let is_known = entry.origin.is_none()
            && path.components().count() == 2
            && metadata.ctime() < self.asked - SLACK
            && (is_discarded || !has_definition(disk, name));
        is_known.then_some(false)
    }
}

/// Those of these tables' databases that are links: the server goes by the name of the link, whatever the folder behind it is called.
fn linked_databases(tables: &HashSet<Box<str>>, datadir: &Path) -> Vec<(PathBuf, Box<str>)> {
    let databases: BTreeSet<&str> =
        tables.iter().filter_map(|table| Some(table.split_once('/')?.0)).collect();
    let linked = |database: &str| {
        let path = datadir.join(database);
        let is_link = fs::symlink_metadata(&path).is_ok_and(|found| found.is_symlink());
        Some((fs::canonicalize(path).ok().filter(|_| is_link)?, database.into()))
    };
    databases.into_iter().filter_map(linked).collect()
}

/// Whether the file begins like the tablespace of this number, and is as long as that says.
fn is_own(path: &Path, space: u32) -> io::Result<bool> {
    let file = regular_file::open(path)?;
    let bytes = file.metadata()?.len();
    let mut start = [0; PageZero::BYTES];
    match file.read_exact_at(&mut start, 0) {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
        _ => {}
    }
    let is_long = |zero: &PageZero| zero.pages.saturating_mul(u64::from(zero.page_size)) < bytes + SIZE_UNIT;
    Ok(PageZero::read(&start).is_some_and(|zero| zero.space == space && is_long(&zero)))
}

/// Whether there is a table of this name, or one of which this is a partition (`table#P#part`).
fn has_definition(disk: &Path, name: &str) -> bool {
    let table = ["#P#", "#p#"].iter().find_map(|mark| name.split_once(mark)).map_or(name, |(table, _)| table);
    [name, table].iter().any(|name| disk.with_file_name(format!("{name}.frm")).exists())
}

#[cfg(test)]
mod tests {
    use super::super::class::FileClass;
    use super::super::entry::{EntryKind, Look};
    use super::*;
    use crate::model::{ArchivePath, Origin};

    #[test]
    fn a_file_is_a_leftover_where_the_server_was_asked_and_does_not_know_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["discarded.frm", "listed.frm", "unopened.frm", "parts.frm"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let metadata = folder.path().join("parts.frm").metadata().unwrap();
        let names = || ["d/t", "d/t@002dx#P#p0", "d/listed"].map(Into::into).into();
        let discarded = || ["d/discarded", "d/listed", "d/parts#P#p1"].map(Into::into).into();
        let known = |asked| Tablespaces { names: names(), discarded: discarded(), linked: Vec::new(), asked };
        let later = known(metadata.ctime() + 100);
        let entry = |path: &str, elsewhere: bool| Entry {
            path: ArchivePath::new(path),
            kind: EntryKind::File(Look::of(&metadata)),
            origin: elsewhere.then(|| {
                let path = ArchivePath::new("/x");
                Box::new(Origin { variable: "symlink".into(), root: path.clone(), path })
            }),
            system_tablespace: false,
            class: FileClass::Data,
        };
        let lists = |known: &Tablespaces, path: &str, elsewhere| {
            let disk = folder.path().join(Path::new(path).file_name().unwrap());
            known.lists(&entry(path, elsewhere), &disk, &metadata)
        };
        for (path, elsewhere, listed) in [
            ("d/t.ibd", false, Some(true)),
            ("d/t@002dx#P#p0.ibd", false, Some(true)),
            (".wsrep_sst_backup/data_directory/x/d/t.ibd", true, Some(true)),
            ("d/discarded.ibd", false, Some(false)),
            // As servers before 10.6 list it.
            ("d/listed.ibd", false, Some(false)),
            ("d/parts#P#p1.ibd", false, Some(false)),
            ("d/unopened.ibd", false, None),
            ("d/parts#P#p0.ibd", false, None),
            ("d/orphan.ibd", false, Some(false)),
            ("d/orphans#P#p0.ibd", false, Some(false)),
            (".wsrep_sst_backup/symlink/elsewhere/t.ibd", true, None),
            ("d/orphan.MYD", false, None),
            ("ibdata1", false, None),
            ("t.ibd", false, None),
        ] {
            assert_eq!(lists(&later, path, elsewhere), listed, "{path}");
        }
        let before = known(metadata.ctime());
        for path in ["d/made_since.ibd", "d/discarded.ibd", "d/listed.ibd"] {
            assert_eq!(lists(&before, path, false), None);
        }
    }

    #[test]
    fn a_database_behind_a_link_has_the_name_of_the_link() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        let (datadir, elsewhere) = (real.join("data"), real.join("xyz"));
        fs::create_dir_all(datadir.join("xyz")).unwrap();
        fs::create_dir(&elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, datadir.join("shop")).unwrap();
        for file in [elsewhere.join("t.ibd"), datadir.join("xyz/u.ibd")] {
            fs::write(file, "").unwrap();
        }
        let names: HashSet<Box<str>> = ["shop/t", "xyz/u"].map(Into::into).into();
        let linked = linked_databases(&names, &datadir);
        assert_eq!(linked, [(elsewhere.clone(), "shop".into())]);
        let known = Tablespaces { names, linked, ..Tablespaces::default() };
        let metadata = elsewhere.join("t.ibd").metadata().unwrap();
        let lists = |folder: &Path, name: &str, is_elsewhere: bool| {
            let disk = folder.join(name);
            let entry = Entry {
                path: ArchivePath::new(Path::new("xyz").join(name)),
                kind: EntryKind::File(Look::of(&metadata)),
                origin: is_elsewhere.then(|| {
                    let (root, path) = (ArchivePath::new(&elsewhere), ArchivePath::new(&disk));
                    Box::new(Origin { variable: "symlink".into(), root, path })
                }),
                system_tablespace: false,
                class: FileClass::Data,
            };
            known.lists(&entry, &disk, &metadata)
        };
        assert_eq!(lists(&elsewhere, "t.ibd", true), Some(true));
        assert_eq!(lists(&elsewhere, "u.ibd", true), None, "that is of the other xyz");
        assert_eq!(lists(&datadir.join("xyz"), "u.ibd", false), Some(true));
    }

    #[test]
    fn a_file_is_the_table_s_own_by_its_number_and_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.ibd");
        assert!(is_own(&path, 5).is_err(), "there is none");
        let mut start = vec![0; 3 * 16384];
        (start[37], start[38 + 8 + 3], start[38 + 16 + 3]) = (5, 3, 0x15);
        (start[25], start[38 + 3]) = (8, 5);
        for (content, space, own) in
            [(&start[..], 5, true), (&start[..], 6, false), (&start[..40_000], 5, false), (b"x", 5, false)]
        {
            fs::write(&path, content).unwrap();
            assert_eq!(is_own(&path, space).unwrap(), own, "{} bytes, {space}", content.len());
        }
    }
}
