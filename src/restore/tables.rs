//! Some tables out of a backup: which of its files are theirs.
//!
//! The files of a table bear its name, with an ending for each kind of file, and lie in the folder of its database
//! (`tablename_to_filename` in `sql/sql_table.cc`: letters, digits and `_` as they are, everything else as `@` and four
//! hexadecimal digits, or as other codes beyond ASCII). Behind `#P#` follows the name of a partition.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use super::RestoreError;
use crate::archive::{EXTERNAL_PREFIX, Index};
use crate::model::{Member, MemberKind, matches};

/// Databases without which no server starts.
const SYSTEM: [&str; 3] = ["mysql", "performance_schema", "sys"];
/// Endings of files that hold rows.
const DATA: [&str; 7] = ["ibd", "MYD", "MAD", "CSV", "ARZ", "MRG", "mrn"];

/// `--only`: a table, or several of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePattern {
    text: String,
    database: Part,
    table: Part,
}

/// A name with `*` for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    /// As it was given, which may be the name of a file.
    given: String,
    /// As a file bears it; none where that is not known here.
    encoded: Option<String>,
}

impl Part {
    fn new(name: &str) -> Self {
        let encode = |c: char| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '*' => Some(c.to_string()),
            c if c.is_ascii() => Some(format!("@{:04x}", u32::from(c))),
            _ => None,
        };
        // No table has a file with this character in its name.
        Self { given: name.replace('?', "@003f"), encoded: name.chars().map(encode).collect() }
    }

    fn matches(&self, file: &[u8]) -> bool {
        let like = |pattern: &String| matches(pattern.as_bytes(), file);
        like(&self.given) || self.encoded.as_ref().is_some_and(like)
    }

    fn is_all(&self) -> bool {
        self.given == "*"
    }
}

impl FromStr for TablePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = |name: &str| name.trim_matches('`').to_owned();
        let (database, table) = text
            .split_once('.')
            .map(|(database, table)| (bare(database), bare(table)))
            .filter(|(database, table)| !database.is_empty() && !table.is_empty())
            .ok_or("it has the form DATABASE.TABLE or DATABASE.*")?;
        if database.contains('/') || table.contains('/') {
            return Err("names of a database and a table are wanted, not a path".into());
        }
        Ok(Self { text: text.to_owned(), database: Part::new(&database), table: Part::new(&table) })
    }
}

/// The tables that are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection(pub Vec<TablePattern>);

/// A file of a table, wherever it lay on the donor.
pub(super) struct TableFile<'a> {
    pub(super) member: &'a Member,
    /// Folder of the database and name of the file, as a server sees them.
    pub(super) path: PathBuf,
}

impl TableFile<'_> {
    fn database(&self) -> &[u8] {
        self.path.parent().map_or(b"", |folder| folder.as_os_str().as_bytes())
    }

    fn file(&self) -> &[u8] {
        self.path.file_name().unwrap_or_default().as_bytes()
    }

    /// The name of the table, as files bear it; empty for what belongs to none.
    fn table(&self) -> &[u8] {
        let file = self.file();
        let end = file.iter().position(|byte| matches!(byte, b'.' | b'#')).unwrap_or(file.len());
        if file == b"db.opt" { b"" } else { &file[..end] }
    }

    fn is_system(&self) -> bool {
        SYSTEM.iter().any(|name| name.as_bytes() == self.database())
    }

    /// `database.table` for people.
    pub(super) fn name(&self) -> String {
        format!("{}.{}", String::from_utf8_lossy(self.database()), String::from_utf8_lossy(self.table()))
    }

    pub(super) fn holds_rows(&self) -> bool {
        let ending = self.path.extension().unwrap_or_default();
        DATA.iter().any(|data| OsStr::new(data) == ending)
    }
}

