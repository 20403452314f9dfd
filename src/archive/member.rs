//! What the writer needs to know about a file before its first byte.

use std::io::Read;

use crate::model::{ArchivePath, LiveRedo, Origin};

/// A stretch of data in a file with holes, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it starts in the file.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
}

/// Bytes of data in these segments.
pub fn stored_bytes(segments: &[Segment]) -> u64 {
    segments.iter().map(|segment| segment.len).sum()
}

/// Whether GNU tar can carry these segments: it reads each one from the start of a tar block, so all
/// but the last must fill theirs.
pub(super) fn fill_tar_blocks(segments: &[Segment]) -> bool {
    let before_last = segments.split_last().map_or(segments, |(_, before)| before);
    before_last.iter().all(|segment| segment.len.is_multiple_of(512))
}

/// The content of a file, data segments one after the other.
pub trait FileContent: Read {
    /// Whether the file has changed since it was opened; asked after the last byte.
    fn changed(&mut self) -> bool;

    /// Set where these segments are what a server needs of its redo log, and not what the file holds.
    fn live_redo(&self) -> Option<LiveRedo> {
        None
    }
}

/// A member to be written.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Path in the archive.
    pub path: ArchivePath,
    /// Permission bits.
    pub mode: u32,
    /// Owner, numeric.
    pub uid: u32,
    /// Group, numeric.
    pub gid: u32,
    /// Owner's name, where it is known.
    pub user: Option<String>,
    /// Group's name, where it is known.
    pub group: Option<String>,
    /// Modification time, seconds since 1970 (UTC).
    pub mtime: i64,
    /// Nanoseconds of it.
    pub mtime_nsec: u32,
    /// A file of `innodb_data_file_path`, whatever its name.
    pub system_tablespace: bool,
    /// Set for what lives outside the data directory.
    pub origin: Option<Origin>,
    /// Whether the server has said that it has this tablespace; none where it was not asked, or is no tablespace.
    pub listed: Option<bool>,
}
