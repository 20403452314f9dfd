//! What of the redo log is stored: of a server that stands still and is clean only what a start would read of it.
//!
//! Under the freeze of a state transfer everything is in the data files, and a server that starts on them reads the log's head, and a
//! few KiB from its checkpoint on. The file may have many GiB all the same. What is not read of it becomes a hole, where
//! the log is understood and every checksum in it is right ([`LiveLog`]); anything else is stored as it is, and the log of the run says why.
//!
//! The hole counts in the digest of the file, which takes a second for each GiB. So what is stored is held in memory, and stored when the server runs again.
//!
//! A crashed server's log is stored as a whole: what it recovers from is in it.

use std::fs::Metadata;
use std::io::{self, Cursor, Read};

use super::entry::{Entry, EntryKind};
use super::files::FileList;
use super::objection::shown;
use super::source::Opened;
use crate::archive::{ArchiveError, FileContent, NewMember, Segment};
use crate::innodb::redo::{LiveLog, RedoError};
use crate::model::LiveRedo;
use crate::output::Writer;
use crate::quiesce::Files;

/// Decides whether the redo log is one of which only a part is stored, by what the listed files are worth.
pub(super) fn choose_redo(list: &mut FileList, files: Files) {
    let mut logs = list.entries.iter().filter(|entry| entry.is_redo_log());
    let why = match (logs.next(), logs.count(), files) {
        (None, ..) => return,
        (Some(_), _, Files::Crashed) => "a server that recovers needs all of it",
        (Some(_), _, Files::Changing) => "the server goes on writing to it",
        (Some(one), 0, Files::Clean) if is_ring(one) => {
            list.trims_redo = true;
            return;
        }
        (Some(_), 0, Files::Clean) => "it is not the one file 'ib_logfile0'",
        (Some(_), _, Files::Clean) => "it has several files",
    };
    log::info!("the redo log is stored as a whole: {why}");
}

/// The one file of MariaDB 10.5 and later.
fn is_ring(entry: &Entry) -> bool {
    entry.path.file_name().as_bytes() == b"ib_logfile0"
}

/// Bytes of the redo log, of which a backup may store little.
pub(super) fn redo_bytes(list: &FileList) -> u64 {
    let logs = list.entries.iter().filter(|entry| entry.is_redo_log());
    logs.map(|entry| if let EntryKind::File(look) = entry.kind { look.bytes } else { 0 }).sum()
}

/// The live part of a redo log, in memory.
pub(super) struct LiveSource {
    metadata: Metadata,
    segments: Vec<Segment>,
    bytes: Cursor<Vec<u8>>,
    live: LiveRedo,
}

impl LiveSource {
    /// Reads and checks it; none where it is to be stored as a whole, and the log says why.
    pub(super) fn of(opened: &Opened, entry: &Entry) -> Option<Self> {
        match LiveLog::read(&*opened.file) {
            Ok(log) => {
                let live = LiveRedo { checkpoint_lsn: log.checkpoint().lsn, end_lsn: log.end_lsn() };
                let (mut segments, mut bytes) = (Vec::new(), Vec::new());
                for (range, piece) in log.pieces() {
                    segments.push(Segment { offset: range.start, len: range.end - range.start });
                    bytes.extend(piece);
                }
                log::info!(
                    "'{}': of {} bytes {} are stored, which are what a server reads when it starts (LSN {} to {})",
                    shown(entry.path.as_path()),
                    opened.metadata.len(),
                    bytes.len(),
                    live.checkpoint_lsn,
                    live.end_lsn
                );
                let bytes = Cursor::new(bytes);
                Some(Self { metadata: opened.metadata.clone(), segments, bytes, live })
            }
            Err(error) => {
                let path = shown(entry.path.as_path());
                match error {
                    RedoError::Format(_) | RedoError::Long(_) => {
                        log::info!("'{path}' is stored as a whole: {error}");
                    }
                    _ => log::warn!("'{path}' is stored as a whole: {error}"),
                }
                None
            }
        }
    }

    /// Of the server's file.
    pub(super) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Bytes that are stored.
    pub(super) fn stored(&self) -> u64 {
        self.bytes.get_ref().len() as u64
    }

    /// Stores it, under this member.
    pub(super) fn store(mut self, member: NewMember, archive: &mut Writer) -> Result<(), ArchiveError> {
        let (size, segments) = (self.metadata.len(), std::mem::take(&mut self.segments));
        archive.append_file(member, size, Some(&segments), &mut self)
    }
}

impl Read for LiveSource {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.bytes.read(buffer)
    }
}

impl FileContent for LiveSource {
    /// What was checked is what is stored, whatever has become of the file.
    fn changed(&mut self) -> bool {
        false
    }

    fn live_redo(&self) -> Option<LiveRedo> {
        Some(self.live)
    }
}

#[cfg(test)]
mod tests {
    use super::super::files::testing::files_named;
    use super::*;

    fn trims(names: &[&str], files: Files) -> bool {
        let mut list = files_named(names);
        choose_redo(&mut list, files);
        list.trims_redo
    }

    #[test]
    fn only_the_one_log_of_a_clean_server_is_stored_in_part() {
        let one = ["ibdata1", "ib_logfile0"];
        assert!(trims(&one, Files::Clean));
        assert!(!trims(&one, Files::Crashed));
        assert!(!trims(&one, Files::Changing));
        assert!(!trims(&["ib_logfile0", "ib_logfile1"], Files::Clean));
        assert!(!trims(&["ib_logfile0", "ib_logfile101"], Files::Clean));
        assert!(!trims(&["#innodb_redo/#ib_redo7"], Files::Clean));
        assert!(!trims(&["ib_0000000000003000.log"], Files::Clean));
        assert!(!trims(&["ibdata1"], Files::Clean));
    }
}
