//! Binary logs that a node has written since the backup: what stands in them is nowhere else, where its cluster is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::server_files::{OF_INNODB, ServerFiles};
use crate::archive::Index;
use crate::capture::is_replication_state;
use crate::config::ServerOptions;
use crate::model::Manifest;
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::request::Purpose;
use crate::restore::start_file::start_mark;
use crate::ui::{move_away, shell_word};

/// Logs that hold what the backup has not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NewerLogs {
    /// In the data directory, or under a name of the backup: they go, or are replaced.
    pub(super) lost: Vec<PathBuf>,
    /// In a directory elsewhere, where nothing goes: they stay, but the index that is restored does not name them.
    pub(super) left: Vec<PathBuf>,
    /// What is to be moved away with those that are lost, by directory, in words of the shell.
    away: BTreeMap<PathBuf, BTreeSet<String>>,
}

impl NewerLogs {
    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &PathBuf> {
        self.lost.iter().chain(&self.left)
    }
}

/// The binary logs in the data directory, and where the backup puts its own, that hold what the backup has not: of a higher number, or written
/// to after the backup was taken. One that InnoDB keeps has all its room from the beginning, so that its size tells nothing of it; where a
/// restore goes on that was interrupted it may have written into such a file itself, and the first one has looked at it.
pub(super) fn find(
    index: &Index,
    places: &Destinations,
    manifest: &Manifest,
    options: Option<&ServerOptions>,
) -> NewerLogs {
    let ours: BTreeMap<PathBuf, u64> =
        index.members.iter().filter_map(|member| Some((places.of(member)?, member.size))).collect();
    let is_log = |variable: &str| variable == "log_bin";
    let is_resumed = places.start_file().is_some_and(|start| start_mark(start).is_some());
    let elsewhere = places.external().filter(|(variable, ..)| is_log(variable)).map(|(.., place)| place);
    let folders: BTreeSet<&Path> = elsewhere.chain([places.target()]).collect();
    let mut newer = NewerLogs::default();
    for folder in folders {
        let names = ServerFiles::of(places, folder, options);
        let number_of = |path: &Path| {
            let name = path.file_name()?.to_str()?;
            names.log_number(name).map(|(base, number)| (base.to_owned(), number))
        };
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for (base, number) in
            ours.keys().filter(|path| path.parent() == Some(folder)).filter_map(|path| number_of(path))
        {
            let most = last.entry(base).or_default();
            *most = number.max(*most);
        }
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()).filter(|path| !is_relay_log(path, options)) {
            let (Some((base, number)), Ok(data)) = (number_of(&path), path.symlink_metadata()) else {
                continue;
            };
            let is_later = data.mtime() > manifest.frozen_at.as_second();
            let is_more =
                ours.get(&path).is_none_or(|size| data.len() > *size || base == OF_INNODB && !is_resumed);
            let is_behind = last.get(&base).is_some_and(|last| number > *last);
            if !(is_behind || is_later && is_more) {
                continue;
            }
            if folder == places.target() || ours.contains_key(&path) {
                newer.away.entry(folder.to_path_buf()).or_default().extend(words(folder, &names, &base));
                newer.lost.push(path);
            } else {
                newer.left.push(path);
            }
        }
    }
    newer.lost.sort();
    newer.left.sort();
    newer
}

/// Whether it is a relay log by its name, or by the base name that the options give to such logs. Another name that only begins so may be that of
/// binary logs (`relay_log = n2`, `log_bin = n2-bin`).
fn is_relay_log(path: &Path, options: Option<&ServerOptions>) -> bool {
    let base =
        options.and_then(|options| options.get("relay_log")).and_then(|base| Path::new(base).file_stem());
    let is_named = base.is_some() && path.file_stem() == base;
    is_named || is_replication_state(&path.file_name().unwrap_or_default().to_string_lossy())
}

/// All logs of a base name, and what stands beside them: an index without its logs keeps a server from starting ("Can't init tc log").
fn words(folder: &Path, names: &ServerFiles, base: &str) -> BTreeSet<String> {
    let start = if base == OF_INNODB { base.to_owned() } else { format!("{base}.") };
    let logs = format!("{}[0-9]*", shell_word(&folder.join(start)));
    let beside = names.beside(base).map(|name| folder.join(name));
    let beside = beside.filter(|path| path.symlink_metadata().is_ok()).map(|path| shell_word(&path));
    beside.chain([logs]).collect()
}

/// Refuses them where no cluster has what stands in them.
pub(super) fn refuse(newer: &NewerLogs, purpose: Purpose) -> Result<(), RestoreError> {
    if newer.lost.is_empty() || purpose == Purpose::Node {
        return Ok(());
    }
    let names: Vec<String> = newer.lost.iter().map(|log| shell_word(log)).collect();
    let moving = newer.away.iter().map(|(folder, words)| move_away(folder, "binlogs", words));
    Err(RestoreError::Refused(format!(
        "binary logs that are newer than the backup would be lost, and what stands in them may be nowhere else: {}. Move them away and restore \
         again:  {}",
        names.join(" "),
        moving.collect::<Vec<_>>().join(" && ")
    )))
}
