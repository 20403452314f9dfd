//! An archive that is a stream of mariadb-backup: each chunk has a checksum of its own, and two of its files tell the position.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use super::object::wrong_digest;
use super::unread;
use super::verify_report::{CHUNK, VerifyError, VerifyReport};
use crate::archive::{StreamReader, XbstreamContent, XbstreamScanner};
use crate::catalog::BackupReader;
use crate::model::WsrepGtid;

/// Reads the whole stream. InnoDB's pages are not looked at: those of such a backup are of many moments until it is prepared.
pub(super) fn check(
    mut stream: StreamReader,
    source: &BackupReader,
    report: &mut VerifyReport,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<(), VerifyError> {
    let manifest = source.manifest();
    let archive = &manifest.archive;
    let read_failed = |cause| VerifyError::from(source.archive_failed(cause));
    let mut scanner = Some(XbstreamScanner::default());
    let mut chunk = vec![0; CHUNK];
    while let Some(reads) = &mut scanner {
        if interrupted.load(Ordering::Relaxed) {
            return Err(VerifyError::Interrupted);
        }
        progress(stream.position());
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => {
                if let Err(error) = reads.take(&chunk[..count]) {
                    report.add(&archive.name, format!("it is no stream of mariadb-backup: {error}"));
                    scanner = None;
                }
            }
            // The block is named below, and behind it the stream cannot be understood.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => scanner = None,
            Err(error) => return Err(read_failed(error)),
        }
    }
    match scanner.map(XbstreamScanner::finish) {
        None => {}
        Some(Err(error)) => report.add(&archive.name, format!("it is no stream of mariadb-backup: {error}")),
        Some(Ok(content)) => check_content(&content, source, report),
    }
    check_end(stream, source, report)
}

/// What is left, and the digest of the whole object.
pub(super) fn check_end(
    stream: StreamReader,
    source: &BackupReader,
    report: &mut VerifyReport,
) -> Result<(), VerifyError> {
    let archive = &source.manifest().archive;
    let (digest, damage) =
        stream.finish().map_err(|cause| VerifyError::from(source.archive_failed(cause)))?;
    unread::confirm(source, &damage)?;
    for block in &damage {
        report.add(&archive.name, block.to_string());
    }
    if let Some(digest) = digest.filter(|digest| digest.sha256 != archive.sha256)
        && damage.is_empty()
        && !report.has(&archive.name)
    {
        report.add(&archive.name, wrong_digest(&digest.sha256, &archive.sha256));
    }
    Ok(())
}

fn check_content(content: &XbstreamContent, source: &BackupReader, report: &mut VerifyReport) {
    let manifest = source.manifest();
    let archive = &manifest.archive.name;
    if content.files != manifest.files {
        report
            .add(archive, format!("it holds {} files, the manifest says {}", content.files, manifest.files));
    }
    let told = content.told("galera_info").map(|text| String::from_utf8_lossy(text).trim().to_owned());
    match told.map(|text| text.parse::<WsrepGtid>().map_err(|_| text)) {
        None if manifest.gtid.is_none() => {}
        Some(Ok(gtid)) if manifest.gtid.as_ref() == Some(&gtid) => {}
        Some(Ok(gtid)) => report.add(
            archive,
            format!("it was taken at {}, the manifest says {}", gtid.position(), manifest.position()),
        ),
        Some(Err(text)) => {
            report.add(archive, format!("its galera_info says '{text}', which is no position"));
        }
        None => report.add(archive, "it does not hold galera_info, which tells its position"),
    }
    report.files += content.files;
    report.bytes += content.bytes;
}
