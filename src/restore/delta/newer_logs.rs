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
use crate::ui::shell_word;

/// The binary logs in the data directory, and where the backup puts its own, that hold what the backup has not: of a higher number, or written
/// to after the backup was taken. One that InnoDB keeps has all its room from the beginning, so that its size tells nothing of it; where a
/// restore goes on that was interrupted it may have written into such a file itself, and the first one has looked at it.
pub(super) fn find(
    index: &Index,
    places: &Destinations,
    manifest: &Manifest,
    options: Option<&ServerOptions>,
) -> Vec<PathBuf> {
    let ours: BTreeMap<PathBuf, u64> =
        index.members.iter().filter_map(|member| Some((places.of(member)?, member.size))).collect();
    let is_log = |variable: &str| variable == "log_bin";
    let is_resumed = places.start_file().is_some_and(|start| start_mark(start).is_some());
    let elsewhere = places.external().filter(|(variable, ..)| is_log(variable)).map(|(.., place)| place);
    let folders: BTreeSet<&Path> = elsewhere.chain([places.target()]).collect();
    let mut newer = Vec::new();
    for folder in folders {
        let names = ServerFiles::look(folder, options, false);
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
            if is_behind || is_later && is_more {
                newer.push(path);
            }
        }
    }
    newer.sort();
    newer
}

fn is_relay_log(path: &Path, options: Option<&ServerOptions>) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let base =
        options.and_then(|options| options.get("relay_log")).and_then(|base| Path::new(base).file_name());
    let is_named = base.is_some_and(|base| name.starts_with(&*base.to_string_lossy()));
    is_named || is_replication_state(&name)
}

/// Refuses them where no cluster has what stands in them.
pub(super) fn refuse(newer: &[PathBuf], purpose: Purpose) -> Result<(), RestoreError> {
    let Some(folder) = newer.first().and_then(|log| log.parent()).filter(|_| purpose != Purpose::Node) else {
        return Ok(());
    };
    let names: Vec<String> = newer.iter().map(|log| shell_word(log)).collect();
    Err(RestoreError::Refused(format!(
        "binary logs that are newer than the backup would be lost, and what stands in them may be nowhere else: {names}. Move them away and restore \
         again:  mkdir {folder}.binlogs && mv {names} {folder}.binlogs/",
        names = names.join(" "),
        folder = shell_word(folder)
    )))
}
