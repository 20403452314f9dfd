//! Runs of pages of a file: which of them are kept, and how they are read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use roaring::RoaringBitmap;

use super::spool::SpoolPlace;
use crate::archive::Segment;

/// Bytes that are looked at at once for pages of zeros.
const CHUNK: usize = 1 << 20;
/// Runs of all files together, nearly: each takes 16 bytes, in up to three places. Where there would be more, pages between them are read as well.
pub(super) const MOST_RUNS: usize = 1 << 20;
/// Runs of one file that are not too many, whatever others have.
pub(super) const LEAST_RUNS: usize = 64;

/// Pages of one file.
pub(super) struct Patch {
    pub(super) early: usize,
    /// Its number in the list. It is not kept open: there may be more of them than descriptors.
    pub(super) number: usize,
    /// Where they belong in it.
    pub(super) runs: Vec<Segment>,
    /// Where they are kept, one run behind the other; none where they are to be read from the server's file.
    pub(super) place: Option<SpoolPlace>,
}

impl Patch {
    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.len).sum()
    }
}

/// Pages as runs of bytes in a file of so many: `most` runs at most. Where there are more, pages between them are taken as well; they are read as they are.
pub(super) fn page_runs(pages: &RoaringBitmap, size: u64, bytes: u64, most: usize) -> Vec<(u64, u64)> {
    let mut gap = 0;
    while count_runs(pages, gap) > most.max(1) {
        gap = gap * 2 + 1;
    }
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for page in pages {
        let begin = u64::from(page) * size;
        let end = (begin + size).min(bytes);
        if end <= begin {
            break;
        }
        match runs.last_mut() {
            Some((start, length)) if begin - (*start + *length) <= gap * size => *length = end - *start,
            _ => runs.push((begin, end - begin)),
        }
    }
    runs
}

/// How many runs there are where those with so many pages between them are one.
fn count_runs(pages: &RoaringBitmap, gap: u64) -> usize {
    let (mut runs, mut before) = (0, None);
    for page in pages.iter().map(u64::from) {
        runs += usize::from(before.is_none_or(|before| page - before > gap + 1));
        before = Some(page);
    }
    runs
}

fn add_run(kept: &mut Vec<Segment>, offset: u64, len: u64) {
    match kept.last_mut() {
        Some(last) if last.offset + last.len == offset => last.len += len,
        _ => kept.push(Segment { offset, len }),
    }
}

/// Joins runs that are near each other until they are not too many.
fn join_runs(runs: &mut Vec<Segment>, page: u64, most: usize) {
    let mut gap = page.max(1);
    while runs.len() > most.max(1) {
        runs.dedup_by(|next, last| {
            let is_near = next.offset - (last.offset + last.len) <= gap;
            if is_near {
                last.len = next.offset + next.len - last.offset;
            }
            is_near
        });
        gap = gap.saturating_mul(2);
    }
}

/// These runs without pages of zeros behind the end of the early copy: there it is filled up with zeros. `most` runs at most, with
/// some of these pages where there would be more.
pub(super) fn without_zeros(
    file: &File,
    runs: &[(u64, u64)],
    end: u64,
    page: u64,
    most: usize,
) -> io::Result<Vec<Segment>> {
    let mut kept: Vec<Segment> = Vec::new();
    let mut buffer = Vec::new();
    for (begin, length) in runs {
        let stop = begin + length;
        // Up to the page in which the early copy ends.
        let known = end.next_multiple_of(page).clamp(*begin, stop);
        if known > *begin {
            add_run(&mut kept, *begin, known - begin);
        }
        let mut at = known;
        while at < stop {
            buffer.resize(CHUNK.min(usize::try_from(stop - at).unwrap_or(CHUNK)), 0);
            file.read_exact_at(&mut buffer, at)?;
            for content in buffer.chunks(usize::try_from(page).unwrap_or(CHUNK)) {
                if content.iter().any(|byte| *byte != 0) {
                    add_run(&mut kept, at, content.len() as u64);
                }
                at += content.len() as u64;
            }
            if kept.len() > most.saturating_mul(2) {
                join_runs(&mut kept, page, most);
            }
        }
    }
    join_runs(&mut kept, page, most);
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
    fn too_many_runs_become_fewer_with_the_pages_between_them() {
        let pages: RoaringBitmap = [0, 1, 3, 10, 12, 90].into_iter().collect();
        let runs = |most| page_runs(&pages, 1024, 90 * 1024 + 500, most);
        let in_pages = |most| -> Vec<(u64, u64)> {
            runs(most).iter().map(|(begin, length)| (begin / 1024, length.div_ceil(1024))).collect()
        };
        assert_eq!(in_pages(5), [(0, 2), (3, 1), (10, 1), (12, 1), (90, 1)]);
        assert_eq!(runs(5)[4], (90 * 1024, 500));
        assert_eq!(in_pages(4), [(0, 4), (10, 3), (90, 1)]);
        assert_eq!(in_pages(2), [(0, 13), (90, 1)]);
        assert_eq!((in_pages(1), in_pages(0)), (vec![(0, 91)], vec![(0, 91)]));
        assert_eq!(page_runs(&pages, 1024, 3 * 1024, 9), [(0, 2048)], "those behind the end are none");
        let file = tempfile::tempfile().unwrap();
        let mut content = vec![0_u8; 64 * 1024];
        content.chunks_mut(2048).for_each(|two| two[0] = 1);
        file.write_all_at(&content, 0).unwrap();
        let kept = |most| without_zeros(&file, &[(0, 64 * 1024)], 0, 1024, most).unwrap();
        assert_eq!((kept(99).len(), kept(9)), (32, vec![Segment { offset: 0, len: 63 * 1024 }]));
    }

    #[test]
    fn behind_the_early_copy_pages_of_zeros_are_left_out_and_runs_are_read_in_a_row() {
        let file = tempfile::tempfile().unwrap();
        let mut content = vec![0_u8; 10 * 1024];
        for page in [1, 4, 5, 8] {
            content[page * 1024 + 7] = u8::try_from(page).unwrap();
        }
        file.write_all_at(&content, 0).unwrap();
        // The early copy ends within page 3; pages 0 to 3 are stored whatever is in them.
        let runs = without_zeros(&file, &[(0, 2048), (3072, 7168)], 3500, 1024, 9).unwrap();
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
