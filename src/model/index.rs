//! The lines of `index.json.zst`: what is in the archive, and where.
//!
//! The index is a zstd stream of JSON values, one a line, so that it is written while the archive
//! streams and read without holding it whole. The first line is the header, the last one the end
//! mark; between them members and blocks stand in the order of the stream, in any mixture.

use serde::{Deserialize, Serialize};

use super::{ArchivePath, BackupId, DataDigest, WsrepGtid};
use super::{Compression, Content, FilesState};

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexLine {
    /// First line.
    Index(IndexHeader),
    /// One tar member.
    Member(Member),
    /// One compressed block of the archive.
    Block(BlockLine),
    /// What became of a member that was stored before the server stood still.
    Change(EarlyChange),
    /// Last line.
    End(IndexEnd),
}

/// The identity of the backup, repeated so that index and manifest prove each other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexHeader {
    /// Format number, see [`super::FORMAT`].
    pub format: u32,
    /// The backup's name.
    pub id: BackupId,
    /// What the archive is. Absent where it is the files of a data directory.
    #[serde(default, skip_serializing_if = "Content::is_datadir")]
    pub content: Content,
    /// What its files are. Absent where nothing is to be recovered.
    #[serde(default, skip_serializing_if = "FilesState::is_clean")]
    pub files_state: FilesState,
    /// The position of the files. Format 1 always has it; where it is known at the end only, the end line has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<WsrepGtid>,
    /// How the blocks are compressed.
    pub compression: Compression,
}

/// What a tar member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberKind {
    /// A file of the server.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, stored as such.
    Symlink,
    /// A file that this program wrote: identity, grastate.dat, SHA256SUMS, binlog index.
    Generated,
    /// Pages of a file that was stored before; they replace those there ([`Member::pages`]).
    Pages,
}

/// The pages that a member of kind [`MemberKind::Pages`] has, one run behind the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRuns {
    /// [`Member::header_offset`] of the file in which they belong; it stands before.
    pub of: u64,
    /// First byte and number of bytes of each run in that file, ascending, none touching the next.
    pub runs: Vec<(u64, u64)>,
}

impl PageRuns {
    /// Most runs that one member has, so that its line in the index stays short.
    pub const MOST: usize = 4096;
    /// Most bytes that one member has: they are held in memory while they are put in place.
    pub const MOST_BYTES: u64 = 4 << 20;
}

/// What became of a member that was stored before the server stood still. A member is named by its [`Member::header_offset`]: names change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EarlyChange {
    /// It is not there at the end.
    Removed(u64),
    /// It has another name at the end. All are renamed at once: two may have changed their names.
    Moved {
        /// Which one.
        member: u64,
        /// Its path at the end, as a member's path.
        to: ArchivePath,
    },
    /// It has another size at the end.
    Resized {
        /// Which one.
        member: u64,
        /// Its size at the end, bytes; zeros where it has grown and no page says otherwise.
        size: u64,
    },
}

/// Where a member that lives outside the data directory came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Server variable that points there, or `data_directory` / `symlink`.
    pub variable: String,
    /// The directory that the variable names (the part that `--map` replaces).
    pub root: ArchivePath,
    /// Absolute path of this member on the donor.
    pub path: ArchivePath,
}

impl Origin {
    /// What `variable` may be. A restore refuses any other: it could not say what the place is for.
    pub const VARIABLES: [&str; 8] = [
        "aria_log_dir_path",
        "data_directory",
        "innodb_data_home_dir",
        "innodb_log_group_home_dir",
        "innodb_undo_directory",
        "log_bin",
        "log_bin_index",
        "symlink",
    ];
}

/// What of InnoDB's redo log is stored, where that is not all of it: its head, and what lies between these two positions. The rest
/// is a hole; a server that starts reads nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveRedo {
    /// LSN of the newest checkpoint, at which a server begins to read.
    pub checkpoint_lsn: u64,
    /// LSN of the end, at which it ends.
    pub end_lsn: u64,
}