impl Selection {
    /// The files of the wanted tables; an error where a pattern fits none.
    pub(super) fn files<'a>(&self, index: &'a Index) -> Result<Vec<TableFile<'a>>, RestoreError> {
        let all = table_files(index);
        for pattern in &self.0 {
            let fits = |file: &TableFile<'_>| !file.table().is_empty() && pattern_fits(pattern, file);
            if !all.iter().any(fits) {
                return Err(RestoreError::Usage(format!(
                    "--only '{}': backup '{}' holds no file of such a table ('ls --match' shows what there is; names with \
                     other characters than those of ASCII are given as their files bear them)",
                    pattern.text, index.header.id
                )));
            }
        }
        Ok(all.into_iter().filter(|file| self.fits(file)).collect())
    }

    /// What a server needs that has no other tables than these, by the places in the tar stream.
    pub(super) fn with_server(&self, index: &Index) -> Result<BTreeSet<u64>, RestoreError> {
        let wanted = self.files(index)?;
        let databases: BTreeSet<&[u8]> = wanted.iter().map(TableFile::database).collect();
        let kept: BTreeSet<u64> = wanted.iter().map(|file| file.member.header_offset).collect();
        let all = table_files(index);
        let left_out: BTreeSet<u64> = all
            .iter()
            .filter(|file| !file.is_system() && !kept.contains(&file.member.header_offset))
            .map(|file| file.member.header_offset)
            .collect();
        let linked: BTreeSet<&[u8]> = all.iter().map(TableFile::database).collect();
        let is_other_database = |member: &Member| {
            let name = member.path.as_bytes();
            let is_folder = match member.kind {
                MemberKind::Directory => true,
                MemberKind::Symlink => linked.contains(name),
                MemberKind::File | MemberKind::Generated => false,
            };
            is_folder
                && is_database(member.path.as_path())
                && !databases.contains(name)
                && !SYSTEM.iter().any(|system| system.as_bytes() == name)
        };
        let is_kept = |member: &&Member| {
            !left_out.contains(&member.header_offset)
                && !is_other_database(member)
                && (member.origin.is_none() || member.kind != MemberKind::Directory)
        };
        Ok(index.members.iter().filter(is_kept).map(|member| member.header_offset).collect())
    }

    fn fits(&self, file: &TableFile<'_>) -> bool {
        self.0.iter().any(|pattern| {
            pattern_fits(pattern, file)
                || (file.file() == b"db.opt" && pattern.database.matches(file.database()))
        })
    }
}

fn pattern_fits(pattern: &TablePattern, file: &TableFile<'_>) -> bool {
    let table = file.table();
    pattern.database.matches(file.database())
        && !table.is_empty()
        && (pattern.table.is_all() || pattern.table.matches(table))
}

/// Whether this can be the folder of a database.
fn is_database(path: &Path) -> bool {
    let mut parts = path.components();
    let first = parts.next().map(Component::as_os_str).unwrap_or_default().as_bytes();
    parts.next().is_none()
        && !first.starts_with(b".")
        && !first.starts_with(b"#")
        && first != EXTERNAL_PREFIX.as_bytes()
}

/// Every file that lies in the folder of a database, or is there for the server by a link. Links themselves and `.isl`
/// files, which name a place on the donor, are files of their tables, too.
fn table_files(index: &Index) -> Vec<TableFile<'_>> {
    let links = links(index);
    let place = |member: &Member| -> Option<PathBuf> {
        let Some(origin) = &member.origin else { return Some(member.path.as_path().to_path_buf()) };
        let there = origin.path.as_path();
        let (folder, name) = (there.parent()?, there.file_name()?);
        match (links.get(there), links.get(folder)) {
            (Some(link), _) => Some((*link).to_path_buf()),
            (None, Some(link)) => Some(link.join(name)),
            // InnoDB makes the folder of the database below the directory that DATA DIRECTORY names.
            (None, None) if origin.variable == "data_directory" => {
                Some(Path::new(folder.file_name()?).join(name))
            }
            (None, None) => None,
        }
    };
    let in_database =
        |path: &PathBuf| path.components().count() == 2 && path.parent().is_some_and(is_database);
    let is_file = |member: &&Member| matches!(member.kind, MemberKind::File | MemberKind::Symlink);
    let files = index.members.iter().filter(is_file);
    files.filter_map(|member| Some(TableFile { member, path: place(member).filter(in_database)? })).collect()
}

/// Where links of the data directory lead on the donor, and their paths.
fn links(index: &Index) -> BTreeMap<&Path, &Path> {
    let links = index.members.iter().filter(|member| member.origin.is_none());
    links.filter_map(|member| Some((member.target.as_ref()?.as_path(), member.path.as_path()))).collect()
}
