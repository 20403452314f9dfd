//! Where the bytes of a log are.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A log that can be read at any place.
pub trait LogBytes {
    /// Its length, bytes.
    fn size(&self) -> io::Result<u64>;

    /// Fills the buffer from this place on.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl LogBytes for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }
}
