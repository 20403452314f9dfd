//! Compares the files of a data directory with what a backup has, by digests alone; nothing is changed.
//!
//! Files that lie in one block of the archive, and those of indexes without digests of blocks, are compared as a whole. Of a larger one
//! each part that a block has is compared by itself, so that only the blocks that differ are read. A part in which page members of the
//! backup have bytes is never compared: the digest is that of what was stored before them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam_channel::{Sender, unbounded};
use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};
use sha2::{Digest, Sha256};

use super::local_file::{self, LocalLook};
use crate::archive::{DataPart, DataParts, Index, hex};
use crate::model::{DataHasher, Member, MemberKind};
use crate::restore::destinations::Destinations;
use crate::restore::error::RestoreError;
use crate::restore::no_follow;
use crate::restore::patch::HOLE;
use crate::restore::request::Control;

/// Bytes read at once; a whole number of pieces that may be holes.
const CHUNK: usize = 256 << 10;
/// Bytes of a large file that a disk is asked for before they are read: the threads take one part of it each, and behind these come the next.
const AHEAD: i64 = 8 << 20;

/// What becomes of a file of the backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum LocalFate {
    /// The file that is there stays; these parts of it are replaced. Of a file with holes `data` bytes are none.
    Stays { look: LocalLook, parts: Vec<DataPart>, data: Option<u64> },
    /// It is written as a whole.
    Anew,
}

/// By the members' places in the stream.
pub(super) type Fates = BTreeMap<u64, LocalFate>;

/// One comparison.
struct FileComparison<'a> {
    member: &'a Member,
    place: &'a Path,
    look: &'a LocalLook,
    /// None: all of it.
    part: Option<DataPart>,
}

/// The files that are there and could stay, and what is to be compared.
#[derive(Default)]
struct Candidates {
    /// With the place that the file has now.
    files: Vec<(u64, PathBuf, LocalLook)>,
    fates: Fates,
}

/// Whether a file is written as it is in the archive, without paths in it that are other ones here.
fn is_verbatim(member: &Member) -> bool {
    member.kind == MemberKind::File && member.path.as_path().extension().is_none_or(|ending| ending != "isl")
}

/// Whether this member is written at all, and is a file.
pub(super) fn is_wanted_file(places: &Destinations, member: &Member) -> bool {
    matches!(member.kind, MemberKind::File | MemberKind::Generated)
        && !places.is_passed_over(member)
        && places.of(member).is_some()
}

/// What becomes of each file of the backup.
pub(super) fn compare(
    index: &Index,
    places: &Destinations,
    threads: usize,
    control: &Control<'_>,
) -> Result<Fates, RestoreError> {
    let Candidates { files, mut fates } = candidates(index, places)?;
    let by_offset: BTreeMap<u64, &Member> =
        index.members.iter().map(|member| (member.header_offset, member)).collect();
    let cut = DataParts::of(index);
    let mut units = Vec::new();
    for (offset, place, look) in &files {
        let Some(member) = by_offset.get(offset).copied() else { continue };
        let Some((fate, compared)) = begin(index, &cut, member, *look) else {
            fates.insert(*offset, LocalFate::Anew);
            continue;
        };
        fates.insert(*offset, fate);
        units.extend(compared.into_iter().map(|part| FileComparison { member, place, look, part }));
    }
    let mut done = 0;
    run(&units, threads, control.interrupted, |number, same| {
        let FileComparison { member, look, part, .. } = &units[number];
        done += part.map_or(look.size, |part| part.to - part.from);
        (control.progress)(done);
        let fate = fates.get_mut(&member.header_offset);
        match (same, part, fate) {
            (Some(found), None, Some(LocalFate::Stays { data, .. })) => {
                *data = member.sparse.then_some(found);
            }
            (None, Some(part), Some(LocalFate::Stays { parts, .. })) => parts.push(*part),
            (None, None, Some(fate)) => *fate = LocalFate::Anew,
            _ => {}
        }
    });
    if control.interrupted.load(Ordering::Relaxed) {
        return Err(RestoreError::interrupted());
    }
    for fate in fates.values_mut() {
        if let LocalFate::Stays { parts, .. } = fate {
            parts.sort_unstable_by_key(|part| part.from);
        }
    }
    Ok(fates)
}

/// Looks at each file once. What is not there, or no regular file, is written anew; a directory in its place is refused.
fn candidates(index: &Index, places: &Destinations) -> Result<Candidates, RestoreError> {
    let mut found = Candidates::default();
    for member in index.members.iter().filter(|member| is_wanted_file(places, member)) {
        let Some(place) = places.of(member) else { continue };
        let look = local_file::place_now(places, &place).filter(|_| is_verbatim(member)).and_then(|place| {
            let file = no_follow::file(&place, OFlag::O_RDONLY).ok()?;
            Some((place, LocalLook::of(&file).ok()??))
        });
        if let Some((place, look)) = look {
            found.files.push((member.header_offset, place, look));
        } else {
            refuse_directory(&place)?;
            found.fates.insert(member.header_offset, LocalFate::Anew);
        }
    }
    Ok(found)
}

/// The first place where a file that could stay is another than when it was compared, or where a directory has come.
pub(super) fn check_unchanged(index: &Index, places: &Destinations, fates: &Fates) -> Option<PathBuf> {
    let wanted = index.members.iter().filter(|member| is_wanted_file(places, member));
    wanted.filter_map(|member| Some((member, places.of(member)?))).find_map(|(member, place)| {
        let is_same = match fates.get(&member.header_offset) {
            Some(LocalFate::Stays { look, .. }) => local_file::place_now(places, &place)
                .and_then(|now| no_follow::file(&now, OFlag::O_RDONLY).ok())
                .is_some_and(|file| look.is_of(&file)),
            _ => refuse_directory(&place).is_ok(),
        };
        (!is_same).then_some(place)
    })
}

