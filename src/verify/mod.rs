//! Reads a whole backup back: sizes, SHA-256, tar structure, InnoDB page checksums.
//!
//! Damage does not end the reading: every damaged file is named, with the place of the damage where
//! one is known. The index says where each member lies, so a block that cannot be read costs the
//! files in it and nothing behind it.
//!
//! A disk that does not give what it holds ([`is_unreadable`]) is damage of what was read, since file systems that find rot by themselves
//! say it so, and the record must say it too. A storage that gives nothing else either, or gives it when it is asked again, is an error and no damage (`unread`).

mod members;
mod merged;
mod object;
mod program_members;
mod statements;
mod stream;
mod unread;
mod verify_report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::archive::{
    BlockReader, BorderCheck, GRASTATE_MEMBER, IDENTITY_MEMBER, Index, ReaderOptions, SUMS_MEMBER,
    StreamReader, WrongDigest,
};
use crate::catalog::{BackupReadError, BackupReader};
use crate::model::Content;
use crate::storage::is_unreadable;
use members::Check;
use unread::Unread;
pub use verify_report::{Defect, VerifyError, VerifyReport};

/// How an archive is checked that has no members.
type StreamCheck =
    fn(StreamReader, &BackupReader, &mut VerifyReport, &dyn Fn(u64), &AtomicBool) -> Result<(), VerifyError>;

/// Compares the stored objects with the manifest, and does not look into them: that needs no key. `progress` is told the
/// position in the object being read.
pub fn verify_stored(
    source: &BackupReader,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<VerifyReport, VerifyError> {
    let mut report = of_sizes(source)?;
    object::check_stored(source, &mut report, progress, interrupted)?;
    Ok(report)
}

/// What the sizes of the stored objects tell.
fn of_sizes(source: &BackupReader) -> Result<VerifyReport, VerifyError> {
    let mut report = VerifyReport::default();
    let damage = match source.check_sizes() {
        // Who reads it names what cannot be read.
        Err(error) if error.is_of_medium() => Vec::new(),
        damage => damage?,
    };
    for damage in damage {
        report.add(damage.object, damage.what);
    }
    Ok(report)
}

/// Reads everything. `progress` is told the position in the tar stream.
pub fn verify(
    source: &BackupReader,
    threads: usize,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<VerifyReport, VerifyError> {
    let mut report = of_sizes(source)?;
    let index = match source.read_index() {
        Ok(index) => index,
        Err(BackupReadError::Damaged { damage, .. }) => {
            if !report.has(&damage.object) {
                report.add(damage.object, damage.what);
            }
            object::check_alone(source, &mut report, interrupted)?;
            return Ok(report);
        }
        Err(BackupReadError::Storage(error)) if error.is_of_medium() => {
            let name = &source.manifest().index.name;
            let Err(Unread(what)) = object::digest(source, name, &|_| {}, interrupted)? else {
                return Err(error.into());
            };
            report.add(name, what);
            object::check_alone(source, &mut report, interrupted)?;
            return Ok(report);
        }
        Err(error) => return Err(error.into()),
    };
    for damage in source.compare(&index) {
        report.add(damage.object, damage.what);
    }
    let archive = match source.open_archive() {
        // Already among the findings.
        Err(error) if error.is_not_found() => return Ok(report),
        Err(error) => {
            let name = &source.manifest().archive.name;
            let Unread(what) = Unread::of(error, source, name, None)?;
            report.add(name, what);
            return Ok(report);
        }
        Ok(archive) => archive,
    };
    let borders = Arc::new(BorderCheck::of(&index));
    let options = source.reader_options(&index, threads)?;
    let options = ReaderOptions { borders: Some(Arc::clone(&borders)), is_damage: is_unreadable, ..options };
    let blocks = BlockReader::open(archive, index.plan(), &options);
    let mut stream = StreamReader::new(blocks.map_err(VerifyError::Start)?);
    let check_stream = match index.header.content {
        Content::Datadir => None,
        Content::Xbstream => Some(stream::check as StreamCheck),
        Content::Sql => Some(statements::check as StreamCheck),
    };
    if let Some(check) = check_stream {
        check(stream, source, &mut report, progress, interrupted)?;
        return Ok(report);
    }
    let mut check = Check::new(&mut report, source, &index, interrupted);
    for member in index.stream_members() {
        progress(member.header_offset);
        check.member(&mut stream, member)?;
    }
    check.end();
    let all_intact = check.all_intact();
    check_completeness(&index, &mut report);
    object::check_end(stream, &index, source, all_intact, &mut report)?;
    check_borders(&borders, &index, &mut report);
    Ok(report)
}

/// Digests of parts of a file that are themselves what was written: the index is wrong. Where the file is not, that is told already. Nothing goes by
/// those of a member that a later one supersedes.
fn check_borders(borders: &BorderCheck, index: &Index, report: &mut VerifyReport) {
    let members = index.stream_members();
    let at_end: BTreeSet<u64> = index.members.iter().map(|member| member.header_offset).collect();
    let told: BTreeSet<String> = report.findings.iter().map(|finding| finding.file.clone()).collect();
    let mut wrong: BTreeMap<usize, Vec<WrongDigest>> = BTreeMap::new();
    for digest in borders.wrong() {
        wrong.entry(digest.member).or_default().push(digest);
    }
    for (member, digests) in wrong {
        let (member, path) = (&members[member], members[member].path.to_string());
        let Some(WrongDigest { block, bytes, .. }) = digests.first() else { continue };
        if told.contains(&path) || !at_end.contains(&member.header_offset) {
            continue;
        }
        let more = match digests.len() - 1 {
            0 => String::new(),
            more => format!(", and of {more} more of its parts"),
        };
        report.add(
            path,
            format!(
                "the index has a wrong digest of its bytes {} to {} (block {block}){more}, which are what was backed up: 'restore --delta' fails there, or \
                 writes what it need not; a restore into an empty directory does not go by it",
                bytes.start, bytes.end
            ),
        );
    }
}

/// An index that is whole but names no grastate.dat is not that of a backup.
fn check_completeness(index: &Index, report: &mut VerifyReport) {
    // That of a server that was no node has none.
    let names = [IDENTITY_MEMBER, GRASTATE_MEMBER, SUMS_MEMBER].into_iter();
    for name in names.filter(|name| *name != GRASTATE_MEMBER || index.header.gtid.is_some()) {
        if !index.members.iter().any(|member| member.path.as_bytes() == name.as_bytes()) {
            report.add(name, "the archive does not hold it");
        }
    }
}
