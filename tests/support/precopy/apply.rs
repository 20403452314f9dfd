//! Makes a data directory of an archive that stock `tar` has unpacked, by its index alone: a second opinion on what the program's own readers do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::scripted_mysqld::Backup;

fn path_of(value: &Value) -> PathBuf {
    let text = value.as_str().unwrap();
    percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned().into()
}

/// Offset and length in a file.
pub(super) type Run = (u64, u64);

/// The folder, and what the index says of it.
pub(super) struct Unpacked<'a> {
    folder: &'a Path,
    members: Vec<Value>,
    changes: Vec<Value>,
    /// Where each early member is that still counts, by its offset in the archive.
    early: BTreeMap<u64, PathBuf>,
}

impl<'a> Unpacked<'a> {
    pub(super) fn new(backup: &Backup, folder: &'a Path) -> Self {
        let lines = backup.index();
        let of_kind = |kind: &str| -> Vec<Value> {
            lines.iter().map(|line| line[kind].clone()).filter(Value::is_object).collect()
        };
        let (members, changes) = (of_kind("member"), of_kind("change"));
        let mut unpacked = Self { folder, members, changes, early: BTreeMap::new() };
        let is_early = |member: &&Value| member["early"] == true && unpacked.counts(member);
        unpacked.early = unpacked
            .members
            .iter()
            .filter(is_early)
            .map(|member| (offset_of(member), path_of(&member["path"])))
            .collect();
        unpacked
    }

    /// Whether no later member has its path.
    fn counts(&self, member: &Value) -> bool {
        let last = self.members.iter().rev().find(|other| other["path"] == member["path"]).unwrap();
        offset_of(last) == offset_of(member)
    }

    /// Early files that are gone go, those that have moved move, and all of them get their length.
    pub(super) fn settle(&mut self) {
        let removed: Vec<u64> = self.changes.iter().filter_map(|change| change["removed"].as_u64()).collect();
        for path in removed.iter().filter_map(|offset| self.early.remove(offset)) {
            fs::remove_file(self.folder.join(path)).unwrap();
        }
        let moved: Vec<(u64, PathBuf)> = self
            .changes
            .iter()
            .map(|change| &change["moved"])
            .filter(|moved| moved.is_object())
            .map(|moved| (moved["member"].as_u64().unwrap(), path_of(&moved["to"])))
            .collect();
        let aside = |offset: u64| self.folder.join(format!(".wsrep_sst_backup/moving.{offset}"));
        for (offset, _) in &moved {
            fs::rename(self.folder.join(&self.early[offset]), aside(*offset)).unwrap();
        }
        for (offset, to) in &moved {
            assert!(!self.folder.join(to).exists(), "{} is there", to.display());
            fs::rename(aside(*offset), self.folder.join(to)).unwrap();
        }
        self.early.extend(moved);
        for resized in self.changes.iter().map(|change| &change["resized"]).filter(|one| one.is_object()) {
            let path = self.folder.join(&self.early[&resized["member"].as_u64().unwrap()]);
            let file = File::options().write(true).open(path).unwrap();
            file.set_len(resized["size"].as_u64().unwrap()).unwrap();
        }
    }

    /// Puts pages over the early files, and everything in its place.
    pub(super) fn finish(&self) {
        for (member, runs) in self.pages() {
            // Those of a round may be of a file that was gone later.
            let Some(of) = self.early.get(&member["pages"]["of"].as_u64().unwrap()) else { continue };
            let content = fs::read(self.folder.join(path_of(&member["path"]))).unwrap();
            let file = File::options().write(true).open(self.folder.join(of)).unwrap();
            let mut taken = 0;
            for (offset, length) in runs {
                let length = usize::try_from(length).unwrap();
                file.write_all_at(&content[taken..taken + length], offset).unwrap();
                taken += length;
            }
            assert_eq!(taken, content.len());
        }
        for member in self.members.iter().filter(|member| member["place"].is_string()) {
            if self.counts(member) {
                let (path, place) = (path_of(&member["path"]), path_of(&member["place"]));
                fs::rename(self.folder.join(path), self.folder.join(place)).unwrap();
            }
        }
    }

    /// Members that are pages, with the runs that they replace.
    fn pages(&self) -> impl Iterator<Item = (&Value, Vec<Run>)> {
        let pages = self.members.iter().filter(|member| member["kind"] == "pages");
        pages.map(|member| {
            let runs = member["pages"]["runs"].as_array().unwrap().iter();
            (member, runs.map(|run| (run[0].as_u64().unwrap(), run[1].as_u64().unwrap())).collect())
        })
    }

    /// Each early file that is settled: where it lies, where it belongs, and the runs that replace its own.
    pub(super) fn early_files(&self) -> Vec<(PathBuf, PathBuf, Vec<Run>)> {
        let mut runs: BTreeMap<u64, Vec<Run>> = BTreeMap::new();
        for (member, more) in self.pages() {
            runs.entry(member["pages"]["of"].as_u64().unwrap()).or_default().extend(more);
        }
        let file = |(offset, path): (&u64, &PathBuf)| {
            let member = self.members.iter().find(|member| offset_of(member) == *offset).unwrap();
            let place = if member["place"].is_string() { path_of(&member["place"]) } else { path.clone() };
            (self.folder.join(path), place, runs.remove(offset).unwrap_or_default())
        };
        self.early.iter().map(file).collect()
    }
}

fn offset_of(member: &Value) -> u64 {
    member["header_offset"].as_u64().unwrap()
}
