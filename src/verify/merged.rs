//! The content of a file at the end, while its early member passes by: what page members replace is taken from these.
//!
//! They stand behind the file in the archive, so they are read by a second stream, a member at a time, in the order of the file.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::archive::{BlockReader, Index, ReaderOptions, StreamReader, hex, read_full, read_member};
use crate::catalog::{BackupReadError, BackupReader};
use crate::model::Member;
use crate::storage::is_unreadable;

/// Page members of one file that are held at once: one of each round of reading again, 4 MiB each.
const HELD: usize = 6;

/// Bytes of a file that are those of a page member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PatchPiece {
    end: u64,
    /// Which page member of the file.
    member: usize,
    /// Where in its content.
    at: u64,
}

/// What replaces what, by the first byte in the file. Of pieces that overlap the later member's counts.
fn pieces(patches: &[&Member]) -> BTreeMap<u64, PatchPiece> {
    let mut pieces = BTreeMap::new();
    for (member, pages) in patches.iter().enumerate() {
        let mut at = 0;
        for (offset, length) in pages.pages.iter().flat_map(|pages| &pages.runs) {
            put(&mut pieces, *offset, PatchPiece { end: offset + length, member, at });
            at += length;
        }
    }
    pieces
}

fn put(pieces: &mut BTreeMap<u64, PatchPiece>, start: u64, new: PatchPiece) {
    // What reaches into it or beyond it keeps what it has on both sides.
    let from = pieces.range(..start).next_back().map_or(start, |(first, _)| *first);
    let covered: Vec<(u64, PatchPiece)> =
        pieces.range(from..new.end).map(|(first, piece)| (*first, *piece)).collect();
    for (first, piece) in covered.into_iter().filter(|(_, piece)| piece.end > start) {
        pieces.remove(&first);
        if first < start {
            pieces.insert(first, PatchPiece { end: start, ..piece });
        }
        if piece.end > new.end {
            pieces.insert(new.end, PatchPiece { at: piece.at + (new.end - first), ..piece });
        }
    }
    pieces.insert(start, new);
}

/// Gives the content of a page member by its number; none where it cannot be read.
pub(super) type Load<'a> = dyn FnMut(usize) -> Option<Rc<Vec<u8>>> + 'a;

/// One file, put together as its early content passes by.
pub(super) struct Merged<'a> {
    pieces: BTreeMap<u64, PatchPiece>,
    load: Box<Load<'a>>,
    position: u64,
    size: u64,
    /// A page member could not be read, so that what comes is not known.
    is_lost: bool,
}

impl<'a> Merged<'a> {
    /// A file that has this size at the end.
    pub(super) fn new(size: u64, patches: &[&Member], load: Box<Load<'a>>) -> Self {
        Self { pieces: pieces(patches), load, position: 0, size, is_lost: false }
    }

    /// The next bytes that were stored early; `take` gets those that are there at the end.
    pub(super) fn update(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(&[u8])) {
        while !bytes.is_empty() && self.position < self.size && !self.is_lost {
            let most = bytes.len() as u64;
            let (count, is_own) = self.step(most, take);
            let (own, rest) = bytes.split_at(usize::try_from(count).unwrap_or(bytes.len()).min(bytes.len()));
            if is_own {
                take(own);
            }
            bytes = rest;
        }
    }

    /// Behind the last byte that was stored early. Whether everything is known.
    pub(super) fn finish(mut self, take: &mut dyn FnMut(&[u8])) -> bool {
        const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
        while self.position < self.size && !self.is_lost {
            let (count, is_own) = self.step(ZEROS.len() as u64, take);
            if is_own {
                take(&ZEROS[..usize::try_from(count).unwrap_or(ZEROS.len())]);
            }
        }
        !self.is_lost
    }

    /// Goes on by at most so many bytes; how many, and whether no page member has them.
    fn step(&mut self, most: u64, take: &mut dyn FnMut(&[u8])) -> (u64, bool) {
        let begin = self.position;
        let limit = self.size.min(begin.saturating_add(most));
        let here = self.pieces.range(..=begin).next_back().map(|(first, piece)| (*first, *piece));
        let Some((first, piece)) = here.filter(|(_, piece)| piece.end > begin) else {
            let next = self.pieces.range(begin..).next().map_or(limit, |(first, _)| *first);
            self.position = limit.min(next);
            return (self.position - begin, true);
        };
        self.position = limit.min(piece.end);
        let range = |offset: u64| usize::try_from(piece.at + (offset - first)).unwrap_or(usize::MAX);
        let content = (self.load)(piece.member);
        match content.as_ref().and_then(|content| content.get(range(begin)..range(self.position))) {
            Some(bytes) => take(bytes),
            None => self.is_lost = true,
        }
        (self.position - begin, false)
    }
}

/// Reads the page members of one file.
pub(super) struct PageReader<'a> {
    source: &'a BackupReader,
    index: &'a Index,
    patches: Vec<&'a Member>,
    stream: Option<StreamReader>,
    held: Vec<(usize, Rc<Vec<u8>>)>,
    /// The storage has failed.
    failure: Rc<std::cell::RefCell<Option<BackupReadError>>>,
}

