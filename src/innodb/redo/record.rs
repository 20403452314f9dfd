//! The head of one record of a mini-transaction.
//!
//! A record begins with a byte: bit 7, three bits of type, four of length. A length of 0 means that a varint follows, and
//! is that varint plus 15 less the varint's own length.

/// No mini-transaction is longer (`recv_sys_t::MTR_SIZE_MAX`).
pub(super) const LONGEST: usize = 1 << 20;
/// The bit that says "same page as before" behind a record of a page, and "of a file" elsewhere.
pub(super) const SAME_PAGE: u8 = 0x80;

/// The head of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHead {
    /// Its first byte.
    pub(super) first: u8,
    /// Where the rest begins.
    pub(super) body: usize,
    /// Length of the rest, bytes.
    pub(super) length: usize,
}

/// Why there is no record, or no number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// The bytes end before it does.
    Cut,
    /// Nobody writes that.
    Wrong,
}

impl RecordHead {
    /// Of the record at this place, which is not the byte that ends the records.
    pub(super) fn parse(bytes: &[u8], at: usize) -> Result<Self, Broken> {
        let first = *bytes.get(at).ok_or(Broken::Cut)?;
        let (body, length) = (at + 1, usize::from(first & 15));
        if length > 0 {
            return Ok(Self { first, body, length });
        }
        let (long, own) = varint(bytes.get(body..).unwrap_or_default())?;
        if long > LONGEST {
            return Err(Broken::Wrong);
        }
        Ok(Self { first, body: body + own, length: long + 15 - own })
    }
}

/// A number, and how many bytes it has (`mlog_decode_varint`).
pub(super) fn varint(bytes: &[u8]) -> Result<(usize, usize), Broken> {
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
