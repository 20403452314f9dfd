//! What of a part of a file is not what it should be.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::restore::patch::HOLE;

/// Fills `old` from this byte of the file on; how much of it the file has. What cannot be read counts as not there: it is written, since a disk may
/// have lost it.
pub(super) fn read_there(file: &File, at: u64, old: &mut [u8]) -> usize {
    let mut filled = 0;
    while filled < old.len() {
        match file.read_at(&mut old[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    filled
}

/// The stretches of `new` that `old` has not, in whole pieces of [`HOLE`] bytes. `old` may end before.
pub(super) fn differing(old: &[u8], new: &[u8]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    for (number, piece) in new.chunks(HOLE).enumerate() {
        let range = number * HOLE..number * HOLE + piece.len();
        if old.get(range.clone()) == Some(piece) {
            continue;
        }
        match found.last_mut().filter(|last| last.end == range.start) {
            Some(last) => last.end = range.end,
            None => found.push(range),
        }
    }
    found
}

/// Writes the pieces that are not the same already; how many bytes that were.
pub(super) fn write_differing(file: &File, from: u64, bytes: &[u8]) -> io::Result<u64> {
    let mut old = vec![0; bytes.len()];
    let there = read_there(file, from, &mut old);
    let mut written = 0;
    for range in differing(&old[..there], bytes) {
        file.write_all_at(&bytes[range.clone()], from + range.start as u64)?;
        written += range.len() as u64;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let old: Vec<u8> = (0..=250).cycle().take(10 * HOLE + 100).collect();
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        for (changed, written) in [
            (Vec::<usize>::new(), 0),
            (vec![0], HOLE),
            (vec![HOLE, HOLE + 1, 3 * HOLE - 1], 2 * HOLE),
            (vec![10 * HOLE], 100),
            ((0..old.len()).collect(), old.len()),
        ] {
            std::fs::write(&path, [&[9; 77][..], &old].concat()).unwrap();
            let mut new = old.clone();
            for at in &changed {
                new[*at] ^= 1;
            }
            assert_eq!(write_differing(&open(), 77, &new).unwrap(), written as u64, "{:?}", changed.first());
            assert!(std::fs::read(&path).unwrap() == [&[9; 77][..], &new].concat());
        }
        // What a file ends before is written, and nothing of what it has.
        std::fs::write(&path, &old[..2 * HOLE + 7]).unwrap();
        assert_eq!(write_differing(&open(), 0, &old[..3 * HOLE]).unwrap(), HOLE as u64);
        assert!(std::fs::read(&path).unwrap() == old[..3 * HOLE]);
    }
}
