//! The pages of a file that changed since a checkpoint, by their own LSN: what is done where the redo log could not be followed.
//!
//! A page that was written to the file behind the checkpoint had been changed behind it, so its LSN (`FIL_PAGE_LSN`, which is neither encrypted nor compressed) is not below. A page
//! of zeros has none; it may have become one since. Eight bytes of each page are read; the kernel is told to fetch what comes next, since on a disk a small read for each page would take as long
//! as a read of all in small pieces.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use roaring::RoaringBitmap;

use super::compare::SpacePart;
use crate::innodb::PageZero;

/// Pages between two looks whether anybody still wants them.
const STEP: u64 = 4096;
/// Bytes that the kernel is told to fetch at once.
const AHEAD: u64 = 8 << 20;

/// Their numbers in the tablespace. `count` ends the search by an error.
pub(super) fn search(
    file: &File,
    part: &SpacePart,
    bytes: u64,
    checkpoint: u64,
    count: &dyn Fn(u64) -> io::Result<()>,
) -> io::Result<RoaringBitmap> {
    let size = u64::from(part.zero.page_size).max(1);
    let mut found = RoaringBitmap::new();
    let mut fetched = 0;
    for page in 0..bytes / size {
        if page * size >= fetched {
            fetch(file, fetched);
            fetched += AHEAD;
        }
        let mut lsn = [0; 8];
        file.read_exact_at(&mut lsn, page * size + PageZero::LSN_AT)?;
        let lsn = u64::from_be_bytes(lsn);
        if lsn == 0 || lsn >= checkpoint {
            found.insert(u32::try_from(part.base + page).unwrap_or(u32::MAX));
        }
        if page % STEP == 0 {
            count(0)?;
        }
    }
    Ok(found)
}

/// Whatever comes of it: it only saves time.
fn fetch(file: &File, from: u64) {
    let (Ok(from), Ok(bytes)) = (i64::try_from(from), i64::try_from(AHEAD * 2)) else { return };
    let _ = posix_fadvise(file, from, bytes, PosixFadviseAdvice::POSIX_FADV_WILLNEED);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_by_their_lsn_or_where_they_have_none() {
        let file = tempfile::tempfile().unwrap();
        let mut start = vec![0; 8 * 16384];
        for (page, lsn) in [(0, 900_u64), (1, 1000), (2, 1001), (3, 0), (4, 12), (5, u64::MAX), (6, 999)] {
            start[page * 16384 + 16..page * 16384 + 24].copy_from_slice(&lsn.to_be_bytes());
        }
        start[24 + 1] = 8;
        start[38 + 8 + 3] = 8;
        start[38 + 16 + 3] = 0x15;
        file.write_all_at(&start, 0).unwrap();
        let zero = PageZero::read(&start).unwrap();
        let part = SpacePart { zero, base: 100, is_system: false };
        let found = search(&file, &part, start.len() as u64, 1000, &|_| Ok(())).unwrap();
        assert!(found.iter().eq([101, 102, 103, 105, 107]), "{found:?}");
        assert!(search(&file, &part, 16384, 1000, &|_| Err(io::Error::other("given up"))).is_err());
    }
}
