//! Tells a file that this restore has made from another one that has got its name.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

/// Which file this is, whatever has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let data = file.metadata()?;
        Ok(Self { device: data.dev(), inode: data.ino() })
    }
}
