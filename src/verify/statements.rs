//! A dump: statements that end as the program ends them that has written them, and the users beside them.

use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};

use super::object::{digest, wrong_digest};
use super::stream;
use super::unread::Unread;
use super::verify_report::{CHUNK, VerifyError, VerifyReport};
use crate::archive::{DumpScanner, StreamReader};
use crate::catalog::BackupReader;

/// Reads the whole dump. Whether a server takes the statements, only a server can say.
pub(super) fn check(
    mut statements: StreamReader,
    source: &BackupReader,
    report: &mut VerifyReport,
    progress: &dyn Fn(u64),
    interrupted: &AtomicBool,
) -> Result<(), VerifyError> {
    users(source, report, interrupted)?;
    let manifest = source.manifest();
    let archive = &manifest.archive.name;
    let mut scanner = Some(DumpScanner::default());
    let mut chunk = vec![0; CHUNK];
    while let Some(reads) = &mut scanner {
        if interrupted.load(Ordering::Relaxed) {
            return Err(VerifyError::Interrupted);
        }
        progress(statements.position());
        match statements.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => reads.take(&chunk[..count]),
            // The block is named below.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => scanner = None,
            Err(error) => return Err(source.archive_failed(error).into()),
        }
    }
    match scanner.map(DumpScanner::finish) {
        None => {}
        Some(Err(error)) => report.add(archive, error.to_string()),
        Some(Ok(content)) => {
            let longest = manifest.dump.as_ref().map_or(0, |dump| dump.longest_statement);
            for (what, found, wanted) in [
                ("tables", content.tables, manifest.files),
                ("bytes in its longest statement", content.longest_statement, longest),
            ] {
                if found != wanted {
                    report.add(archive, format!("it has {found} {what}, the manifest says {wanted}"));
                }
            }
            report.files += content.tables;
            report.bytes += content.bytes;
        }
    }
    stream::check_end(statements, source, report)
}

/// The object with users and grants, as it is stored.
fn users(
    source: &BackupReader,
    report: &mut VerifyReport,
    interrupted: &AtomicBool,
) -> Result<(), VerifyError> {
    let users = source.manifest().dump.as_ref().and_then(|dump| dump.users.as_ref());
    let Some(users) = users.filter(|users| !report.has(&users.name)) else { return Ok(()) };
    match digest(source, &users.name, &|_| {}, interrupted)? {
        Ok(found) if found == users.sha256 => {}
        Ok(found) => report.add(&users.name, wrong_digest(&found, &users.sha256)),
        Err(Unread(what)) => report.add(&users.name, what),
    }
    Ok(())
}
