//! Whether what an index says of parts of files is so: each digest is compared with what its block has, while the block is at hand anyway.
//! `restore --delta` goes by these digests, and nothing else would show that one is wrong.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::data_parts::DataParts;
use super::index::Index;
use crate::model::DataDigest;

/// A digest that the index has, and where its bytes are.
#[derive(Debug)]
struct ExpectedDigest {
    block: usize,
    /// In the block.
    range: Range<usize>,
    digest: DataDigest,
    /// The place of its member in the list of the stream's members.
    member: usize,
    /// First byte in the file.
    from: u64,
}

/// A digest of the index that is not that of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongDigest {
    /// The place of its member in the list of the stream's members ([`Index::stream_members`]).
    pub member: usize,
    /// Number of the block, from 0.
    pub block: usize,
    /// Its bytes in the file: the first one, and the one behind.
    pub bytes: Range<u64>,
}

/// All digests of parts that an index has. Blocks may come in any order, and from several threads.
#[derive(Debug)]
pub struct BorderCheck {
    /// In the order of the blocks.
    expected: Vec<ExpectedDigest>,
    wrong: Mutex<Vec<WrongDigest>>,
}

impl BorderCheck {
    /// Those of this index.
    pub fn of(index: &Index) -> Self {
        let parts = DataParts::of(index);
        let members = index.stream_members().iter().enumerate();
        let expected = members.flat_map(|(member, stored)| {
            let parts = &parts;
            parts.digested(stored).filter_map(move |(block, part)| {
                let (from, to) = part.range();
                let inside = |at: u64| usize::try_from(at - parts.begin_of(block)).ok();
                let range = inside(from)?..inside(to)?;
                Some(ExpectedDigest { block, range, digest: part.digest, member, from: part.from })
            })
        });
        Self { expected: expected.collect(), wrong: Mutex::default() }
    }

    /// Compares what this block has.
    pub(super) fn block(&self, block: usize, bytes: &[u8]) {
        let first = self.expected.partition_point(|expected| expected.block < block);
        let of_block = self.expected[first..].iter().take_while(|expected| expected.block == block);
        let is_wrong = |expected: &&ExpectedDigest| {
            bytes.get(expected.range.clone()).map(DataDigest::of) != Some(expected.digest)
        };
        for ExpectedDigest { range, member, from, .. } in of_block.filter(is_wrong) {
            let bytes = *from..from + range.len() as u64;
            let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
            wrong.push(WrongDigest { member: *member, block, bytes });
        }
    }

    /// Those that were found wrong, in the order of the archive.
    pub fn wrong(&self) -> Vec<WrongDigest> {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone();
        wrong.sort_by_key(|wrong| (wrong.block, wrong.member));
        wrong
    }
}
