//! One mini-transaction: its records, the byte that ends them, and its checksum.
//!
//! The records end with a byte 0 or 1, which no record begins with.

use super::format::be32;
use super::record::{Broken, LONGEST, RecordHead, SAME_PAGE};
use super::ring::Ring;

/// Bytes of the nonce, where the log is encrypted.
const NONCE: usize = 8;
const CHECKSUM: usize = 4;
/// `FILE_CHECKPOINT`: type and length of a record of two zeros (tablespace and page) and an LSN.
const FILE_CHECKPOINT: u8 = 0xfa;

/// What stands at a place of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A mini-transaction.
    Whole {
        /// Its length, bytes.
        bytes: usize,
        /// The LSN in its record `FILE_CHECKPOINT`, if it has one; what cannot be read where the log is encrypted.
        checkpoint: Option<u64>,
    },
    /// The bytes end before it does.
    More,
    /// None.
    Nothing,
}

/// What begins with these bytes, the first of which has this LSN.
pub(super) fn parse(bytes: &[u8], lsn: u64, ring: Ring, is_encrypted: bool) -> Parsed {
    // One without records is never written (`recv_sys_t::parse`).
    if bytes.first().is_some_and(|first| *first <= 1) {
        return Parsed::Nothing;
    }
    let (mut at, mut has_page, mut checkpoint) = (0, false, None);
    loop {
        if at > LONGEST {
            return Parsed::Nothing;
        }
        let Some(first) = bytes.get(at).copied() else { return Parsed::More };
        if first <= 1 {
            break;
        }
        let RecordHead { body, length, .. } = match RecordHead::parse(bytes, at) {
            Ok(head) => head,
            Err(Broken::Wrong) => return Parsed::Nothing,
            Err(Broken::Cut) => return Parsed::More,
        };
        if first == FILE_CHECKPOINT && !has_page {
            let Some(record) = bytes.get(body..body + length) else { return Parsed::More };
            checkpoint = record.last_chunk().map(|lsn| u64::from_be_bytes(*lsn));
        }
        has_page |= first & SAME_PAGE == 0;
        at = body + length;
    }
    let end = lsn + at as u64;
    if bytes[at] != ring.bit(end) {
        return Parsed::Nothing;
    }
    let nonce = if is_encrypted { NONCE } else { 0 };
    let sum = at + 1 + nonce;
    if bytes.len() < sum + CHECKSUM {
        return Parsed::More;
    }
    let found = crc32c::crc32c_append(crc32c::crc32c(&bytes[..at]), &bytes[at + 1..sum]);
    if found == be32(bytes, sum) {
        Parsed::Whole { bytes: sum + CHECKSUM, checkpoint }
    } else {
        Parsed::Nothing
    }
}
