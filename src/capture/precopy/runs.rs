//! Runs of pages of a file: which of them are kept, and how they are read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::spool::SpoolPlace;
use crate::archive::Segment;

/// Bytes that are looked at at once for pages of zeros.
const CHUNK: usize = 1 << 20;

/// Pages of one file.
pub(super) struct Patch {
    pub(super) early: usize,
    /// Where they belong in it.
    pub(super) runs: Vec<Segment>,
    /// Where they are kept, one run behind the other; none where they are to be read from the server's file.
    pub(super) place: Option<SpoolPlace>,
    pub(super) file: Arc<File>,
}

impl Patch {
    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.len).sum()
    }
}

/// These runs without pages of zeros behind the end of the early copy: there it is filled up with zeros.
pub(super) fn without_zeros(
    file: &File,
    runs: &[(u64, u64)],
    end: u64,
    page: u64,
) -> io::Result<Vec<Segment>> {
    let mut kept: Vec<Segment> = Vec::new();
    let mut add = |offset: u64, len: u64| match kept.last_mut() {
        Some(last) if last.offset + last.len == offset => last.len += len,
        _ => kept.push(Segment { offset, len }),
    };
    let mut buffer = Vec::new();
    for (begin, length) in runs {
        let stop = begin + length;
        // Up to the page in which the early copy ends.
        let known = end.next_multiple_of(page).clamp(*begin, stop);
        if known > *begin {
            add(*begin, known - begin);
        }
        let mut at = known;
        while at < stop {
            buffer.resize(CHUNK.min(usize::try_from(stop - at).unwrap_or(CHUNK)), 0);
            file.read_exact_at(&mut buffer, at)?;
            for content in buffer.chunks(usize::try_from(page).unwrap_or(CHUNK)) {
                if content.iter().any(|byte| *byte != 0) {
                    add(at, content.len() as u64);
                }
                at += content.len() as u64;
            }
        }
    }
    Ok(kept)
}

/// Reads runs of a file one behind the other.
pub(super) struct RunReader<'a> {
    pub(super) file: &'a File,
    pub(super) runs: &'a [Segment],
    /// Bytes taken of the first of them.
    pub(super) taken: u64,
    pub(super) count: &'a dyn Fn(u64) -> io::Result<()>,
}

impl Read for RunReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(run) = self.runs.first() {
            let left = run.len - self.taken;
            if left == 0 {
                self.runs = &self.runs[1..];
                self.taken = 0;
                continue;
            }
            let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let got = self.file.read_at(&mut buffer[..wanted], run.offset + self.taken)?;
            self.taken += got as u64;
            (self.count)(got as u64)?;
            return Ok(got);
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_the_early_copy_pages_of_zeros_are_left_out_and_runs_are_read_in_a_row() {
        let file = tempfile::tempfile().unwrap();
        let mut content = vec![0_u8; 10 * 1024];
        for page in [1, 4, 5, 8] {
            content[page * 1024 + 7] = u8::try_from(page).unwrap();
        }
        file.write_all_at(&content, 0).unwrap();
        // The early copy ends within page 3; pages 0 to 3 are stored whatever is in them.
        let runs = without_zeros(&file, &[(0, 2048), (3072, 7168)], 3500, 1024).unwrap();
        let segment = |page: u64, pages: u64| Segment { offset: page * 1024, len: pages * 1024 };
        assert_eq!(runs, [segment(0, 2), segment(3, 3), segment(8, 1)]);
        let mut reader = RunReader { file: &file, runs: &runs, taken: 0, count: &|_| Ok(()) };
        let mut read = Vec::new();
        reader.read_to_end(&mut read).unwrap();
        assert_eq!(read, [&content[..2048], &content[3072..6144], &content[8192..9216]].concat());
        let mut stopped =
            RunReader { file: &file, runs: &runs, taken: 0, count: &|_| Err(io::Error::other("given up")) };
        assert!(stopped.read(&mut [0; 10]).is_err());
    }
}
