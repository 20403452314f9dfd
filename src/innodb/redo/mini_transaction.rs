//! One mini-transaction: its records, the byte that ends them, and its checksum.
//!
//! A record begins with a byte: bit 7, four bits of type, four of length. A length of 0 means that a varint follows, and
//! is that varint plus 15 less the varint's own length. The records end with a byte 0 or 1, which no record begins with.

use super::format::be32;
use super::ring::Ring;

/// No mini-transaction is longer (`recv_sys_t::MTR_SIZE_MAX`).
pub(super) const LONGEST: usize = 1 << 20;
/// Bytes of the nonce, where the log is encrypted.
const NONCE: usize = 8;
const CHECKSUM: usize = 4;
/// `FILE_CHECKPOINT`: type and length of a record of two zeros (tablespace and page) and an LSN.
const FILE_CHECKPOINT: u8 = 0xfa;
/// The type in it, and the bit that it shares with "same page as before", which only behind a page's record means that.
const SAME_PAGE: u8 = 0x80;

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
        let (mut body, mut length) = (at + 1, usize::from(first & 15));
        if length == 0 {
            match varint(bytes.get(body..).unwrap_or_default()) {
                Ok((long, own)) if long <= LONGEST => (body, length) = (body + own, long + 15 - own),
                Ok(_) | Err(Broken::Wrong) => return Parsed::Nothing,
                Err(Broken::Cut) => return Parsed::More,
            }
        }
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

enum Broken {
    /// The bytes end before it does.
    Cut,
    /// Nobody writes that.
    Wrong,
}

/// A number, and how many bytes it has (`mlog_decode_varint`).
fn varint(bytes: &[u8]) -> Result<(usize, usize), Broken> {
    let first = *bytes.first().ok_or(Broken::Cut)?;
    let (length, mask, more) = match first {
        0..0x80 => (1, 0x7f, 0),
        0x80..0xc0 => (2, 0x3f, 0x80),
        0xc0..0xe0 => (3, 0x1f, 0x4080),
        0xe0..0xf0 => (4, 0x0f, 0x20_4080),
        0xf0 => (5, 0, 0x1020_4080),
        _ => return Err(Broken::Wrong),
    };
    let bytes = bytes.get(..length).ok_or(Broken::Cut)?;
    let high = usize::from(first & mask);
    Ok((bytes[1..].iter().fold(high, |number, byte| number << 8 | usize::from(*byte)) + more, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_length_follow_each_other() {
        let read = |bytes: &[u8]| varint(bytes).ok();
        for (bytes, wanted) in [
            (&[0x7f][..], 0x7f),
            (&[0x80, 0], 0x80),
            (&[0xbf, 0xff], 0x407f),
            (&[0xc0, 0, 0], 0x4080),
            (&[0xdf, 0xff, 0xff], 0x20_407f),
            (&[0xe0, 0, 0, 0], 0x20_4080),
            (&[0xef, 0xff, 0xff, 0xff], 0x1020_407f),
            (&[0xf0, 0, 0, 0, 0], 0x1020_4080),
        ] {
            assert_eq!(read(bytes), Some((wanted, bytes.len())));
            assert!(matches!(varint(&bytes[..bytes.len() - 1]), Err(Broken::Cut)));
        }
        assert!(matches!(varint(&[0xf1]), Err(Broken::Wrong)));
    }
}
