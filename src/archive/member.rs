//! What the writer needs to know about a file before its first byte.

use std::io::Read;

use crate::model::{ArchivePath, LiveRedo, Member, MemberKind, Origin};

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
    /// Where it belongs when everything is unpacked, if that is not its path.
    pub place: Option<ArchivePath>,
}

impl NewMember {
    /// Its path when everything is unpacked and in its place.
    pub fn name(&self) -> &ArchivePath {
        self.place.as_ref().unwrap_or(&self.path)
    }

    /// The same as a line of the index, with its place in the tar stream and nothing else yet.
    pub(super) fn line(self, kind: MemberKind, header_offset: u64, end_offset: u64) -> Member {
        Member {
            path: self.path,
            kind,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            user: self.user,
            group: self.group,
            mtime: self.mtime,
            mtime_nsec: self.mtime_nsec,
            size: 0,
            stored: 0,
            sha256: None,
            sparse: false,
            header_offset,
            end_offset,
            target: None,
            origin: self.origin,
            system_tablespace: self.system_tablespace,
            listed: self.listed,
            live_redo: None,
            place: self.place,
            early: false,
            pages: None,
            changed: false,
        }
    }
}
