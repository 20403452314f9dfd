//! A file of the [`model`](super::model).

use std::collections::BTreeMap;

use super::facts::{FileFacts, FileIdentity};
use crate::innodb::PageZero;

/// Bytes of a page.
pub(super) const PAGE: u64 = 1024;

/// A page as it is somewhere: what is in it, and its LSN; both 0 where it was never written.
pub(super) type Page = (u64, u64);

/// A file on the disk, and what of it is in memory only.
#[derive(Clone)]
pub(super) struct ModelFile {
    pub(super) space: u32,
    pub(super) inode: u64,
    pub(super) born: i64,
    pub(super) modified: i64,
    pub(super) changed: i64,
    pub(super) disk: Vec<Page>,
    /// Changed pages, and the LSN of their first change.
    pub(super) dirty: BTreeMap<usize, (Page, u64)>,
    /// Rows of another engine: no page is logged.
    pub(super) is_other: bool,
    /// What the header says; a file may be cut off.
    pub(super) pages: u64,
}

impl ModelFile {
    pub(super) fn zero(&self) -> PageZero {
        let mut start = vec![0_u8; PageZero::BYTES];
        start[24 + 1] = 8;
        start[34..38].copy_from_slice(&self.space.to_be_bytes());
        start[38..42].copy_from_slice(&self.space.to_be_bytes());
        start[46..50].copy_from_slice(&u32::try_from(self.pages).unwrap().to_be_bytes());
        // ROW_FORMAT=COMPRESSED with pages of 1 KiB.
        start[54..58].copy_from_slice(&0x23_u32.to_be_bytes());
        start[16..24].copy_from_slice(&self.disk.first().map_or(0, |page| page.1).to_be_bytes());
        PageZero::read(&start).unwrap()
    }

    pub(super) fn facts(&self) -> FileFacts {
        let identity = FileIdentity { device: 1, inode: self.inode, born: Some(self.born) };
        let bytes = self.disk.len() as u64 * PAGE;
        FileFacts {
            identity,
            bytes,
            modified: self.modified,
            changed: self.changed,
            mode: 0o100_660,
            owner: (27, 27),
        }
    }
}
