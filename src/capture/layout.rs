//! Where the server keeps its files, as absolute paths.
//!
//! Relative values count from the data directory, as mysqld's working directory does. What lies inside
//! the data directory needs no entry here: the walk over it finds it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::class::is_archived_redo;
use super::excluded::{Excluded, gcache_directory};
use super::facts::Facts;
use super::relay::RelayFiles;
use super::resolve::Datadir;
use crate::innodb::is_numbered_undo;
use crate::server::Server;

/// A data directory that cannot be backed up.
#[derive(Debug, Error)]
pub enum LayoutError {
    /// Missing, or not a directory.
    #[error("the data directory '{path}' cannot be read: {cause}")]
    Datadir {
        /// As mysqld passed it.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Not a MariaDB data directory.
    #[error(
        "the data directory '{0}' holds no InnoDB system tablespace ({1}); mysqld passed the wrong --datadir, or innodb_data_home_dir is not known here"
    )]
    NoTablespace(PathBuf, PathBuf),
    /// A disk without a file system.
    #[error(
        "innodb_data_file_path names the raw device '{0}', which cannot be backed up: only files can. Use mariadb-backup or \
         mariadb-dump, or move the system tablespace into a file"
    )]
    RawDevice(PathBuf),
}

/// Files of one variable outside the data directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// The variable.
    pub variable: &'static str,
    /// Its directory.
    pub root: PathBuf,
    /// The files that belong to the server; others in that directory are not ours.
    pub files: Vec<PathBuf>,
}

/// The binary logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinlogFiles {
    /// Base name with its directory: the logs are `<base>.<number>`.
    pub base: PathBuf,
    /// The index file.
    pub index: PathBuf,
}

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerLayout {
    /// The data directory, without symbolic links.
    pub datadir: PathBuf,
    /// Files of variables that point elsewhere.
    pub externals: Vec<External>,
    /// The binary logs, where they are on.
    pub binlog: Option<BinlogFiles>,
    /// What belongs to replication from another server.
    pub relay: RelayFiles,
    /// Files and directories that are not data wherever they are: server logs, sockets, tmpdir.
    pub excluded: Excluded,
    /// Where Galera puts the write sets that its cache has no room for.
    pub gcache: PathBuf,
    /// `wsrep_data_home_dir`, where that is not the data directory: a node looks for `grastate.dat` there.
    pub wsrep_home: Option<PathBuf>,
    /// Names of `innodb_data_file_path`.
    pub system_tablespaces: Vec<PathBuf>,
    /// `@@version`.
    pub version: Option<String>,
    /// Bytes.
    pub page_size: Option<u32>,
}

impl ServerLayout {
    /// Reads the facts; the directories are looked at, the files inside not yet.
    pub fn new(server: &Server, facts: &Facts) -> Result<Self, LayoutError> {
        let datadir = Datadir::find(&server.datadir)
            .and_then(|found| fs::read_dir(found.path()).map(|_| found))
            .map_err(|cause| LayoutError::Datadir { path: server.datadir.clone(), cause })?;
        let system_tablespaces = system_tablespaces(facts, &datadir)?;
        if let Some(missing) = system_tablespaces.iter().find(|path| !path.exists()) {
            return Err(LayoutError::NoTablespace(datadir.path().to_path_buf(), missing.clone()));
        }
        let mut externals = Vec::new();
        for path in &system_tablespaces {
            let root = path.parent().unwrap_or(datadir.path()).to_path_buf();
            add_external(&mut externals, &datadir, "innodb_data_home_dir", &root, vec![path.clone()]);
        }
        for (variable, pattern) in [
            ("innodb_undo_directory", is_undo as fn(&str) -> bool),
            ("innodb_log_group_home_dir", |name| {
                name.starts_with("ib_logfile") || name == "#innodb_redo" || is_archived_redo(name.as_bytes())
            }),
            ("aria_log_dir_path", |name| name.starts_with("aria_log")),
        ] {
            if let Some(root) = facts.get(variable).map(|value| datadir.directory(value)) {
                let files = matching_files(&root, pattern);
                add_external(&mut externals, &datadir, variable, &root, files);
            }
        }
        let wsrep_home = facts.get("wsrep_data_home_dir").map(|home| datadir.directory(home));
        Ok(Self {
            binlog: binlog_files(facts, &datadir),
            relay: RelayFiles::new(facts, &datadir),
            excluded: Excluded::new(facts, &datadir),
            gcache: gcache_directory(facts, &datadir),
            wsrep_home: wsrep_home.filter(|home| home != datadir.path()),
            externals,
            system_tablespaces,
            version: facts.get("version").map(ToOwned::to_owned),
            page_size: facts.get("innodb_page_size").and_then(page_size),
            datadir: datadir.path().to_path_buf(),
        })
    }

