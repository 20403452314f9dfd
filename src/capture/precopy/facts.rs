//! What is known of a file: which one it is, and when it was written to.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::time::UNIX_EPOCH;

use crate::innodb::PageZero;

const SECOND: i64 = 1_000_000_000;
/// What was written to a file this long before it was opened may have reached it later. The clock of file times is coarse by a tick of the kernel (10 ms
/// at most) and of some file systems by 2 s; and a write that goes past the page cache (`O_DIRECT`) gets its time when it is handed to the disk.
const SLACK: i64 = 30 * SECOND;

/// A file, whatever its name: another file never has all of these. `ext4` gives the inode of a removed file to the next one that is made, but not its time
/// of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileIdentity {
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Nanoseconds since 1970; none where the file system does not tell.
    pub(super) born: Option<i64>,
}

/// A file at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileFacts {
    pub(super) identity: FileIdentity,
    pub(super) bytes: u64,
    /// Of its content, nanoseconds since 1970.
    pub(super) modified: i64,
    /// Of anything.
    pub(super) changed: i64,
    /// Permissions, with the kind of file.
    pub(super) mode: u32,
    /// Its owner, and its group.
    pub(super) owner: (u32, u32),
}

impl FileFacts {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanos = |seconds: i64, nanos: i64| seconds.wrapping_mul(SECOND).wrapping_add(nanos);
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Self {
            identity: FileIdentity {
                device: metadata.dev(),
                inode: metadata.ino(),
                born: born.and_then(|born| i64::try_from(born.as_nanos()).ok()),
            },
            bytes: metadata.len(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
        }
    }

    /// Whether a member of the one stands for the other, but for its content: the same file, with the same owner and permissions.
    pub(super) fn is_same_file(&self, now: &Self) -> bool {
        self.identity == now.identity && self.mode == now.mode && self.owner == now.owner
    }

    /// Whether nothing can have happened to a file since it was opened at `opened` (nanoseconds since 1970), and looked like this, if it looks like `now`
    /// later: each write sets both times, and nobody can set the second one back.
    pub(super) fn is_untouched(&self, opened: i64, now: &Self) -> bool {
        self == now && self.has_rested(opened)
    }

    /// Whether nothing had happened to it for so long, when it was opened at `opened`, that whatever happens later is seen in its times.
    pub(super) fn has_rested(&self, opened: i64) -> bool {
        self.modified < opened - SLACK && self.changed < opened - SLACK
    }
}

/// Reads how a tablespace begins; none where it is none.
pub(super) fn page_zero(file: &File) -> io::Result<Option<PageZero>> {
    let mut start = [0; PageZero::BYTES];
    match file.read_exact_at(&mut start, 0) {
        Ok(()) => Ok(PageZero::read(&start)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
