//! The digests in an index of what blocks have of files that do not lie in them as a whole.

use crate::model::{BlockLine, DataDigest};

/// The digests of blocks that lie in no file as a whole: of terabytes they are many, and nearly all blocks have one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BorderDigests {
    /// Block, whether it is that of its tail, and digest; ascending.
    digests: Vec<(u32, bool, DataDigest)>,
    blocks: u32,
}

impl BorderDigests {
    /// The next block.
    pub(super) fn take(&mut self, line: &BlockLine) {
        let ends = [(false, line.head), (true, line.tail)];
        let found = ends.into_iter().filter_map(|(is_tail, digest)| Some((self.blocks, is_tail, digest?)));
        self.digests.extend(found);
        self.blocks = self.blocks.saturating_add(1);
    }

    /// Of what this block has of the file that goes on behind it (`is_tail`), or of the one that began before it.
    pub(super) fn get(&self, block: usize, is_tail: bool) -> Option<DataDigest> {
        let key = (u32::try_from(block).ok()?, is_tail);
        let place = self.digests.binary_search_by_key(&key, |(block, is_tail, _)| (*block, *is_tail));
        place.ok().map(|place| self.digests[place].2)
    }
}
