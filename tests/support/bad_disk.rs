//! A disk that goes bad behind a server's back.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Changes a byte of a page of 16 KiB.
pub fn spoil(tablespace: &Path, page: u64) {
    let file = File::options().read(true).write(true).open(tablespace).unwrap();
    let (place, mut byte) = (page * 16_384 + 5000, [0]);
    file.read_exact_at(&mut byte, place).unwrap();
    file.write_all_at(&[byte[0] ^ 1], place).unwrap();
    file.sync_all().unwrap();
}
