//! A file cut at the borders of blocks, with a digest of each part: what a block has of it can be compared without reading the block.

use super::index::Index;
use super::tar_header::TAR_BLOCK;
use crate::model::{DataDigest, Member, MemberKind};

/// A part of a file as it is stored: what one block has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataPart {
    /// Its first byte in the file.
    pub from: u64,
    /// The first byte behind it.
    pub to: u64,
    /// Where it begins in the tar stream.
    pub stream: u64,
    /// Of its bytes.
    pub digest: DataDigest,
}

impl DataPart {
    /// What the file has at the end of these bytes of the part: it may be cut off in it.
    pub fn wanted<'b>(&self, member: &Member, bytes: &'b [u8]) -> &'b [u8] {
        let left = usize::try_from(member.size.saturating_sub(self.from)).unwrap_or(usize::MAX);
        &bytes[..left.min(bytes.len())]
    }

    /// Its place in the tar stream: first byte, and first byte behind.
    pub fn range(&self) -> (u64, u64) {
        (self.stream, self.stream + (self.to - self.from))
    }
}

/// Finds the parts of files.
pub struct DataParts<'a> {
    index: &'a Index,
    /// Where blocks begin in the tar stream, and where the last one ends.
    starts: Vec<u64>,
}

impl<'a> DataParts<'a> {
    /// Those of an archive.
    pub fn of(index: &'a Index) -> Self {
        let mut starts = vec![0];
        let mut end = 0;
        starts.extend(index.blocks.iter().map(|block| {
            end += block.raw;
            end
        }));
        Self { index, starts }
    }

    /// The parts of a file, as it stands in the stream ([`Index::stored`]), one behind the other. None where it lies in one block, has
    /// holes, or the index has no digest of one of them.
    pub fn parts(&self, stored: &Member) -> Option<Vec<DataPart>> {
        if stored.kind != MemberKind::File {
            return None;
        }
        let parts: Option<Vec<DataPart>> = self.cut(stored).map(|(_, part)| part).collect();
        parts.filter(|parts| !parts.is_empty())
    }

    /// The parts of a member of the stream, whatever it is, of which the index has a digest; and the blocks that have them.
    pub(super) fn digested(&self, stored: &Member) -> impl Iterator<Item = (usize, DataPart)> {
        self.cut(stored).filter_map(|(block, part)| Some((block, part?)))
    }

    /// Where a block begins in the stream.
    pub(super) fn begin_of(&self, block: usize) -> u64 {
        self.starts.get(block).copied().unwrap_or(u64::MAX)
    }

    /// Each block over which the data of a member goes, with the part that is in it where the index has a digest of that. None where it lies in one
    /// block, or has holes.
    fn cut(&self, stored: &Member) -> impl Iterator<Item = (usize, Option<DataPart>)> {
        // What stands before the data is the headers, and behind it what fills its last block of the tar.
        let begin = stored.end_offset - stored.stored.next_multiple_of(TAR_BLOCK as u64);
        let end = begin + stored.stored;
        let first = self.starts.partition_point(|start| *start <= begin) - 1;
        let behind = self.starts.partition_point(|start| *start < end);
        let part = move |block: usize| {
            let (block_begin, block_end) = (self.starts[block], *self.starts.get(block + 1)?);
            let (from, to) = (begin.max(block_begin), end.min(block_end));
            let digest = self.index.borders.get(block, begin >= block_begin)?;
            Some(DataPart { from: from - begin, to: to - begin, stream: from, digest })
        };
        let is_cut = !stored.sparse && stored.stored > 0 && behind - first > 1;
        let blocks = if is_cut { first..behind } else { first..first };
        blocks.map(move |block| (block, part(block)))
    }
}
