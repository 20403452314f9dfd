//! What defines the tables, triggers and routines of a server, so that a change of it shows.
//!
//! A consistent snapshot covers rows and no definitions: with `ADD COLUMN` on another node while `mariadb-dump` works, the dump ends well
//! and has the new definition (seen, 10.11.19). Each table, view and sequence has a `.frm`, each database a `db.opt`, partitions a `.par`, and triggers
//! `.TRG` and `.TRN`: whatever DDL changes is written anew, so that their inodes and times tell, and none of them has to be read. Routines
//! and events are rows of `mysql.proc` and `mysql.event`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::super::error::CaptureError;
use crate::model::encode_name;
use crate::sql::SqlSession;

/// What definitions are stored in.
const ENDINGS: [&str; 4] = [".frm", ".par", ".TRG", ".TRN"];
/// What a database is created with.
const OF_DATABASE: &str = "db.opt";
/// Names of tables that a statement is just making.
const IN_WORK: &str = "#sql";
/// Changed definitions that are named.
const NAMED: usize = 10;

/// What tells that a file was written anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Writing {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// All definitions at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Definitions {
    /// By `database/file`.
    files: BTreeMap<String, Writing>,
    /// Digests by what they are of: `procedure db.name`.
    programs: BTreeMap<String, String>,
}

impl Definitions {
    /// Those of these databases, without tables that are left out.
    pub(super) fn read(
        datadir: &Path,
        databases: &[String],
        ignored: &[String],
        sql: &mut SqlSession,
    ) -> Result<Self, CaptureError> {
        let mut files = BTreeMap::new();
        let ignored: Vec<String> = ignored
            .iter()
            .filter_map(|table| table.split_once('.'))
            .map(|(database, table)| format!("{}/{}", encode_name(database), encode_name(table)))
            .collect();
        for database in databases {
            of_database(datadir, &encode_name(database), &ignored, &mut files)?;
        }
        let programs = sql.stored_programs().map_err(|why| {
            CaptureError::Program(format!(
                "the definitions of routines and events cannot be read ({why}): the account needs the right to SELECT"
            ))
        })?;
        let is_of_these = |(database, ..): &(String, String, String)| databases.contains(database);
        let programs = programs.into_iter().filter(is_of_these).map(|(_, name, digest)| (name, digest));
        Ok(Self { files, programs: programs.collect() })
    }

    /// What is different now, in words; none where nothing is.
    pub(super) fn difference(&self, now: &Self) -> Option<String> {
        let mut names: Vec<String> = changed(&self.files, &now.files).map(|name| of_file(&name)).collect();
        names.extend(changed(&self.programs, &now.programs));
        names.dedup();
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!names.is_empty()).then(|| format!("{}{more}", names.join(", ")))
    }
}

/// Keys that are in one of both only, or with other values.
fn changed<'a, V: PartialEq>(
    before: &'a BTreeMap<String, V>,
    now: &'a BTreeMap<String, V>,
) -> impl Iterator<Item = String> + 'a {
    let of_before = before.iter().filter(|(name, value)| now.get(*name) != Some(value)).map(|(name, _)| name);
    of_before.chain(now.keys().filter(|name| !before.contains_key(*name))).cloned()
}

/// `database.table` of a file, or the database alone; in the letters that the file has.
fn of_file(name: &str) -> String {
    match name.split_once('/') {
        Some((database, OF_DATABASE)) => format!("database {database}"),
        Some((database, file)) => {
            let table = file.split_once('.').map_or(file, |(table, _)| table);
            format!("{database}.{table}")
        }
        None => name.to_owned(),
    }
}

fn of_database(
    datadir: &Path,
    database: &str,
    ignored: &[String],
    into: &mut BTreeMap<String, Writing>,
) -> Result<(), CaptureError> {
    let folder = datadir.join(database);
    let failed = |cause: io::Error| CaptureError::Read { path: folder.clone(), cause };
    let entries = match fs::read_dir(&folder) {
        // It was dropped, and that is a difference.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_definition = name == OF_DATABASE || ENDINGS.iter().any(|ending| name.ends_with(ending));
        let table = name.split_once('.').map_or(name.as_str(), |(table, _)| table);
        if !is_definition || name.starts_with(IN_WORK) || ignored.contains(&format!("{database}/{table}")) {
            continue;
        }
        let found = match fs::metadata(entry.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found.map_err(failed)?,
        };
        let writing = Writing {
            inode: found.ino(),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        };
        into.insert(format!("{database}/{name}"), writing);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(folder: &Path, ignored: &[String]) -> Definitions {
        let mut files = BTreeMap::new();
        of_database(folder, "d", ignored, &mut files).unwrap();
        Definitions { files, programs: BTreeMap::new() }
    }

    #[test]
    fn what_was_written_anew_made_or_dropped_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("d");
        fs::create_dir(&database).unwrap();
        let write = |name: &str| {
            // As a server does: a new file in the place of the old one.
            fs::write(database.join("new"), name).unwrap();
            fs::rename(database.join("new"), database.join(name)).unwrap();
        };
        for name in ["db.opt", "t.frm", "u.frm", "u.ibd", "p.par"] {
            write(name);
        }
        let before = of(folder.path(), &[]);
        assert_eq!(before.difference(&before), None);
        write("u.ibd");
        write("#sql-alter-1.frm");
        assert_eq!(before.difference(&of(folder.path(), &[])), None, "rows are no definition");
        for (name, words) in
            [("t.frm", "d.t"), ("db.opt", "database d"), ("p.par", "d.p"), ("t.TRG", "d.t"), ("v.frm", "d.v")]
        {
            let before = of(folder.path(), &[]);
            write(name);
            assert_eq!(before.difference(&of(folder.path(), &[])).as_deref(), Some(words));
        }
        let before = of(folder.path(), &[]);
        fs::remove_file(database.join("u.frm")).unwrap();
        assert_eq!(before.difference(&of(folder.path(), &[])).as_deref(), Some("d.u"));
        let ignored = ["d/u".to_owned()];
        assert_eq!(of(folder.path(), &ignored).difference(&of(folder.path(), &ignored)), None);
        fs::remove_dir_all(&database).unwrap();
        let told = before.difference(&of(folder.path(), &[])).unwrap();
        assert!(told.starts_with("database d, d.p, d.t"), "{told}");
    }

    #[test]
    fn a_changed_routine_is_named() {
        let of = |digest: &str| Definitions {
            files: BTreeMap::new(),
            programs: [("procedure d.p".to_owned(), digest.to_owned())].into(),
        };
        assert_eq!(of("1").difference(&of("2")).as_deref(), Some("procedure d.p"));
        assert_eq!(of("1").difference(&Definitions::default()).as_deref(), Some("procedure d.p"));
    }
}
