//! What is told of a restore into a data directory that is there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::compare::{Fates, LocalFate, is_wanted_file};
use super::extras::{Extra, Extras};
use super::read_pieces::{ReadPiece, pieces, plan};
use super::server_files::ServerFiles;
use crate::archive::Index;
use crate::capture::is_replication_state;
use crate::model::Member;
use crate::restore::destinations::Destinations;

/// What a restore into a data directory that is there does, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeltaReport {
    /// Files of the backup that are there already, byte for byte, and how many bytes they have.
    pub kept: (u64, u64),
    /// Files of which parts are replaced; bytes of these parts, of which those that differ are written.
    pub changed: (u64, u64),
    /// Files that are written as a whole; their bytes in the archive.
    pub anew: (u64, u64),
    /// Files, links and directories that the backup has not, and that go.
    pub removed: Vec<PathBuf>,
    /// What the backup has not and no server has made: it stays.
    pub left: Vec<PathBuf>,
    /// Bytes of the archive that are read.
    pub read_bytes: u64,
    /// Bytes of the tar stream that come out of them.
    pub stream_bytes: u64,
    /// Binary logs that are newer than the backup, and go or are replaced.
    pub newer_logs: Vec<PathBuf>,
    /// Those in a directory elsewhere, which stay, but without an index that names them.
    pub newer_logs_left: Vec<PathBuf>,
    /// Of what goes: binary logs, relay logs, and the files that say from whom and from where the server replicates.
    pub replication: Vec<PathBuf>,
    /// How many write sets the files are ahead of the backup, where `grastate.dat` tells.
    pub ahead: Option<u64>,
}

/// An index can be edited, so that its sizes may say anything.
fn add(changed: &mut BTreeMap<u64, u64>, member: &Member, bytes: u64) {
    let sum = changed.entry(member.header_offset).or_default();
    *sum = sum.saturating_add(bytes);
}

pub(super) fn report(
    index: &Index,
    places: &Destinations,
    fates: &Fates,
    extras: &Extras,
    names: &ServerFiles,
) -> DeltaReport {
    let pieces = pieces(index, places, fates);
    let plan = plan(index, &pieces);
    let mut report =
        DeltaReport { read_bytes: plan.bytes(), stream_bytes: plan.raw_bytes(), ..DeltaReport::default() };
    let mut changed: BTreeMap<u64, u64> = BTreeMap::new();
    for piece in &pieces {
        match piece {
            ReadPiece::Anew(member) => {
                report.anew.0 += 1;
                report.anew.1 = report.anew.1.saturating_add(index.stored(member).stored);
            }
            ReadPiece::Part(member, part) => {
                add(&mut changed, member, part.to - part.from);
            }
            ReadPiece::Pages(member, pages) => {
                if let Some(LocalFate::Stays { .. }) = fates.get(&member.header_offset) {
                    add(&mut changed, member, pages.size);
                }
            }
        }
    }
    for member in index.members.iter().filter(|member| is_wanted_file(places, member)) {
        let Some(LocalFate::Stays { look, .. }) = fates.get(&member.header_offset) else { continue };
        if look.size != member.size {
            // One that is longer here is cut, also where all that the backup has of it is the same.
            changed.entry(member.header_offset).or_default();
        } else if !changed.contains_key(&member.header_offset) {
            report.kept.0 += 1;
            report.kept.1 = report.kept.1.saturating_add(member.size);
        }
    }
    report.changed =
        (changed.len() as u64, changed.values().fold(0, |sum, bytes| sum.saturating_add(*bytes)));
    report.removed = extras.gone.iter().flat_map(Extra::paths).cloned().collect();
    let is_replication = |path: &&PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        path.parent() == Some(places.target()) && (names.is_log(&name) || is_replication_state(&name))
    };
    report.replication = report.removed.iter().filter(is_replication).cloned().collect();
    report.left.clone_from(&extras.left);
    report
}
