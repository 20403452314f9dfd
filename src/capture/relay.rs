//! The state of a server that replicates from others: its relay logs, and the files that say from whom and from where.
//!
//! None of it is part of a backup. Half of it is worse than nothing: a server that finds `multi-master.info` and relay
//! logs, but not the positions, may apply those logs from their beginning (seen with 10.5: rows doubled in the whole
//! cluster). What is needed to set a connection up again is told by the manifest.
//!
//! Names are made by `sql/rpl_rli.cc` (`Relay_log_info::init`), `sql/rpl_mi.cc` (`create_logfile_name_with_suffix`,
//! `Master_info_index`) and `sql/log.cc` (`generate_name`): `<base>.<number>` and `<base>.index` for the connection without a
//! name, `<base>-<connection>.…` for the others. The base is `relay_log`; without that it is made of the name of the pid
//! file, or of the host's, as they were when the files were made. So every name of that kind is known as well.

use std::fs;
use std::path::{Path, PathBuf};

use super::class::is_log_number;
use super::facts::Facts;
use super::resolve::{Datadir, is_same_directory, is_same_entry};
use crate::regular_file;

/// Ends the default base name.
const DEFAULT_BASE: &str = "-relay-bin";
/// `master_info_file` and `relay_log_info_file` where they are not set.
pub(super) const MASTER_INFO: &str = "master.info";
pub(super) const RELAY_INFO: &str = "relay-log.info";
/// An index that is larger is none.
const LARGEST: u64 = 16 << 20;

/// Names of relay logs and of the files beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RelayFiles {
    /// Base names of relay logs, with their directories.
    pub(super) bases: Vec<PathBuf>,
    /// Files that have one for each connection: `<name>-<connection>.<extension>` beside `<name>.<extension>`.
    pub(super) families: Vec<PathBuf>,
    /// Logs that an index names.
    listed: Vec<PathBuf>,
}

impl RelayFiles {
    /// From the variables, from the names of the relay logs that the server has told, and from the indexes.
    pub(super) fn new(facts: &Facts, datadir: &Datadir) -> Self {
        let mut bases: Vec<PathBuf> =
            facts.get("relay_log_basename").map(|base| stem(&datadir.entry(base))).into_iter().collect();
        let folder = bases.first().and_then(|base| base.parent()).unwrap_or(datadir.path()).to_path_buf();
        bases.extend(facts.relay_logs.iter().map(|log| stem(&folder.join(log))));
        let info = |name, default| datadir.entry(facts.get(name).unwrap_or(default));
        let mut families =
            vec![info("master_info_file", MASTER_INFO), info("relay_log_info_file", RELAY_INFO)];
        families.extend(facts.get("relay_log_index").map(|index| with_index(&datadir.entry(index))));
        let mut files = Self { bases, families, listed: Vec::new() };
        files.listed = files.indexes(datadir).iter().flat_map(|index| logs_in(index, datadir)).collect();
        files
    }

    /// Index files that are there.
    fn indexes(&self, datadir: &Datadir) -> Vec<PathBuf> {
        let mut folders: Vec<&Path> =
            self.bases.iter().chain(&self.families).filter_map(|path| path.parent()).collect();
        folders.push(datadir.path());
        folders.sort();
        folders.dedup();
        let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        let is_index = |path: &PathBuf| {
            path.extension().is_some_and(|extension| extension == "index")
                && self.has(path, path.parent() == Some(datadir.path()))
        };
        paths.filter(is_index).collect()
    }

    /// Whether this file belongs to them; `is_top` for one that lies in the data directory itself.
    pub(super) fn has(&self, path: &Path, is_top: bool) -> bool {
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let beside = |other: &Path| match (other.parent(), path.parent()) {
            (Some(one), Some(other)) => is_same_directory(one, other),
            _ => false,
        };
        let name_of = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        is_top && is_replication_state(&name)
            || self
                .bases
                .iter()
                .any(|base| name_of(base).is_some_and(|base| of_base(&base, &name)) && beside(base))
            || self
                .families
                .iter()
                .any(|file| name_of(file).is_some_and(|file| of_family(&file, &name)) && beside(file))
            || self.listed.iter().any(|log| is_same_entry(log, path))
    }
}

