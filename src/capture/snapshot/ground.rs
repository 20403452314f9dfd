//! Where the server's files can be cloned: tried in each mount of its file systems before the freeze.
//!
//! A clone is made in the mount of its file, where anything can be made there, since an older kernel clones only within one ([`Mount`]); else in another mount of that file system. What is tried is a block, and then a file of the
//! server's own from that mount: the smallest that has a block, since a server that writes to a file waits while that is cloned.

use std::collections::BTreeMap;
use std::fs::{self, File};
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
use super::mount::Mount;
use super::reflink::ClonePlace;
use super::room;
use crate::regular_file;
use crate::ui::bytes;

/// Directories of a mount in which a nameless file is tried.
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

/// The mounts of the server's files.
#[derive(Debug, Default)]
pub(super) struct Ground {
    parts: BTreeMap<Mount, MountPart>,
}

/// The server's files in one mount.
#[derive(Debug, Default)]
struct MountPart {
    /// Where files can be cloned.
    place: Option<ClonePlace>,
    /// Why they cannot be, and where that was seen.
    refused: Option<(PathBuf, String)>,
    /// Some of the directories in which they are.
    directories: Vec<PathBuf>,
    /// One that is cloned on trial; before it whether it is smaller than a block, and its bytes.
    sample: Option<(bool, u64, PathBuf)>,
    /// Of the files there.
    bytes: u64,
}

impl MountPart {
    fn add_directory(&mut self, directory: &Path) {
        if self.directories.len() < TRIES && !self.directories.iter().any(|known| known == directory) {
            self.directories.push(directory.to_path_buf());
        }
    }

    fn add_file(&mut self, path: &Path, metadata: &fs::Metadata) {
        self.bytes += metadata.len().min(metadata.blocks().saturating_mul(512));
        let rank = (metadata.len() < metadata.blksize(), metadata.len());
        if self.sample.as_ref().is_none_or(|(is_small, bytes, _)| rank < (*is_small, *bytes)) {
            self.sample = Some((rank.0, rank.1, path.to_path_buf()));
        }
        if let Some(parent) = path.parent() {
            self.add_directory(parent);
        }
    }

    fn try_at(&mut self, directory: &Path) {
        if self.place.is_some() {
            return;
        }
        let tried = ClonePlace::try_at(directory).and_then(|place| {
            let sample = self.sample.as_ref().map(|(_, _, path)| path);
            sample.map_or(Ok(()), |path| place.try_clone_of(path)).map(|()| place)
        });
        match tried {
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
        let mount = |path: &Path, metadata: &fs::Metadata| Mount::at(path, metadata.dev()).ok();
        if let Ok(metadata) = fs::metadata(datadir)
            && let Some(mount) = mount(datadir, &metadata)
        {
            ground.parts.entry(mount).or_default().add_directory(datadir);
        }
        for entry in &list.entries {
            let disk = entry.belongs(datadir);
            if !matches!(entry.kind, EntryKind::File(_)) {
                continue;
            }
            let Ok(metadata) = fs::symlink_metadata(&disk) else { continue };
            if let Some(mount) = mount(&disk, &metadata) {
                ground.parts.entry(mount).or_default().add_file(&disk, &metadata);
            }
        }
        let directories: Vec<(Mount, Vec<PathBuf>)> =
            ground.parts.iter().map(|(mount, part)| (*mount, part.directories.clone())).collect();
        for (mount, part) in &mut ground.parts {
            let own = directories.iter().filter(|(other, _)| other == mount);
            let others =
                directories.iter().filter(|(other, _)| other != mount && other.device == mount.device);
            own.chain(others).flat_map(|(_, paths)| paths).for_each(|path| part.try_at(path));
        }
        ground
    }

    /// Where an open file on this device can be cloned.
    pub(super) fn place(&self, file: &File, device: u64) -> Option<&ClonePlace> {
        let mut parts =
            self.parts.range(Mount::first_on(device)..).take_while(|(mount, _)| mount.device == device);
        let (first, second) = (parts.next()?, parts.next());
        // As a rule there is one, and nothing is to be asked while the server stands still.
        let part = if second.is_none() { first.1 } else { self.parts.get(&Mount::of(file, device))? };
        part.place.as_ref()
    }

    /// All of them.
    pub(super) fn places(&self) -> impl Iterator<Item = &ClonePlace> {
        self.parts.values().filter_map(|part| part.place.as_ref())
    }

    /// Bytes of the files on a device.
    fn bytes_on(&self, device: u64) -> u64 {
        self.parts.iter().filter(|(mount, _)| mount.device == device).map(|(_, part)| part.bytes).sum()
    }

    /// Why files are not to be cloned here. `rest_limit` bytes may lie where nothing can be cloned.
    pub(super) fn objection(&self, rest_limit: u64) -> Option<String> {
        let unable = || self.parts.values().filter(|part| part.place.is_none());
        let rest: u64 = unable().map(|part| part.bytes).sum();
        if rest > rest_limit || self.places().next().is_none() {
            let (path, why) = unable().max_by_key(|part| part.bytes)?.refused.as_ref()?;
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
        self.parts.iter().find_map(|(mount, part)| {
            let place = part.place.as_ref()?;
            let (free, needed) = (free_space(&place.path)?, room::needed(self.bytes_on(mount.device)));
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
