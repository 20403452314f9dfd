//! Which files of a backup are those of tables.
//!
//! The files of a table bear its name, with an ending for each kind of file, and lie in the folder of its database. Behind
//! `#P#` follows the name of a partition, behind `#i#` the number of a vector index. Two kinds have names of their own: a
//! trigger's `.TRN`, and the `FTS_…` files of a FULLTEXT index ([`super::table_selection`]).

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::archive::{EXTERNAL_PREFIX, Index};
use crate::model::{Member, MemberKind};

/// Databases without which no server starts.
const SYSTEM: [&str; 3] = ["mysql", "performance_schema", "sys"];
/// Endings of files that hold rows.
const DATA: [&str; 7] = ["ibd", "MYD", "MAD", "CSV", "ARZ", "MRG", "mrn"];
/// Endings of other files that only a table has.
const DEFINITION: [&str; 2] = ["frm", "isl"];

/// Names of a database and a table, as files bear them.
pub(super) type Key<'a> = (&'a [u8], &'a [u8]);

/// What a file in the folder of a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableFileRole {
    /// It bears the name of a table.
    Table,
    /// `.TRN`: it bears the name of a trigger.
    Trigger,
    /// It bears the number of a table with a FULLTEXT index.
    Fulltext,
    /// `db.opt`.
    Options,
    /// What an ALTER has left over, or has in work.
    Unnamed,
}

/// A file in the folder of a database, wherever it lay on the donor.
#[derive(Debug, Clone)]
pub(super) struct TableFile<'a> {
    pub(super) member: &'a Member,
    /// `DATABASE/FILE`.
    pub(super) path: PathBuf,
}

impl TableFile<'_> {
    pub(super) fn database(&self) -> &[u8] {
        self.path.parent().map_or(b"", |folder| folder.as_os_str().as_bytes())
    }

    fn file(&self) -> &[u8] {
        self.path.file_name().unwrap_or_default().as_bytes()
    }

    /// The name of the table, as files bear it; empty for what belongs to none.
    pub(super) fn table(&self) -> &[u8] {
        let file = self.file();
        let end = file.iter().position(|byte| matches!(byte, b'.' | b'#')).unwrap_or(file.len());
        &file[..end]
    }

    pub(super) fn key(&self) -> Key<'_> {
        (self.database(), self.table())
    }

    pub(super) fn role(&self) -> TableFileRole {
        if self.file() == b"db.opt" {
            TableFileRole::Options
        } else if self.has_ending("TRN") {
            TableFileRole::Trigger
        } else if is_fulltext(self.file()) {
            TableFileRole::Fulltext
        } else if self.table().is_empty() {
            TableFileRole::Unnamed
        } else {
            TableFileRole::Table
        }
    }

    /// Whether there is a table of this name because there is this file; `notes.sql` makes none.
    pub(super) fn makes_a_table(&self) -> bool {
        self.role() == TableFileRole::Table
            && (self.holds_rows() || DEFINITION.iter().any(|ending| self.has_ending(ending)))
    }

    /// `database.table` for people.
    pub(super) fn name(&self) -> String {
        name_of(self.key())
    }

    pub(super) fn has_ending(&self, ending: &str) -> bool {
        self.path.extension() == Some(OsStr::new(ending))
    }

    pub(super) fn holds_rows(&self) -> bool {
        DATA.iter().any(|data| self.has_ending(data))
    }
}

/// `database.table` for people.
pub(super) fn name_of((database, table): Key<'_>) -> String {
    format!("{}.{}", String::from_utf8_lossy(database), String::from_utf8_lossy(table))
}

pub(super) fn is_system(database: &[u8]) -> bool {
    SYSTEM.iter().any(|name| name.as_bytes() == database)
}

/// `FTS_<16 hexadecimal digits>_…`, the number being that of the table in InnoDB (`fts_get_table_name`); a table of
/// a user may begin with `FTS_` too.
fn is_fulltext(file: &[u8]) -> bool {
    let is_number = |rest: &[u8]| {
        rest.len() > 17 && rest[..16].iter().all(u8::is_ascii_hexdigit) && rest.get(16) == Some(&b'_')
    };
    let begins = file.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"FTS_"));
    begins && file.get(4..).is_some_and(is_number)
}

/// Whether this can be the folder of a database.
pub(super) fn is_database(path: &Path) -> bool {
    let mut parts = path.components();
    let first = parts.next().map(Component::as_os_str).unwrap_or_default().as_bytes();
    parts.next().is_none()
        && !first.starts_with(b".")
        && !first.starts_with(b"#")
        && first != EXTERNAL_PREFIX.as_bytes()
}

/// Every file that lies in the folder of a database, or is there for the server by a link. Links themselves and `.isl`
/// files, which name a place on the donor, are files of their tables, too.
pub(super) fn table_files(index: &Index) -> Vec<TableFile<'_>> {
    let links = Links::of(index);
    let in_database =
        |path: &PathBuf| path.components().count() == 2 && path.parent().is_some_and(is_database);
    let is_file = |member: &&Member| matches!(member.kind, MemberKind::File | MemberKind::Symlink);
    let files = index.members.iter().filter(is_file);
    files
        .filter_map(|member| Some(TableFile { member, path: links.place(member).filter(in_database)? }))
        .collect()
}

/// Where links of the data directory lead on the donor, and their paths.
pub(super) struct Links<'a>(BTreeMap<&'a Path, &'a Path>);

impl<'a> Links<'a> {
    pub(super) fn of(index: &'a Index) -> Self {
        let links = index.members.iter().filter(|member| member.origin.is_none());
        Self(
            links
                .filter_map(|member| Some((member.target.as_ref()?.as_path(), member.path.as_path())))
                .collect(),
        )
    }

    /// Where the server saw this member, below its data directory; none for what it saw elsewhere.
    pub(super) fn place(&self, member: &Member) -> Option<PathBuf> {
        let Some(origin) = &member.origin else { return Some(member.path.as_path().to_path_buf()) };
        let there = origin.path.as_path();
        let (folder, name) = (there.parent()?, there.file_name()?);
        match (self.0.get(there), self.0.get(folder)) {
            (Some(link), _) => Some((*link).to_path_buf()),
            (None, Some(link)) => Some(link.join(name)),
            // InnoDB makes the folder of the database below the directory that DATA DIRECTORY names.
            (None, None) if origin.variable == "data_directory" => {
                Some(Path::new(folder.file_name()?).join(name))
            }
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_fulltext_indexes_are_told_from_tables() {
        for (file, wanted) in [
            ("FTS_0000000000000014_CONFIG.ibd", true),
            ("FTS_000000000000002c_000000000000003e_INDEX_1.isl", true),
            ("fts_0000000000000014_deleted.ibd", true),
            ("FTS_mine.ibd", false),
            ("FTS_0000000000000014.ibd", false),
            ("FTS", false),
        ] {
            assert_eq!(is_fulltext(file.as_bytes()), wanted, "{file}");
        }
    }
}
