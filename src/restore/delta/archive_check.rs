//! Reads of an archive what will be needed, and compares it with the index: before the first change of the data directory, so that nothing is given up
//! for what is not there. Of the parts of large files what differs is kept ([`Stash`]), so that it need not be read again.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::sync::atomic::Ordering;

use nix::fcntl::OFlag;
use sha2::{Digest, Sha256};

use super::compare::{Fates, LocalFate};
use super::differences::read_there;
use super::local_file::place_now;
use super::read_pieces::{ReadPiece, plan};
use super::stash::Stash;
use crate::archive::{DataPart, Index, hex, read_full};
use crate::catalog::BackupReader;
use crate::model::{DataDigest, Member};
use crate::restore::MemberWriter;
use crate::restore::archive_stream::open_stream;
use crate::restore::destinations::Destinations;
use crate::restore::error::{RestoreError, Undone};
use crate::restore::no_follow;
use crate::restore::patch::read_whole;
use crate::restore::request::Control;
use crate::restore::write::WriteError;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// What came of the reading.
pub(super) struct Fetched<'a> {
    /// What differs of the parts that found room.
    pub(super) stash: Stash<'a>,
    /// What has to be read again, in the order of the archive.
    pub(super) again: Vec<ReadPiece<'a>>,
}

/// Reads all of it; progress is told in bytes of the tar stream.
pub(super) fn fetch<'a>(
    source: &BackupReader,
    index: &'a Index,
    (places, fates): (&Destinations, &Fates),
    pieces: Vec<ReadPiece<'a>>,
    mut stash: Stash<'a>,
    threads: usize,
    control: &Control<'_>,
) -> Result<Fetched<'a>, RestoreError> {
    let mut stream = open_stream(source, index, plan(index, &pieces), threads)?;
    let mut reader =
        MemberWriter { stream: &mut stream, source, index, places, control, patched: BTreeMap::new() };
    let mut local = LocalParts { places, fates, open: None, old: Vec::new() };
    let (mut done, mut bytes, mut again) = (0, Vec::new(), Vec::new());
    for piece in &pieces {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(RestoreError::interrupted());
        }
        (control.progress)(done);
        match *piece {
            ReadPiece::Anew(member) => {
                reader.read(index.stored(member), member, |content| digested(content, member, control))?;
                again.push(*piece);
            }
            ReadPiece::Part(member, part) => {
                read_part(&mut reader, member, &part, &mut bytes)?;
                let wanted = part.wanted(member, &bytes);
                let old = if stash.is_open() { local.old(member, part.from, wanted.len()) } else { &[] };
                match stash.take(member, part.from, old, wanted) {
                    Ok(true) => {}
                    Ok(false) => again.push(*piece),
                    Err(error) => {
                        log::info!(
                            "what differs cannot be kept on the disk, and is read a second time: {error}"
                        );
                        stash.give_up();
                    }
                }
            }
            ReadPiece::Pages(member, pages) => {
                reader.read(pages, member, |content| read_whole(content, pages).map(drop))?;
                again.push(*piece);
            }
        }
        done += piece.bytes(index);
    }
    if stash.is_given_up() {
        again = pieces;
    }
    Ok(Fetched { stash, again })
}

/// Reads what files have before they are changed.
struct LocalParts<'a> {
    places: &'a Destinations,
    fates: &'a Fates,
    /// The file that was read last, by its place in the stream.
    open: Option<(u64, File)>,
    old: Vec<u8>,
}

impl LocalParts<'_> {
    /// So many bytes of a file from this one on, or as many as can be read of it.
    fn old(&mut self, member: &Member, from: u64, count: usize) -> &[u8] {
        if self.open.as_ref().is_none_or(|(offset, _)| *offset != member.header_offset) {
            self.open = self.file(member).map(|file| (member.header_offset, file));
        }
        self.old.resize(count, 0);
        let there = self.open.as_ref().map_or(0, |(_, file)| read_there(file, from, &mut self.old));
        &self.old[..there]
    }

    /// The file that was compared. That nobody has changed it since is seen before it is written to.
    fn file(&self, member: &Member) -> Option<File> {
        let place = place_now(self.places, &self.places.of(member)?)?;
        match self.fates.get(&member.header_offset) {
            Some(LocalFate::Stays { look, .. }) => {
                no_follow::file(&place, OFlag::O_RDONLY).ok().filter(|file| look.is_of(file))
            }
            _ => None,
        }
    }
}

fn digested(content: &mut dyn Read, member: &Member, control: &Control<'_>) -> Result<(), WriteError> {
    let (mut sha, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(WriteError::Interrupted);
        }
        let count = read_full(content, &mut chunk).map_err(|cause| match cause.kind() {
            ErrorKind::InvalidData => WriteError::Damaged(cause.to_string()),
            _ => WriteError::Read(cause),
        })?;
        if count == 0 {
            break;
        }
        sha.update(&chunk[..count]);
    }
    let digest = hex(&sha.finalize());
    match &member.sha256 {
        Some(wanted) if *wanted != digest => {
            Err(WriteError::Damaged(format!("its SHA-256 is {digest}, not that of the index")))
        }
        _ => Ok(()),
    }
}

/// A part of a file into `bytes`, compared with its digest.
pub(super) fn read_part(
    reader: &mut MemberWriter<'_>,
    member: &Member,
    part: &DataPart,
    bytes: &mut Vec<u8>,
) -> Result<(), RestoreError> {
    bytes.resize(usize::try_from(part.to - part.from).unwrap_or(0), 0);
    let read = reader.stream.skip_to(part.stream).and_then(|_| read_full(reader.stream, bytes));
    match read {
        Ok(count) if count == bytes.len() => {}
        Ok(_) => return Err(damaged(reader, member, "the archive ends before it".into())),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(damaged(reader, member, error.to_string()));
        }
        Err(cause) => return Err(RestoreError::Read(reader.source.archive_failed(cause), Undone::default())),
    }
    let digest = DataDigest::of(bytes);
    if digest != part.digest {
        let what =
            format!("the BLAKE3 of its bytes from {} on is {digest}, not that of the index", part.from);
        return Err(damaged(reader, member, what));
    }
    Ok(())
}

/// The archive has not what the index says of this member.
pub(super) fn damaged(reader: &MemberWriter<'_>, member: &Member, what: String) -> RestoreError {
    let id = reader.source.manifest().id.to_string();
    RestoreError::Damaged { id, path: member.path.to_string(), what, undone: Undone::default() }
}
