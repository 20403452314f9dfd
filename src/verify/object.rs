//! The archive object as a whole: its digest, and what lies behind its last member.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use super::unread::{self, Unread};
use super::verify_report::{CHUNK, VerifyError, VerifyReport};
use crate::archive::{Index, StreamReader, hex};
use crate::catalog::BackupReader;
use crate::model::StoredObject;

/// Zeros that end a tar.
const TAR_END: u64 = 1024;

/// The digest of an archive whose index is lost: without the index nothing says what the archive must hold.
pub(super) fn check_alone(
    source: &BackupReader,
    report: &mut VerifyReport,
    interrupted: &AtomicBool,
) -> Result<(), VerifyError> {
    let archive = &source.manifest().archive;
    if report.has(&archive.name) {
        return Ok(());
    }
    let found = match digest(source, &archive.name, &|_| {}, interrupted)? {
        Ok(found) => found,
        Err(Unread(what)) => {
            report.add(&archive.name, what);
            return Ok(());
        }
    };
    if found == archive.sha256 {
        report.notes.push(format!(
            "{} has the SHA-256 of the manifest: it is whole, and stock tools can unpack it (doc/format.md, \
             \"Restoring by hand\")",
            archive.name
        ));
    } else {
        report.add(&archive.name, wrong_digest(&found, &archive.sha256));
    }
    Ok(())
}

/// Archive and index as they are stored: their sizes and digests. What is in them is not looked at.
pub(super) fn check_stored(
    source: &BackupReader,
    report: &mut VerifyReport,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<(), VerifyError> {
    for StoredObject { name, bytes, sha256: wanted } in source.manifest().objects() {
        if report.has(name) {
            continue;
        }
        match digest(source, name, progress, interrupted)? {
            Ok(found) if found == wanted => report.bytes += bytes,
            Ok(found) => report.add(name, wrong_digest(&found, wanted)),
            Err(Unread(what)) => report.add(name, what),
        }
    }
    Ok(())
}

/// The SHA-256 of an object as it is stored, or where the disk does not give it.
pub(super) fn digest(
    source: &BackupReader,
    name: &str,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<Result<String, Unread>, VerifyError> {
    let mut object = match source.open_object(name) {
        Ok(object) => object,
        Err(error) => return Unread::of(error, source, name, None).map(Err),
    };
    let mut sha = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        if interrupted.load(Ordering::Relaxed) {
            return Err(VerifyError::Interrupted);
        }
        progress(bytes);
        match object.read(&mut chunk) {
            Ok(0) => return Ok(Ok(hex(&sha.finalize()))),
            Ok(count) => {
                sha.update(&chunk[..count]);
                bytes += count as u64;
            }
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => {
                return Unread::of(source.read_failed(name, cause), source, name, Some(bytes)).map(Err);
            }
        }
    }
}

pub(super) fn wrong_digest(found: &str, wanted: &str) -> String {
    format!("its SHA-256 is {found}, the manifest says {wanted}")
}

/// What lies behind the last member, and the digest of the whole object.
pub(super) fn check_end(
    mut stream: StreamReader,
    index: &Index,
    source: &BackupReader,
    all_intact: bool,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let archive = &source.manifest().archive;
    let read_failed = |cause| VerifyError::from(source.archive_failed(cause));
    let end = index.stream_members().last().map_or(0, |member| member.end_offset);
    if stream.skip_to(end).map_err(read_failed)? {
        let limit = index.raw_bytes.saturating_sub(end);
        match is_proper_end((&mut stream).take(limit)) {
            Ok(true) => {}
            Ok(false) => report.add(&archive.name, "the tar has no proper end"),
            // The block is named among the damage below.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            Err(error) => return Err(read_failed(error)),
        }
    }
    let (digest, damage) = stream.finish().map_err(read_failed)?;
    unread::confirm(source, &damage)?;
    // Blocks that hold a part of a member are named with it.
    let first_behind = blocks_before(index, end);
    for block in damage.iter().filter(|damage| damage.block >= first_behind) {
        report.add(&archive.name, block.to_string());
    }
    // Without a digest a block was passed over, which is among the damage.
    if let Some(digest) = digest
        && digest.sha256 != archive.sha256
        && damage.is_empty()
        && !report.has(&archive.name)
    {
        let hint = if all_intact { "; all its members are intact" } else { "" };
        report.add(&archive.name, format!("{}{hint}", wrong_digest(&digest.sha256, &archive.sha256)));
    }
    Ok(())
}

/// Whether nothing follows but zeros, and enough of them. There may be any number: they are not kept.
fn is_proper_end(mut rest: impl Read) -> io::Result<bool> {
    let mut chunk = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        match rest.read(&mut chunk)? {
            0 => return Ok(bytes >= TAR_END),
            count if chunk[..count].iter().any(|byte| *byte != 0) => return Ok(false),
            count => bytes += count as u64,
        }
    }
}

/// How many blocks begin before this byte of the tar stream: the others hold nothing but what follows the last member.
fn blocks_before(index: &Index, end: u64) -> usize {
    let starts = index.blocks.iter().scan(0, |raw, block| {
        let start = *raw;
        *raw += block.raw;
        Some(start)
    });
    starts.take_while(|start| *start < end).count()
}