/// Whether a file at the top of a data directory is part of this by MariaDB's default names.
pub fn is_replication_state(name: &str) -> bool {
    let mut places = name.match_indices(DEFAULT_BASE).map(|(at, found)| at + found.len());
    [MASTER_INFO, RELAY_INFO].iter().any(|file| of_family(file, name))
        || places.any(|end| end > DEFAULT_BASE.len() && is_tail(&name[end..]))
}

/// `<file>`, `multi-<file>`, or `<file>` with a connection's name before its extension.
fn of_family(file: &str, name: &str) -> bool {
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, ""));
    let of_connection = || {
        let middle = name.strip_prefix(stem)?.strip_prefix('-')?;
        middle.strip_suffix(extension)?.strip_suffix('.').or_else(|| extension.is_empty().then_some(middle))
    };
    name == file || name.strip_prefix("multi-") == Some(file) || of_connection().is_some()
}

fn of_base(base: &str, name: &str) -> bool {
    name.strip_prefix(base).is_some_and(is_tail)
}

/// What follows a base name: `.000001`, `.000001.idx`, `.index`, or these behind `-<connection>`.
fn is_tail(rest: &str) -> bool {
    let Some((connection, end)) = rest.strip_suffix(".idx").unwrap_or(rest).rsplit_once('.') else {
        return false;
    };
    (connection.is_empty() || connection.starts_with('-')) && (end == "index" || is_log_number(end))
}

/// The base name of a log: MariaDB cuts it at its first dot.
fn stem(log: &Path) -> PathBuf {
    let name = log.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    log.with_file_name(name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or(&name))
}

fn with_index(path: &Path) -> PathBuf {
    if path.extension().is_some() { path.to_path_buf() } else { path.with_extension("index") }
}

/// The logs that an index names, one a line; relative ones count from the data directory.
fn logs_in(index: &Path, datadir: &Datadir) -> Vec<PathBuf> {
    let text = regular_file::read(index, LARGEST).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| datadir.entry(line)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn default_names_are_known_whatever_pid_file_or_host_they_were_made_of() {
        for name in [
            "master.info",
            "master-src1.info",
            "multi-master.info",
            "relay-log.info",
            "relay-log-src1.info",
            "db1-relay-bin.000001",
            "db1-relay-bin.000001.idx",
            "db1-relay-bin.index",
            "mysqld-relay-bin-src@0020one.000012",
            "mysqld-relay-bin-src1.index",
            "a-relay-bin-b-relay-bin-c.1000000",
        ] {
            assert!(is_replication_state(name), "{name}");
        }
        for name in [
            "master.information",
            "mastering.info",
            "info",
            "relay.info",
            "-relay-bin.000001",
            "db1-relay-bin",
            "db1-relay-binary.000001",
            "db1-relay-bin.frm",
            "relay-bin.000001",
            "mysql-bin.000001",
        ] {
            assert!(!is_replication_state(name), "{name}");
        }
    }

    #[test]
    fn names_that_options_and_indexes_give_are_known_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(folder.path()).unwrap();
        for directory in ["data/db", "relay", "old"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        let at = |name: &str| root.join(name).display().to_string();
        fs::write(at("relay/r-two.index"), format!("{}\n./renamed.000003\n", at("old/x.000001"))).unwrap();
        let pairs = [
            ("relay_log_basename", at("relay/r.ext")),
            ("relay_log_index", at("relay/i")),
            ("master_info_file", "state/m.txt".to_owned()),
        ];
        let pairs: HashMap<String, String> = pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let mut facts = Facts::from_variables(pairs);
        facts.relay_logs = vec!["odd-one.000004".into()];
        let files = RelayFiles::new(&facts, &Datadir::find(&root.join("data")).unwrap());
        for name in [
            "relay/r.000001",
            "relay/r-one.000001",
            "relay/i.index",
            "relay/i-two.index",
            "relay/odd-one.000005",
            "old/x.000001",
            "data/renamed.000003",
            "data/state/m.txt",
            "data/state/m-two.txt",
            "data/state/multi-m.txt",
            "data/relay-log-two.info",
        ] {
            assert!(files.has(&root.join(name), false), "{name}");
        }
        for name in
            ["data/db/r.000001", "data/r.000001", "old/x.000002", "data/db/master.info", "relay/rr.000001"]
        {
            assert!(!files.has(&root.join(name), false), "{name}");
        }
        assert!(files.has(&root.join("data/h-relay-bin.000001"), true));
    }
}
