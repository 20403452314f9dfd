//! What must be in the list of files: what variables, links and the server itself name.
//!
//! The server is asked for its tablespaces before they are listed: what DDL makes after the question is in the list
//! all the same, and what it has dropped is neither on the disk nor named when the server is asked again. A discarded
//! tablespace is not named (seen with 10.11: neither it nor its `.isl` file is there any more).

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::class::is_archived_redo;
use super::facts::Facts;
use super::files::FileList;
use super::layout::{ServerLayout, is_undo};
use super::objection::{Objection, shown};
use super::resolve::Datadir;
use crate::archive::EXTERNAL_PREFIX;
use crate::sql::{ClosedTable, SqlSession, TablespaceFiles};

/// Something that must be in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Required {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The variable, or the server, that names it.
    by: String,
}

impl Required {
    pub(super) fn new(path: PathBuf, by: impl Into<String>) -> Self {
        Self { path, by: by.into() }
    }

    /// It is not in the list.
    pub(super) fn objection(&self) -> Objection {
        let (path, by) = (shown(&self.path), &self.by);
        let ours = |part: Component<'_>| part.as_os_str() == EXTERNAL_PREFIX;
        let text = if fs::symlink_metadata(&self.path).is_err() {
            format!("'{path}', which {by} names, is not there")
        } else if fs::metadata(&self.path).is_ok_and(|data| !data.is_file() && !data.is_dir()) {
            format!("'{path}', which {by} names, is a device or a pipe: only files can be backed up")
        } else if self.path.components().any(ours) {
            format!(
                "'{path}', which {by} names, lies in '{EXTERNAL_PREFIX}', where an archive keeps files from elsewhere: \
                 after an unpacking by hand they belong in directories of their own; move it, and change what names it"
            )
        } else {
            format!(
                "'{path}', which {by} names, is not among the files to back up: give it another name or place"
            )
        };
        Objection { path: self.path.clone(), text }
    }
}

/// The paths in a list, for questions. What lies in the data directory stands here relative to it.
pub(super) struct Listed<'a> {
    datadir: &'a Path,
    paths: HashSet<&'a [u8]>,
}

impl<'a> Listed<'a> {
    pub(super) fn of(list: &'a FileList, datadir: &'a Path) -> Self {
        let paths = list.entries.iter().map(|entry| match &entry.origin {
            Some(origin) => origin.path.as_bytes(),
            None => entry.path.as_bytes(),
        });
        Self { datadir, paths: paths.collect() }
    }

    /// Whether this is in the list, as it is spelt or as it really is.
    pub(super) fn has(&self, path: &Path) -> bool {
        let spelt = |path: &Path| {
            let below = path.strip_prefix(self.datadir).unwrap_or(path);
            self.paths.contains(below.as_os_str().as_bytes())
        };
        spelt(path)
            || fs::canonicalize(path).is_ok_and(|real| spelt(&real))
            // A bind mount is a name that no link tells.
            || spelt(&Datadir::at(self.datadir).entry(path))
    }
}

/// What the server and its variables name. Kept until the freeze, so it is as small as it can be.
#[derive(Debug, Default)]
pub struct Demands {
    required: Vec<Required>,
    /// Paths of tablespaces as the server tells them; none where it was not asked.
    tablespaces: Option<Vec<Box<str>>>,
}

impl Demands {
    /// Asks the server, where it answers.
    pub fn of(layout: &ServerLayout, facts: &mut Facts) -> Self {
        let mut required = Vec::new();
        let variable = |name: &str| facts.get(name).map(|value| layout.entry(value));
        let redo = variable("innodb_log_group_home_dir").unwrap_or_else(|| layout.datadir.clone());
        let folder = redo.join("#innodb_redo");
        let first = if folder.is_dir() { folder } else { first_redo(&redo) };
        required.push(Required::new(plain(&first), "innodb_log_group_home_dir"));
        if let Some(aria) = variable("aria_log_dir_path") {
            required.push(Required::new(plain(&aria.join("aria_log_control")), "aria_log_dir_path"));
        }
        // What is found there by its name.
        if let Some(undo) = variable("innodb_undo_directory").map(|folder| plain(&folder)) {
            let files = fs::read_dir(&undo).into_iter().flatten().flatten().map(|entry| entry.path());
            let of_undo = |path: &PathBuf| path.file_name().and_then(OsStr::to_str).is_some_and(is_undo);
            required.extend(files.filter(of_undo).map(|path| Required::new(path, "innodb_undo_directory")));
        }
        let tablespaces = facts.sql.as_mut().and_then(|sql| ask(sql, &layout.datadir));
        Self { required, tablespaces }
    }

    /// The same, where the server has named these.
    #[cfg(test)]
    pub(super) fn with_tablespaces(self, paths: &[&str]) -> Self {
        Self { tablespaces: Some(paths.iter().map(|path| (*path).into()).collect()), ..self }
    }

    /// How many files the server has named.
    pub fn tablespaces(&self) -> Option<usize> {
        self.tablespaces.as_ref().map(Vec::len)
    }

