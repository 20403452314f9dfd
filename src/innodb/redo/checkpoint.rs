//! The two checkpoint blocks.

use super::format::be64;

/// Bytes of a checkpoint that count.
const CHECKPOINT_BYTES: usize = 64;
/// No server comes so far.
const LAST_LSN: u64 = 1 << 62;

/// From where a server reads its log when it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checkpoint {
    /// Everything before it is in the data files.
    pub lsn: u64,
    /// At or behind this LSN is the record that names [`Checkpoint::lsn`]; without it a server does not start.
    pub end_lsn: u64,
}

impl Checkpoint {
    /// None where the block is not whole (`recv_sys_t::find_checkpoint`).
    pub(super) fn parse(block: &[u8], first_lsn: u64) -> Option<Self> {
        let block = block.get(..CHECKPOINT_BYTES)?;
        let (covered, sum) = block.split_at(CHECKPOINT_BYTES - 4);
        let found = Self { lsn: be64(covered, 0), end_lsn: be64(covered, 8) };
        let is_whole = found.lsn >= first_lsn
            && found.end_lsn >= found.lsn
            && found.end_lsn < LAST_LSN
            && covered[16..40].iter().all(|byte| *byte == 0)
            && crc32c::crc32c(covered).to_be_bytes() == sum;
        is_whole.then_some(found)
    }
}

/// Whether a mini-transaction has the record that belongs to a checkpoint.
pub(super) fn names(checkpoint: &Checkpoint, lsn: u64, named: Option<u64>, is_encrypted: bool) -> bool {
    lsn >= checkpoint.end_lsn && named.is_some_and(|named| is_encrypted || named == checkpoint.lsn)
}