/// Nothing that is in a directory goes because a file has its name.
pub(super) fn refuse_directory(place: &Path) -> Result<(), RestoreError> {
    if std::fs::symlink_metadata(place).is_ok_and(|found| found.is_dir()) {
        return Err(RestoreError::Refused(format!(
            "'{}' is a directory, where the backup has none; move it away",
            place.display()
        )));
    }
    Ok(())
}

/// The fate of a file if all that is compared is the same, and what is to be compared. None: it is written anew.
fn begin(
    index: &Index,
    cut: &DataParts<'_>,
    member: &Member,
    look: LocalLook,
) -> Option<(LocalFate, Vec<Option<DataPart>>)> {
    let stored = index.stored(member);
    let runs: Vec<(u64, u64)> = index
        .patches(member)
        .filter_map(|pages| pages.pages.as_ref())
        .flat_map(|pages| pages.runs.clone())
        .collect();
    let is_as_stored = runs.is_empty() && stored.size == member.size;
    // What is stored of such a log is a few pages; that it is the same one does not happen.
    if member.live_redo.is_some() {
        return None;
    }
    if let Some(parts) = cut.parts(stored) {
        let limit = look.size.min(member.size);
        let has_pages =
            |part: &DataPart| runs.iter().any(|(at, length)| *at < part.to && at + length > part.from);
        let (compared, differing): (Vec<DataPart>, Vec<DataPart>) =
            parts.into_iter().partition(|part| part.to <= limit && !has_pages(part));
        let differing = differing.into_iter().filter(|part| part.from < member.size).collect();
        let fate = LocalFate::Stays { look, parts: differing, data: None };
        return Some((fate, compared.into_iter().map(Some).collect()));
    }
    let could_be = is_as_stored && look.size == member.size;
    could_be.then(|| (LocalFate::Stays { look, parts: Vec::new(), data: None }, vec![None]))
}

/// Compares all of them, several at once, in their order. `take` is told each one's number, and of those that are the same how many bytes of
/// them are no zeros.
fn run(
    units: &[FileComparison<'_>],
    threads: usize,
    interrupted: &AtomicBool,
    mut take: impl FnMut(usize, Option<u64>),
) {
    let next = AtomicUsize::new(0);
    let (told, found) = unbounded();
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let told = told.clone();
            scope.spawn(|| work(units, &next, interrupted, told));
        }
        drop(told);
        for (number, same) in found {
            take(number, same);
        }
    });
}

#[expect(clippy::needless_pass_by_value, reason = "the last sender that goes ends the hearing")]
fn work(
    units: &[FileComparison<'_>],
    next: &AtomicUsize,
    interrupted: &AtomicBool,
    told: Sender<(usize, Option<u64>)>,
) {
    let mut chunk = vec![0; CHUNK];
    let mut open: Option<(&Path, File)> = None;
    while !interrupted.load(Ordering::Relaxed) {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(unit) = units.get(number) else { return };
        if open.as_ref().is_none_or(|(place, _)| *place != unit.place) {
            open = no_follow::file(unit.place, OFlag::O_RDONLY).ok().map(|file| (unit.place, file));
        }
        // What cannot be read is replaced: a disk may have lost it.
        let same =
            open.as_ref().and_then(|(_, file)| compared(file, unit, &mut chunk, interrupted).ok().flatten());
        if told.send((number, same)).is_err() {
            return;
        }
    }
}

/// How many bytes are no zeros, in pieces that may be holes, where the content is the same.
fn compared(
    file: &File,
    unit: &FileComparison<'_>,
    chunk: &mut [u8],
    interrupted: &AtomicBool,
) -> io::Result<Option<u64>> {
    let (mut at, to) = unit.part.map_or((0, unit.look.size), |part| (part.from, part.to));
    // A disk that cannot be told is read all the same.
    let _ =
        i64::try_from(at).map(|at| posix_fadvise(file, at, AHEAD, PosixFadviseAdvice::POSIX_FADV_WILLNEED));
    let mut digest = UnitDigest::of(unit);
    let mut data = 0;
    while at < to && !interrupted.load(Ordering::Relaxed) {
        let count = usize::try_from(to - at).unwrap_or(usize::MAX).min(chunk.len());
        let piece = &mut chunk[..count];
        file.read_exact_at(piece, at)?;
        digest.update(piece);
        if unit.member.sparse {
            data += piece
                .chunks(HOLE)
                .filter(|piece| piece.iter().any(|byte| *byte != 0))
                .map(|piece| piece.len() as u64)
                .sum::<u64>();
        }
        at += count as u64;
    }
    Ok(digest.matches(unit).then_some(data))
}

/// What an index has of the content: of a part that, of a whole file this.
enum UnitDigest {
    Part(DataHasher),
    Whole(Sha256),
}

impl UnitDigest {
    fn of(unit: &FileComparison<'_>) -> Self {
        match unit.part {
            Some(_) => Self::Part(DataHasher::default()),
            None => Self::Whole(Sha256::new()),
        }
    }

    fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Part(hasher) => hasher.update(piece),
            Self::Whole(sha) => sha.update(piece),
        }
    }

    fn matches(self, unit: &FileComparison<'_>) -> bool {
        match (self, &unit.part) {
            (Self::Part(hasher), Some(part)) => hasher.finish() == part.digest,
            (Self::Whole(sha), None) => unit.member.sha256.as_deref() == Some(&*hex(&sha.finalize())),
            _ => false,
        }
    }
}
