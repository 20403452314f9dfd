//! The blocks of an archive, as who plans them, who reads them and who decompresses them speak of them.

use crossbeam_channel::Sender;

use crate::model::Block;

/// So many blocks a thread that fetches takes at once, where there are several: those that lie side by side come by one request.
pub(super) const STRETCH: usize = 4;

/// Why a block has no bytes. In words it is the same for every member that lies in what is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDamage {
    /// Number of the block, from 0.
    pub block: usize,
    /// Where it starts in the archive, bytes: in its stream inside the seal, where there is one.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
    /// The byte of the object that the storage does not give, where that is it.
    pub unread_at: Option<u64>,
}

/// The reason where the object is cut, before the byte at which it ends.
pub const ENDS: &str = "the archive ends at byte ";

impl std::fmt::Display for BlockDamage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "block {} at byte {} of the archive: {}", self.block, self.offset, self.reason)
    }
}

impl std::error::Error for BlockDamage {}

/// A block that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlannedBlock {
    /// Its number in the archive, from 0.
    pub number: usize,
    /// Where its bytes start in the tar stream.
    pub raw_offset: u64,
    /// Its place and lengths.
    pub block: Block,
}

/// What the whole object turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectDigest {
    /// Bytes read until its end.
    pub bytes: u64,
    /// SHA-256 of them.
    pub sha256: String,
}

/// What is to be read of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPlan {
    /// In the order of the archive.
    pub(super) blocks: Vec<PlannedBlock>,
    /// All of it, and what lies behind the last block: the object is digested.
    pub(super) is_whole: bool,
}

impl ReadPlan {
    /// How many threads have anything to fetch of it where each can go on by itself, at most.
    pub fn fetchers(&self) -> usize {
        if self.is_whole { 1 } else { self.blocks.len().div_ceil(STRETCH).max(1) }
    }

    /// Bytes of the archive that are read.
    pub fn bytes(&self) -> u64 {
        self.blocks.iter().map(|planned| planned.block.bytes).sum()
    }

    /// Bytes of the tar stream that come out of them.
    pub fn raw_bytes(&self) -> u64 {
        self.blocks.iter().map(|planned| planned.block.raw).sum()
    }
}

/// One block of tar stream.
#[derive(Debug)]
pub struct DecodedBlock {
    /// Its place and lengths.
    pub planned: PlannedBlock,
    /// Its bytes.
    pub bytes: Result<Vec<u8>, BlockDamage>,
}

/// One that was fetched and is to be decompressed.
pub(super) struct DecodeJob {
    pub(super) planned: PlannedBlock,
    pub(super) frame: Result<Vec<u8>, BlockDamage>,
    pub(super) reply: Sender<DecodedBlock>,
}
