//! Makes a data directory of an archive that stock `tar` has unpacked, by its index alone: a second opinion on what the program's own readers do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::scripted_mysqld::Backup;

fn path_of(value: &Value) -> PathBuf {
    let text = value.as_str().unwrap();
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned().into()
}

/// Carries out what the index says.
pub(super) fn apply(backup: &Backup, folder: &Path) {
    let lines = backup.index();
    let members: Vec<&Value> =
        lines.iter().map(|line| &line["member"]).filter(|member| member.is_object()).collect();
    let last: BTreeMap<PathBuf, u64> = members
        .iter()
        .map(|member| (path_of(&member["path"]), member["header_offset"].as_u64().unwrap()))
        .collect();
    // Where the early members are that still count.
    let mut early: BTreeMap<u64, PathBuf> = members
        .iter()
        .filter(|member| member["early"] == true)
        .map(|member| (member["header_offset"].as_u64().unwrap(), path_of(&member["path"])))
        .filter(|(offset, path)| last[path] == *offset)
        .collect();
    let changes: Vec<&Value> =
        lines.iter().map(|line| &line["change"]).filter(|change| change.is_object()).collect();
    for removed in changes.iter().filter_map(|change| change["removed"].as_u64()) {
        if let Some(path) = early.remove(&removed) {
            fs::remove_file(folder.join(path)).unwrap();
        }
    }
    let moved: Vec<(u64, PathBuf)> = changes
        .iter()
        .filter(|change| change["moved"].is_object())
        .map(|change| (change["moved"]["member"].as_u64().unwrap(), path_of(&change["moved"]["to"])))
        .collect();
    let aside = |offset: u64| folder.join(format!(".wsrep_sst_backup/moving.{offset}"));
    for (offset, _) in &moved {
        fs::rename(folder.join(&early[offset]), aside(*offset)).unwrap();
    }
    for (offset, to) in moved {
        assert!(!folder.join(&to).exists(), "{} is there", to.display());
        fs::rename(aside(offset), folder.join(&to)).unwrap();
        early.insert(offset, to);
    }
    for change in changes.iter().filter(|change| change["resized"].is_object()) {
        let path = folder.join(&early[&change["resized"]["member"].as_u64().unwrap()]);
        File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_len(change["resized"]["size"].as_u64().unwrap())
            .unwrap();
    }
    for member in members.iter().filter(|member| member["kind"] == "pages") {
        let content = fs::read(folder.join(path_of(&member["path"]))).unwrap();
        let file = File::options()
            .write(true)
            .open(folder.join(&early[&member["pages"]["of"].as_u64().unwrap()]))
            .unwrap();
        let mut taken = 0;
        for run in member["pages"]["runs"].as_array().unwrap() {
            let (offset, length) =
                (run[0].as_u64().unwrap(), usize::try_from(run[1].as_u64().unwrap()).unwrap());
            file.write_all_at(&content[taken..taken + length], offset).unwrap();
            taken += length;
        }
        assert_eq!(taken, content.len());
    }
    for member in members.iter().filter(|member| member["place"].is_string()) {
        let (path, place) = (path_of(&member["path"]), path_of(&member["place"]));
        if last[&path] == member["header_offset"].as_u64().unwrap() {
            fs::rename(folder.join(path), folder.join(place)).unwrap();
        }
    }
}
