//! Whether there is room for what is written beyond what is there.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::compare::{Fates, LocalFate, is_wanted_file};
use super::extras::{Extra, Extras};
use super::local_file::place_now;
use crate::archive::Index;
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::target;

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
    let needed: Vec<(PathBuf, u64)> = wanted
        .filter_map(|member| {
            let place = places.of(member)?;
            let there = match fates.get(&member.header_offset) {
                Some(LocalFate::Stays { look, .. }) => look.allocated,
                _ => {
                    place_now(places, &place).and_then(|place| freed_by(&place)).map_or(0, |(_, bytes)| bytes)
                }
            };
            Some((place, member.stored.saturating_sub(there))).filter(|(_, more)| *more > 0)
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

/// Device and bytes that become free where this entry goes: none of what is no file, or has another name besides.
fn freed_by(path: &Path) -> Option<(u64, u64)> {
    let is_last_name = |data: &Metadata| data.is_file() && data.nlink() == 1;
    let data = fs::symlink_metadata(path).ok().filter(is_last_name)?;
    Some((data.dev(), data.blocks().saturating_mul(512)))
}