    /// What is not in the list, and whether it is on the disk.
    pub(super) fn unmet(&self, list: &FileList, datadir: &Path) -> Vec<Objection> {
        let listed = Listed::of(list, datadir);
        let named = self.tablespaces.iter().flatten().map(|path| plain(&datadir.join(&**path)));
        let named = named.map(|path| Required::new(path, "the server"));
        let required = self.required.iter().cloned().chain(named);
        required.filter(|required| !listed.has(&required.path)).map(|required| required.objection()).collect()
    }

    /// The same under the freeze. What the server named before and does not name any more was dropped meanwhile; where it
    /// does not answer any more, what is not on the disk counts as dropped.
    pub(super) fn unmet_now(&self, list: &FileList, datadir: &Path, facts: &mut Facts) -> Vec<Objection> {
        let mut unmet = self.unmet(list, datadir);
        if unmet.is_empty() {
            return unmet;
        }
        let now = Self {
            required: self.required.clone(),
            tablespaces: facts.sql.as_mut().and_then(|sql| ask(sql, datadir)),
        };
        let still: HashSet<PathBuf> =
            now.unmet(list, datadir).into_iter().map(|objection| objection.path).collect();
        let is_silent = now.tablespaces.is_none();
        unmet.retain(|Objection { path, .. }| still.contains(path) || is_silent && path.exists());
        unmet
    }
}

/// The server's words, where they can be trusted: a path that its character set cannot tell is not compared.
fn ask(session: &mut SqlSession, datadir: &Path) -> Option<Vec<Box<str>>> {
    match session.tablespace_files() {
        Ok(TablespaceFiles { paths, of_dictionary }) => {
            let is_whole = |path: &String| !path.contains(['?', '\u{fffd}', '\0']) && !path.is_empty();
            let mut paths: Vec<String> = paths.into_iter().filter(is_whole).collect();
            if of_dictionary {
                keep_those_in_use(session, datadir, &mut paths);
            }
            Some(paths.into_iter().map(String::into_boxed_str).collect())
        }
        Err(why) => {
            log::info!(
                "the server does not tell its tablespaces, so that they are not compared with its files: {why}"
            );
            None
        }
    }
}

/// InnoDB's dictionary knows the files of discarded tablespaces as well. One that is not there counts only where its table can be read all the
/// same (seen with 10.5.23): the server has it open, and a backup would lack it.
fn keep_those_in_use(session: &mut SqlSession, datadir: &Path, paths: &mut Vec<String>) {
    let is_there = |path: &String| datadir.join(path).exists();
    if paths.iter().all(is_there) {
        return;
    }
    let table_of = |tables: &[ClosedTable], path: &String| {
        tables.iter().find(|table| path.ends_with(&format!("/{}.ibd", table.path))).cloned()
    };
    let closed = session.closed_tables().unwrap_or_default();
    paths.retain(|path| {
        is_there(path) || table_of(&closed, path).is_some_and(|table| session.is_readable(&table))
    });
    if paths.iter().all(is_there) {
        return;
    }
    // The dictionary of a server whose files were restored to another place has old paths until it opens a table, which to read it has made it do:
    // one whose file it has found is open now.
    let still = session.closed_tables().unwrap_or(closed);
    paths.retain(|path| is_there(path) || table_of(&still, path).is_some());
}

/// The one log, or the newest of those that are kept in its place (`innodb_log_archive`).
fn first_redo(directory: &Path) -> PathBuf {
    let one = directory.join("ib_logfile0");
    let names = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let newest = names.filter(|name| is_archived_redo(name.as_bytes())).max();
    newest.filter(|_| !one.exists()).map_or(one, |name| directory.join(name))
}

/// Without `.` and doubled slashes: InnoDB says `.//undo001`.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::sql::LIMIT;
    use crate::sql::testing::{server, session};

    /// As a server of 10.5 answers: `d/moved` is where a restore has put it, `d/gone` was deleted while it was open, `d/discarded` cannot be read.
    #[test]
    fn what_the_server_has_open_elsewhere_than_its_dictionary_says_is_not_missed() {
        let folder = tempfile::tempdir().unwrap();
        let is_read = AtomicBool::new(false);
        let (endpoint, _) = server(folder.path(), move |wire, statement| {
            let row = |table: &'static str| vec![table, "7", "d", table.strip_prefix("d/").unwrap_or(table)];
            if statement.contains("FILENAME") {
                wire.error(1054)
            } else if statement.contains("INNODB_SYS_DATAFILES") {
                wire.texts(1, &[vec!["/old/d/moved.ibd"], vec!["./d/gone.ibd"], vec!["./d/discarded.ibd"]])
            } else if statement.contains("FS_BLOCK_SIZE") {
                let closed = ["d/gone", "d/discarded", "d/moved"];
                let closed = &closed[..if is_read.load(Ordering::Relaxed) { 2 } else { 3 }];
                let rows: Vec<_> = closed.iter().map(|table| [row(table), vec![""]].concat()).collect();
                wire.texts(5, &rows)
            } else if statement.contains("discarded") {
                wire.error(1814)
            } else {
                is_read.fetch_or(statement.contains("moved"), Ordering::Relaxed);
                wire.texts(1, &[vec!["1"]])
            }
        });
        let told = ask(&mut session(&endpoint, LIMIT), folder.path()).unwrap();
        assert_eq!(told, [Box::from("./d/gone.ibd")]);
    }
}