impl<'a> PageReader<'a> {
    pub(super) fn new(
        source: &'a BackupReader,
        index: &'a Index,
        patches: Vec<&'a Member>,
        failure: Rc<std::cell::RefCell<Option<BackupReadError>>>,
    ) -> Self {
        Self { source, index, patches, stream: None, held: Vec::new(), failure }
    }

    /// The content of a page member.
    pub(super) fn load(&mut self, number: usize) -> Option<Rc<Vec<u8>>> {
        if let Some((_, content)) = self.held.iter().find(|(held, _)| *held == number) {
            return Some(Rc::clone(content));
        }
        match self.read(number) {
            Ok(content) => {
                let content = Rc::new(content?);
                if self.held.len() == HELD {
                    self.held.remove(0);
                }
                self.held.push((number, Rc::clone(&content)));
                Some(content)
            }
            Err(error) => {
                self.failure.borrow_mut().get_or_insert(error);
                None
            }
        }
    }

    /// None where it is damaged: that is told when the archive is read to there.
    fn read(&mut self, number: usize) -> Result<Option<Vec<u8>>, BackupReadError> {
        let Some(member) = self.patches.get(number).copied() else { return Ok(None) };
        let mut stream = match self.stream.take().filter(|stream| stream.position() <= member.header_offset) {
            Some(stream) => stream,
            None => self.open(member)?,
        };
        let mut content = vec![0; usize::try_from(member.size).unwrap_or(0)];
        let outcome = read_member(&mut stream, member, |data| {
            let count = read_full(data, &mut content)?;
            content.truncate(count);
            // To the end of the member, so that the next one is in front of the stream.
            io::copy(&mut data.take(1), &mut io::sink()).map(drop)
        });
        let is_read =
            outcome.map_err(|cause| BackupReadError::from(self.source.archive_failed(cause)))?.is_ok();
        self.stream = Some(stream).filter(|_| is_read);
        let is_whole = is_read && member.sha256.as_ref() == Some(&hex(&Sha256::digest(&content)));
        Ok(is_whole.then_some(content))
    }

    /// A stream that begins with this member.
    fn open(&self, first: &Member) -> Result<StreamReader, BackupReadError> {
        let from = |member: &&Member| member.header_offset >= first.header_offset;
        let plan = self.index.plan_of(self.patches.iter().copied().filter(from));
        let options =
            ReaderOptions { is_damage: is_unreadable, ..self.source.reader_options(self.index, 1)? };
        let blocks = BlockReader::open(self.source.open_archive()?, plan, &options)
            .map_err(|cause| BackupReadError::from(self.source.archive_failed(cause)))?;
        Ok(StreamReader::new(blocks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(runs: &[(u64, u64)]) -> Member {
        let text = format!(
            r#"{{"path":"p","kind":"pages","mode":0,"uid":0,"gid":0,"mtime":0,"size":0,"stored":0,"header_offset":0,
                "end_offset":0,"pages":{{"of":0,"runs":{}}}}}"#,
            serde_json::to_string(runs).unwrap()
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_file_at_the_end_is_what_patches_make_of_it_one_after_the_other() {
        let mut state = 7_u64;
        let mut random = |end: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) % end
        };
        for round in 0..400 {
            let base: Vec<u8> = (0..random(300)).map(|_| b'b').collect();
            let size = random(400);
            let mut expected = base.clone();
            expected.resize(usize::try_from(size).unwrap(), 0);
            let mut members = Vec::new();
            let mut contents = Vec::new();
            for patch in 0..random(5) {
                let (mut runs, mut content, mut at) = (Vec::new(), Vec::new(), random(50));
                for _ in 0..random(6) {
                    let length = 1 + random(60);
                    runs.push((at, length));
                    for place in at..at + length {
                        let byte = u8::try_from(patch * 40 + random(40) + 1).unwrap();
                        content.push(byte);
                        if let Some(old) = expected.get_mut(usize::try_from(place).unwrap()) {
                            *old = byte;
                        }
                    }
                    at += length + random(40);
                }
                members.push(member(&runs));
                contents.push(Rc::new(content));
            }
            let patches: Vec<&Member> = members.iter().collect();
            let load = Box::new(|number: usize| contents.get(number).cloned());
            let mut merged = Merged::new(size, &patches, load);
            let mut found = Vec::new();
            for chunk in base.chunks(usize::try_from(1 + random(90)).unwrap()) {
                merged.update(chunk, &mut |bytes| found.extend_from_slice(bytes));
            }
            assert!(merged.finish(&mut |bytes| found.extend_from_slice(bytes)));
            assert!(found == expected, "round {round}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        let pages = member(&[(2, 2)]);
        let mut merged = Merged::new(6, &[&pages], Box::new(|_| None));
        let mut found = Vec::new();
        merged.update(b"abcdef", &mut |bytes| found.extend_from_slice(bytes));
        assert_eq!(found, b"ab");
        assert!(!merged.finish(&mut |_| {}));
    }
}
