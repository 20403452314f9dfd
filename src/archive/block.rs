//! The blocks of an archive, as who plans them, who reads them and who decompresses them speak of them.

use crate::model::Block;

/// Why a block has no bytes. In words it is the same for every member that lies in what is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDamage {
    /// Number of the block, from 0.
    pub block: usize,
    /// Where it starts in the archive, bytes: in its stream inside the seal, where there is one.
    pub offset: u64,
    /// What is wrong.
    pub reason: String,
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
