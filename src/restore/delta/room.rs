//! Whether there is room for what is written beyond what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nix::fcntl::AtFlags;
use nix::sys::stat::{SFlag, fstatat};

use super::compare::{Fates, LocalFate, is_wanted_file};
use super::extras::{Extra, Extras};
use super::local_file::place_now;
use crate::archive::Index;
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::{no_follow, target};

/// What there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeltaRoom {
    /// Whether what the backup has not must go before anything is written, since its room is needed.
    pub(super) needs_extras: bool,
    /// Bytes that stay free in the data directory whatever is written.
    pub(super) spare: u64,
}

/// Refuses where there is not enough.
pub(super) fn check(
    index: &Index,
    places: &Destinations,
    fates: &Fates,
    extras: &Extras,
) -> Result<DeltaRoom, RestoreError> {
    let wanted = index.members.iter().filter(|member| is_wanted_file(places, member));
    let mut landings = Landings::default();
    let needed: Vec<(PathBuf, u64)> = wanted
        .filter_map(|member| {
            let place = places.of(member)?;
            let there = match fates.get(&member.header_offset) {
                Some(LocalFate::Stays { look, .. }) => look.allocated,
                _ => {
                    place_now(places, &place).and_then(|place| freed_by(&place)).map_or(0, |(_, bytes)| bytes)
                }
            };
            let more = member.room().saturating_sub(there);
            (more > 0).then(|| (landings.of(&place), more))
        })
        .collect();
    if target::check_free(needed.iter().cloned()).is_ok() {
        let all = needed.iter().map(|(_, more)| more).sum();
        let spare = target::free_bytes(places.target())?.saturating_sub(all);
        return Ok(DeltaRoom { needs_extras: false, spare });
    }
    let mut freed: BTreeMap<u64, u64> = BTreeMap::new();
    for (device, bytes) in extras.gone.iter().flat_map(Extra::paths).filter_map(|path| freed_by(path)) {
        *freed.entry(device).or_default() += bytes;
    }
    target::check_free_with(needed.into_iter(), &freed)?;
    Ok(DeltaRoom { needs_extras: true, spare: 0 })
}

/// Where files will be that are written below directories which are there, by directory. A link on the way is replaced by a directory:
/// what it leads to has no part in it.
#[derive(Default)]
struct Landings(BTreeMap<PathBuf, PathBuf>);

impl Landings {
    /// A path on the file system on which the file will be.
    fn of(&mut self, place: &Path) -> PathBuf {
        let folder = place.parent().unwrap_or(Path::new("/"));
        let name = place.file_name().unwrap_or_default();
        if let Some(landing) = self.0.get(folder) {
            return landing.join(name);
        }
        let is_there = |above: &&Path| no_follow::directory(above).is_ok();
        let landing = folder.ancestors().find(is_there).unwrap_or(folder).to_path_buf();
        let there = landing.join(name);
        self.0.insert(folder.to_path_buf(), landing);
        there
    }
}

/// Device and bytes that become free where this entry goes: none of what is no file, has another name besides, or is behind a link.
fn freed_by(path: &Path) -> Option<(u64, u64)> {
    let (folder, name) = no_follow::parent(path).ok()?;
    let data = fstatat(&folder, name, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
    let is_file = SFlag::from_bits_truncate(data.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
    let blocks = u64::try_from(data.st_blocks).ok().filter(|_| is_file && data.st_nlink == 1)?;
    Some((data.st_dev, blocks.saturating_mul(512)))
}
