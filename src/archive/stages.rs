//! The stages through which a file's content passes on its way into the archive.
//!
//! ```text
//! Pieces (reads) ──> ContentDigest ──> ContentPages ──> Store (the tar stream)
//! ```
//!
//! A stage takes pieces in their order and knows of no other stage, so each of them can be given a thread of its own.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

use super::digest::hex;
use super::member::{FileContent, NewMember, Segment};
use crate::innodb::{LivePages, PageChecker, PageReport};

/// Bytes read from a file at once.
pub(super) const CHUNK: usize = 128 << 10;

/// A piece of a file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// What the file holds here.
    Data(&'a [u8]),
    /// So many zeros that the file does not hold.
    Hole(u64),
}

/// What takes pieces.
pub(super) trait Stage {
    /// The next piece.
    fn take(&mut self, piece: Piece<'_>) -> io::Result<()>;
}

/// Reads a file piece by piece, as many bytes as were promised.
pub(super) struct Pieces<'a> {
    source: &'a mut dyn FileContent,
    segments: &'a [Segment],
    /// Bytes of the file, holes included.
    size: u64,
    position: u64,
    is_short: bool,
}

impl<'a> Pieces<'a> {
    /// The source yields the bytes of these segments, one after the other.
    pub(super) fn new(source: &'a mut dyn FileContent, segments: &'a [Segment], size: u64) -> Self {
        Self { source, segments, size, position: 0, is_short: false }
    }

    /// The next piece; its data is read into `chunk`. A source that ends early is filled up with zeros.
    pub(super) fn next<'c>(&mut self, chunk: &'c mut [u8]) -> io::Result<Option<Piece<'c>>> {
        while let Some(segment) = self.segments.first() {
            let end = segment.offset + segment.len;
            if self.position < segment.offset {
                let hole = segment.offset - self.position;
                self.position = segment.offset;
                return Ok(Some(Piece::Hole(hole)));
            }
            if self.position < end {
                let left = usize::try_from(end - self.position).unwrap_or(usize::MAX);
                let want = left.min(chunk.len());
                let got = if self.is_short { 0 } else { read_full(self.source, &mut chunk[..want])? };
                self.is_short |= got < want;
                chunk[got..want].fill(0);
                self.position += want as u64;
                return Ok(Some(Piece::Data(&chunk[..want])));
            }
            self.segments = &self.segments[1..];
        }
        let hole = self.size.saturating_sub(self.position);
        self.position += hole;
        Ok((hole > 0).then_some(Piece::Hole(hole)))
    }

    /// Whether the source has ended before its last promised byte.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }
}

/// Fills the buffer unless the source ends; how many bytes it has given.
pub fn read_full<R: Read + ?Sized>(source: &mut R, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// SHA-256 of the content as a reader sees it, holes as zeros.
#[derive(Default)]
pub(super) struct ContentDigest(Sha256);

impl ContentDigest {
    /// In hexadecimal.
    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

impl Stage for ContentDigest {
    fn take(&mut self, piece: Piece<'_>) -> io::Result<()> {
        each_slice(piece, |bytes| self.0.update(bytes));
        Ok(())
    }
}

fn is_tablespace(member: &NewMember) -> bool {
    member.system_tablespace || PageChecker::is_tablespace(&member.name().file_name())
}

/// Checksums of the pages of a tablespace; nothing for other files.
pub(super) struct ContentPages(Option<PageChecker>);

impl ContentPages {
    /// Before the first byte.
    pub(super) fn new(member: &NewMember) -> Self {
        Self(is_tablespace(member).then(PageChecker::new))
    }

    /// The same of a file that the server writes to.
    pub(super) fn live(member: &NewMember) -> Self {
        Self(is_tablespace(member).then(PageChecker::live))
    }

    /// What was found in such a file.
    pub(super) fn finish_live(self) -> Option<LivePages> {
        self.0.map(PageChecker::finish_live)
    }

    /// What was found.
    pub(super) fn finish(self) -> Option<PageReport> {
        self.0.map(PageChecker::finish)
    }
}

impl Stage for ContentPages {
    fn take(&mut self, piece: Piece<'_>) -> io::Result<()> {
        if let Some(checker) = &mut self.0 {
            each_slice(piece, |bytes| checker.update(bytes));
        }
        Ok(())
    }
}

/// Writes the pieces to a stream.
pub(super) struct Store<'a, W> {
    pub(super) stream: &'a mut W,
    /// Holes are left out; the header says where they are.
    pub(super) keeps_holes: bool,
}

impl<W: Write> Stage for Store<'_, W> {
    fn take(&mut self, piece: Piece<'_>) -> io::Result<()> {
        match piece {
            Piece::Data(bytes) => self.stream.write_all(bytes),
            Piece::Hole(_) if self.keeps_holes => Ok(()),
            Piece::Hole(bytes) => io::copy(&mut io::repeat(0).take(bytes), self.stream).map(drop),
        }
    }
}

/// The bytes that a reader sees.
fn each_slice(piece: Piece<'_>, mut take: impl FnMut(&[u8])) {
    const ZEROS: [u8; 16 << 10] = [0; 16 << 10];
    match piece {
        Piece::Data(bytes) => take(bytes),
        Piece::Hole(mut left) => {
            while left > 0 {
                let now = left.min(ZEROS.len() as u64);
                take(&ZEROS[..usize::try_from(now).unwrap_or(ZEROS.len())]);
                left -= now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bytes(&'static [u8]);

    impl Read for Bytes {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl FileContent for Bytes {
        fn changed(&mut self) -> bool {
            false
        }
    }

    #[test]
    fn holes_and_what_a_source_lacks_are_zeros_and_every_stage_sees_the_same() {
        let segments = [Segment { offset: 2, len: 3 }, Segment { offset: 8, len: 4 }];
        let mut source = Bytes(b"abcde");
        let mut pieces = Pieces::new(&mut source, &segments, 14);
        let (mut digest, mut chunk) = (ContentDigest::default(), [9; 3]);
        let (mut dense, mut sparse) = (Vec::new(), Vec::new());
        while let Some(piece) = pieces.next(&mut chunk).unwrap() {
            digest.take(piece).unwrap();
            Store { stream: &mut dense, keeps_holes: false }.take(piece).unwrap();
            Store { stream: &mut sparse, keeps_holes: true }.take(piece).unwrap();
        }
        assert!(pieces.is_short());
        assert_eq!(dense, b"\0\0abc\0\0\0de\0\0\0\0");
        assert_eq!(sparse, b"abcde\0\0");
        assert_eq!(digest.finish(), hex(&Sha256::digest(&dense)));
    }
}
