//! Where the server's files can be cloned: tried on each of its file systems before the freeze.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fiemap::Fiemap;

use super::super::entry::EntryKind;
use super::super::files::FileList;
use super::super::method::PER_FILE;
use super::super::objection::shown;
use super::super::room::free_space;
use super::super::watch::Watch;
use super::reflink::ClonePlace;
use super::room;
use crate::regular_file;
use crate::ui::bytes;

/// Directories of a file system in which a nameless file is tried.
const TRIES: usize = 16;
/// What may lie where nothing can be cloned, bytes: it is read while the server stands still, in about a second.
pub(super) const REST_LIMIT: u64 = 64 << 20;
/// What a clone takes for each extent of a file; seen on XFS and btrfs, rounded up.
const PER_EXTENT: Duration = Duration::from_micros(7);
/// Smaller files have few extents.
const LOOKED_AT: u64 = 1 << 20;
/// Linux writes out what is older than 30 s, and looks every 5 s.
const OF_LATE: Duration = Duration::from_secs(60);
/// How long files are written out.
const SETTLING: Duration = Duration::from_secs(10);
/// How long extents are counted.
const COUNTING: Duration = Duration::from_secs(5);

/// The file systems of the server's files.
#[derive(Debug, Default)]
pub(super) struct Ground {
    /// By their devices.
    systems: BTreeMap<u64, FileSystem>,
}

#[derive(Debug, Default)]
struct FileSystem {
    /// Where files can be cloned.
    place: Option<ClonePlace>,
    /// Why they cannot be, and where that was seen.
    refused: Option<(PathBuf, String)>,
    tried: BTreeSet<PathBuf>,
    /// Of the files there.
    bytes: u64,
}

impl FileSystem {
    fn try_at(&mut self, directory: &Path) {
        if self.place.is_some() || self.tried.len() >= TRIES || !self.tried.insert(directory.to_path_buf()) {
            return;
        }
        match ClonePlace::try_at(directory) {
            Ok(place) => self.place = Some(place),
            Err(error) => {
                self.refused.get_or_insert((directory.to_path_buf(), error.to_string()));
            }
        }
    }
}

impl Ground {
    /// Of the files of this list.
    pub(super) fn find(list: &FileList, datadir: &Path) -> Self {
        let mut ground = Self::default();
        if let Ok(metadata) = fs::metadata(datadir) {
            ground.systems.entry(metadata.dev()).or_default().try_at(datadir);
        }
        for entry in &list.entries {
            let disk = entry.belongs(datadir);
            if !matches!(entry.kind, EntryKind::File(_)) {
                continue;
            }
            let Ok(metadata) = fs::symlink_metadata(&disk) else { continue };
            let system = ground.systems.entry(metadata.dev()).or_default();
            system.bytes += metadata.len().min(metadata.blocks().saturating_mul(512));
            if let Some(parent) = disk.parent().filter(|_| system.place.is_none()) {
                system.try_at(parent);
            }
        }
        ground
    }

    /// Where a file of this device can be cloned.
    pub(super) fn place(&self, device: u64) -> Option<&ClonePlace> {
        self.systems.get(&device)?.place.as_ref()
    }

    /// All of them.
    pub(super) fn places(&self) -> impl Iterator<Item = &ClonePlace> {
        self.systems.values().filter_map(|system| system.place.as_ref())
    }

    /// Why files are not to be cloned here. `rest_limit` bytes may lie where nothing can be cloned.
    pub(super) fn objection(&self, rest_limit: u64) -> Option<String> {
        let unable = || self.systems.values().filter(|system| system.place.is_none());
        let rest: u64 = unable().map(|system| system.bytes).sum();
        if rest > rest_limit || self.places().next().is_none() {
            let (path, why) = unable().max_by_key(|system| system.bytes)?.refused.as_ref()?;
            let at_most = if self.places().next().is_none() {
                String::new()
            } else {
                format!(
                    ", and {} lie where they cannot be: at most {} are read while the server stands still",
                    bytes(rest),
                    bytes(rest_limit)
                )
            };
            return Some(format!("files in '{}' cannot be cloned ({why}){at_most}", shown(path)));
        }
        self.systems.values().find_map(|system| {
            let place = system.place.as_ref()?;
            let (free, needed) = (free_space(&place.path)?, room::needed(system.bytes));
            (free < needed).then(|| {
                format!(
                    "the file system of '{}' has {} free: what the server changes takes room there while clones live, and {} are \
                     wanted for it",
                    shown(&place.path),
                    bytes(free),
                    bytes(needed)
                )
            })
        })
    }

    /// About how long cloning these files takes: by their number and their extents.
    pub(super) fn time(list: &FileList, datadir: &Path) -> Duration {
        let begun = Instant::now();
        let mut time = Duration::ZERO;
        for entry in &list.entries {
            let EntryKind::File(look) = &entry.kind else { continue };
            time += PER_FILE;
            if look.bytes < LOOKED_AT || begun.elapsed() >= COUNTING {
                continue;
            }
            if let Ok(file) = regular_file::open(&entry.belongs(datadir)) {
                let known =
                    Fiemap::new(&file).take_while(|extent| extent.is_ok() && begun.elapsed() < COUNTING);
                time += PER_EXTENT * u32::try_from(known.count()).unwrap_or(u32::MAX);
            }
        }
        time
    }
}

/// Writes out what the server has written to these files of late and is in memory only: a clone would wait for that under the freeze. Only
/// these files, one after the other, and not the whole file system: that may take long, and holds up the server's own syncs meanwhile.
/// What is older the kernel has written out already.
pub(super) fn settle(list: &FileList, datadir: &Path, watch: &Watch) {
    let begun = Instant::now();
    let is_of_late = |metadata: &fs::Metadata| {
        let age = metadata.modified().ok().map(|at| at.elapsed().unwrap_or_default());
        age.is_none_or(|age| age < OF_LATE)
    };
    let files = list.entries.iter().filter(|entry| matches!(entry.kind, EntryKind::File(_)));
    for entry in files {
        if begun.elapsed() >= SETTLING || watch.aborted().is_some() {
            return;
        }
        let disk = entry.belongs(datadir);
        if fs::symlink_metadata(&disk).is_ok_and(|metadata| is_of_late(&metadata))
            && let Ok(file) = regular_file::open(&disk)
        {
            // It works or the clone takes longer.
            let _ = file.sync_data();
        }
    }
}