    /// A path that a file of the server names, such as the text of an `.isl` file: below [`ServerLayout::datadir`] where
    /// it lies there, however it is spelt.
    pub fn entry(&self, path: impl AsRef<Path>) -> PathBuf {
        Datadir::at(&self.datadir).entry(path)
    }

    /// A data directory with nothing elsewhere, for tests.
    #[cfg(test)]
    pub(super) fn bare(datadir: impl Into<PathBuf>) -> Self {
        let datadir = datadir.into();
        Self {
            externals: Vec::new(),
            binlog: None,
            relay: RelayFiles::default(),
            excluded: Excluded::default(),
            gcache: datadir.clone(),
            wsrep_home: None,
            system_tablespaces: Vec::new(),
            version: None,
            page_size: None,
            datadir,
        }
    }

    /// The directories outside the data directory, by variable, for the log.
    pub fn external_roots(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.externals.iter().map(|external| (external.variable, external.root.as_path()))
    }
}

/// `16384` from a running server, `16K` from an option file.
fn page_size(text: &str) -> Option<u32> {
    match text.trim().to_ascii_lowercase().strip_suffix('k') {
        Some(kib) => kib.parse::<u32>().ok()?.checked_mul(1024),
        None => text.trim().parse().ok(),
    }
}

/// The files of `innodb_data_file_path` (`name:size[:autoextend[:max:size]]`, separated by `;`) in
/// `innodb_data_home_dir`. An empty home directory means that the names are paths of their own.
///
/// A raw device has `raw` or `newraw` behind its size, and is a device.
fn system_tablespaces(facts: &Facts, datadir: &Datadir) -> Result<Vec<PathBuf>, LayoutError> {
    let home = Path::new(facts.get_raw("innodb_data_home_dir").unwrap_or_default());
    facts
        .get("innodb_data_file_path")
        .unwrap_or("ibdata1:12M:autoextend")
        .split(';')
        .filter_map(|file| file.trim().split_once(':').or(Some((file.trim(), ""))))
        .filter(|(name, _)| !name.is_empty())
        .map(|(name, size)| {
            let path = datadir.entry(home.join(name));
            let is_device = |kind: fs::FileType| kind.is_block_device() || kind.is_char_device();
            if size.trim().ends_with("raw")
                || fs::metadata(&path).is_ok_and(|data| is_device(data.file_type()))
            {
                return Err(LayoutError::RawDevice(path));
            }
            Ok(path)
        })
        .collect()
}

/// The name of an undo tablespace.
pub(super) fn is_undo(name: &str) -> bool {
    is_numbered_undo(name) || Path::new(name).extension().is_some_and(|extension| extension == "ibu")
}

/// Files in `root` whose name fits, sorted. A directory that cannot be read has none: the walk will say so.
fn matching_files(root: &Path, fits: fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(root) else { return Vec::new() };
    let mut files: Vec<PathBuf> = listing
        .flatten()
        .filter(|entry| entry.file_name().to_str().is_some_and(fits))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

fn add_external(
    externals: &mut Vec<External>,
    datadir: &Datadir,
    variable: &'static str,
    root: &Path,
    files: Vec<PathBuf>,
) {
    if datadir.holds(root) {
        return;
    }
    match externals.iter_mut().find(|external| external.variable == variable && external.root == root) {
        Some(external) => external.files.extend(files),
        None => externals.push(External { variable, root: root.to_path_buf(), files }),
    }
}

fn binlog_files(facts: &Facts, datadir: &Datadir) -> Option<BinlogFiles> {
    let base = datadir.entry(facts.get("log_bin_basename")?);
    // An option file may name the base with an extension, which mysqld drops: all from the first dot on.
    let base = match base.file_name().and_then(|name| name.as_bytes().split(|byte| *byte == b'.').next()) {
        Some(stem) if !stem.is_empty() => base.with_file_name(OsStr::from_bytes(stem)),
        _ => base,
    };
    let index =
        facts.get("log_bin_index").map_or_else(|| with_suffix(&base, ".index"), |name| datadir.entry(name));
    let index = if index.extension().is_some() { index } else { with_suffix(&index, ".index") };
    Some(BinlogFiles { base, index })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    text.into()
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
