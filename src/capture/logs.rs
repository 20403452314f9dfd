//! The binary logs among the files of a backup.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::binlog::{self, WantedLogs};
use super::class::FileClass;
use super::entry::EntryKind;
use super::error::CaptureError;
use super::objection::shown;
use super::outside_place::Place;
use super::rules::numbered;
use super::walk::Walk;
use crate::config::BinlogChoice;

impl Walk<'_> {
    /// The logs that are wanted, and an index that names no others.
    pub(super) fn binlogs(&mut self) -> Result<(), CaptureError> {
        let Some(files) = &self.layout.binlog else { return Ok(()) };
        let place = self.place_of("log_bin", &files.base);
        // The index may be kept elsewhere.
        let together = files.index.parent() == files.base.parent();
        let index_place = if together { place.clone() } else { self.place_of("log_bin_index", &files.index) };
        let fail = |cause| CaptureError::Read { path: files.index.clone(), cause };
        let WantedLogs { mut logs, index } = match self.options.binlogs {
            BinlogChoice::None => return Ok(()),
            BinlogChoice::Newest => {
                let found = binlog::newest(files, self.layout, self.options.is_crashed).map_err(fail)?;
                let Some(found) = found else { return Ok(()) };
                found
            }
            BinlogChoice::All => binlog::all(files, self.layout).map_err(fail)?,
        };
        if self.options.binlogs == BinlogChoice::All {
            // Those in the data directory were listed with everything else there, but for one that has come since.
            let beside = place.as_ref().map_or_else(Vec::new, |place| numbered_in(&place.root, &files.base));
            let entries = self.list.entries.iter();
            let listed: BTreeSet<PathBuf> = entries
                .map(|entry| entry.belongs(&self.layout.datadir))
                .filter(|path| numbered(&files.base, path))
                .collect();
            let all: BTreeSet<PathBuf> = logs.into_iter().chain(beside).collect();
            logs = all.difference(&listed).cloned().collect();
        }
        let second = index_place.as_ref().filter(|_| !together);
        for place in place.iter().chain(second) {
            self.add_root(place);
        }
        for log in logs {
            self.binlog(&log, place.as_ref())?;
        }
        self.push(&files.index, index_place.as_ref(), EntryKind::Generated(index.into()));
        Ok(())
    }

    fn binlog(&mut self, log: &Path, place: Option<&Place>) -> Result<(), CaptureError> {
        match fs::metadata(log) {
            Ok(metadata) => {
                if self.is_readable(log, FileClass::Data) {
                    self.push_file(log, place, &metadata, FileClass::Data);
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = format!(
                    "the binary log '{}', which its index names as the newest, is not there: 'RESET MASTER' begins anew, \
                     'binlogs=none' does without",
                    shown(log)
                );
                self.object(log, text);
                Ok(())
            }
            Err(cause) => Err(CaptureError::Read { path: log.to_path_buf(), cause }),
        }
    }

    /// Where the folder of a log is stored; none inside the data directory.
    fn place_of(&self, variable: &'static str, file: &Path) -> Option<Place> {
        let folder = file.parent().unwrap_or(Path::new("/"));
        (!folder.starts_with(&self.layout.datadir)).then(|| Place::new(variable, folder, false))
    }
}

fn numbered_in(directory: &Path, base: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(directory) else { return Vec::new() };
    let mut logs: Vec<PathBuf> =
        listing.flatten().map(|entry| entry.path()).filter(|path| numbered(base, path)).collect();
    logs.sort();
    logs
}