/// One tar member. Offsets and sizes are bytes; offsets count in the uncompressed tar stream.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a field of the format, and absent where it is not set"
)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Path in the archive.
    pub path: ArchivePath,
    /// What it is.
    pub kind: MemberKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner on the donor.
    pub uid: u32,
    /// Group on the donor.
    pub gid: u32,
    /// Owner's name on the donor, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Group's name on the donor, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Modification time, seconds since 1970 (UTC).
    pub mtime: i64,
    /// Nanoseconds of the modification time.
    #[serde(default)]
    pub mtime_nsec: u32,
    /// Size of the file as read back, holes included.
    pub size: u64,
    /// Bytes of its data in the tar stream: less than `size` when holes are left out.
    pub stored: u64,
    /// SHA-256 over the whole content, holes read as zeros; files only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Holes are kept: the member is a GNU sparse one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sparse: bool,
    /// First byte of its headers in the tar stream.
    pub header_offset: u64,
    /// First byte after its data and padding.
    pub end_offset: u64,
    /// Target of a symbolic link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<ArchivePath>,
    /// Set for what lives outside the data directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// A file of `innodb_data_file_path`: mysqld cannot start without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system_tablespace: bool,
    /// Of a tablespace file: whether the server has said that it has it. None where it was not asked, or the answer is not
    /// certain. A file that is not listed was left there by hand, and is no data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<bool>,
    /// Of a redo log that is not stored as a whole: what is there of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live_redo: Option<LiveRedo>,
    /// Where it belongs when everything is unpacked, if that is not [`Member::path`]: the script in the archive moves it there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<ArchivePath>,
    /// It was stored while the server ran: members of kind [`MemberKind::Pages`] and [`EarlyChange`]s make of it what it was when the server
    /// stood still.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early: bool,
    /// Of a member of kind [`MemberKind::Pages`]: where its pages belong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pages: Option<PageRuns>,
    /// The file changed while it was read (server logs, log tables); its content is what was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed: bool,
}

impl Member {
    /// Bytes that its file takes on a disk when it is restored: a redo log of which not all is stored gets all its room, since a server
    /// writes to it as a whole.
    pub fn room(&self) -> u64 {
        if self.live_redo.is_some() { self.size } else { self.stored }
    }
}

/// One independently compressed block: a zstd frame, gzip member, bzip2 stream, or plain bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// First byte in the archive object.
    pub offset: u64,
    /// Bytes in the archive object.
    pub bytes: u64,
    /// Bytes of tar stream in it.
    pub raw: u64,
}

/// The line of a block. The digests are for who has an older state of the files, and wants to know which blocks it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockLine {
    /// See [`Block::offset`].
    pub offset: u64,
    /// See [`Block::bytes`].
    pub bytes: u64,
    /// See [`Block::raw`].
    pub raw: u64,
    /// Of the data in this block of a file that began in an earlier one. Absent where there is none, or the file has holes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::data_digest::if_known"
    )]
    pub head: Option<DataDigest>,
    /// The same of a file that begins in this block and goes on in the next one.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "super::data_digest::if_known"
    )]
    pub tail: Option<DataDigest>,
}

impl BlockLine {
    /// The block without its digests.
    pub fn block(&self) -> Block {
        Block { offset: self.offset, bytes: self.bytes, raw: self.raw }
    }
}

impl From<Block> for BlockLine {
    fn from(Block { offset, bytes, raw }: Block) -> Self {
        Self { offset, bytes, raw, head: None, tail: None }
    }
}

/// The last line: an index that ends without it is cut off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexEnd {
    /// Number of member lines.
    pub members: u64,
    /// Number of block lines.
    pub blocks: u64,
    /// Length of the tar stream.
    pub raw: u64,
    /// The position, where the header does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gtid: Option<WsrepGtid>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redo_log_with_a_hole_needs_all_of_its_room_and_a_table_with_holes_does_not() {
        let of = |more: &str| {
            let text = format!(
                r#"{{"path":"x","kind":"file","mode":432,"uid":0,"gid":0,"mtime":0,"size":4096000,"stored":8192,
                    "header_offset":0,"end_offset":0{more}}}"#
            );
            serde_json::from_str::<Member>(&text).unwrap().room()
        };
        assert_eq!(of(""), 8192);
        assert_eq!(of(r#","live_redo":{"checkpoint_lsn":5,"end_lsn":9}"#), 4_096_000);
    }
}
