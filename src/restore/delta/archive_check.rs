//! Reads of an archive what will be needed, and compares it with the index: once before the first change of the data directory, so that nothing
//! is given up for what is not there, and again while it is written.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::sync::atomic::Ordering;

use sha2::{Digest, Sha256};

use super::read_pieces::ReadPiece;
use crate::archive::{DataPart, Index, ReadPlan, hex, read_full};
use crate::catalog::BackupReader;
use crate::model::{DataDigest, Member};
use crate::restore::MemberWriter;
use crate::restore::archive_stream::open_stream;
use crate::restore::destinations::Destinations;
use crate::restore::error::{RestoreError, Undone};
use crate::restore::patch::read_whole;
use crate::restore::request::Control;
use crate::restore::write::WriteError;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// Reads all of it; progress is told in bytes of the tar stream.
pub(super) fn check(
    source: &BackupReader,
    index: &Index,
    places: &Destinations,
    (pieces, plan): (&[ReadPiece<'_>], ReadPlan),
    threads: usize,
    control: &Control<'_>,
) -> Result<(), RestoreError> {
    let mut stream = open_stream(source, index, plan, threads)?;
    let mut reader =
        MemberWriter { stream: &mut stream, source, index, places, control, patched: BTreeMap::new() };
    let mut done = 0;
    for piece in pieces {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(RestoreError::interrupted());
        }
        (control.progress)(done);
        match piece {
            ReadPiece::Anew(member) => {
                reader.read(index.stored(member), member, |content| digested(content, member, control))?;
            }
            ReadPiece::Part(member, part) => drop(read_part(&mut reader, member, part)?),
            ReadPiece::Pages(member, pages) => {
                reader.read(pages, member, |content| read_whole(content, pages).map(drop))?;
            }
        }
        done += piece.bytes(index);
    }
    Ok(())
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

/// A part of a file, compared with its digest.
pub(super) fn read_part(
    reader: &mut MemberWriter<'_>,
    member: &Member,
    part: &DataPart,
) -> Result<Vec<u8>, RestoreError> {
    let mut bytes = vec![0; usize::try_from(part.to - part.from).unwrap_or(0)];
    let read = reader.stream.skip_to(part.stream).and_then(|_| read_full(reader.stream, &mut bytes));
    match read {
        Ok(count) if count == bytes.len() => {}
        Ok(_) => return Err(damaged(reader, member, "the archive ends before it".into())),
        Err(error) if error.kind() == ErrorKind::InvalidData => {
            return Err(damaged(reader, member, error.to_string()));
        }
        Err(cause) => return Err(RestoreError::Read(reader.source.archive_failed(cause), Undone::default())),
    }
    let digest = DataDigest::new(Sha256::digest(&bytes).into());
    if digest != part.digest {
        let what =
            format!("the SHA-256 of its bytes from {} on is {digest}, not that of the index", part.from);
        return Err(damaged(reader, member, what));
    }
    Ok(bytes)
}

/// The archive has not what the index says of this member.
pub(super) fn damaged(reader: &MemberWriter<'_>, member: &Member, what: String) -> RestoreError {
    let id = reader.source.manifest().id.to_string();
    RestoreError::Damaged { id, path: member.path.to_string(), what, undone: Undone::default() }
}
