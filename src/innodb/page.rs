//! The fields that every InnoDB page has, and the outcome of looking at one.
//!
//! Offsets and page types: `FIL_PAGE_*` in fil0fil.h (MariaDB; the types 14–17 in MySQL 5.7+ only). All
//! numbers are big-endian.

use super::page_report::{PageDamage, SkipReason};

/// `FIL_PAGE_SPACE_OR_CHKSUM`: the checksum, but in `full_crc32` the key version.
pub(super) const CHECKSUM: usize = 0;
/// `FIL_PAGE_OFFSET`: the page's own number.
pub(super) const PAGE_NO: usize = 4;
/// `FIL_PAGE_LSN`, eight bytes.
pub(super) const LSN: usize = 16;
/// `FIL_PAGE_TYPE`, two bytes.
pub(super) const TYPE: usize = 24;
/// `FIL_PAGE_FILE_FLUSH_LSN_OR_KEY_VERSION`, eight bytes: the key version, then the post-encryption checksum.
pub(super) const KEY_VERSION: usize = 26;
/// The second half of the field above.
pub(super) const POST_ENCRYPTION: usize = 30;
/// `FIL_PAGE_SPACE_ID`.
pub(super) const SPACE_ID: usize = 34;
/// `FIL_PAGE_DATA`: end of the header.
pub(super) const DATA: usize = 38;
/// `FIL_PAGE_END_LSN_OLD_CHKSUM`: size of the trailer of the older format.
pub(super) const TRAILER: usize = 8;

/// `FIL_PAGE_TYPE_TRX_SYS`.
pub(super) const TYPE_TRX_SYS: u16 = 7;
/// `FIL_PAGE_TYPE_FSP_HDR`: page 0 of a tablespace.
pub(super) const TYPE_FSP_HDR: u16 = 8;
/// `FIL_PAGE_TYPE_XDES`: extent descriptors.
pub(super) const TYPE_XDES: u16 = 9;

/// `BUF_NO_CHECKSUM_MAGIC`: written by `innodb_checksum_algorithm=none`.
pub(super) const NO_CHECKSUM: u32 = 0xDEAD_BEEF;

/// What the checksum of one page tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageVerdict {
    /// All zeros: allocated in the file and never written, or scrubbed.
    Empty,
    /// A checksum over the stored bytes matches.
    Valid,
    /// Nothing here can be verified.
    Unchecked(SkipReason),
    /// No checksum matches.
    Damaged { damage: PageDamage, stored: u32, computed: u32 },
}

/// The number at `at`; 0 past the end, which no caller reaches (pages are at least 1 KiB).
pub(super) fn u16_at(page: &[u8], at: usize) -> u16 {
    page.get(at..).and_then(<[u8]>::first_chunk::<2>).map_or(0, |b| u16::from_be_bytes(*b))
}

/// The number at `at`; 0 past the end, which no caller reaches (pages are at least 1 KiB).
pub(super) fn u32_at(page: &[u8], at: usize) -> u32 {
    page.get(at..).and_then(<[u8]>::first_chunk::<4>).map_or(0, |b| u32::from_be_bytes(*b))
}

/// Whether every byte is zero (`buf_is_zeroes`). Works in blocks, so that the compiler can use wide registers.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    let blocks = bytes.chunks_exact(64);
    blocks.remainder().iter().all(|byte| *byte == 0)
        && blocks.into_iter().all(|block| block.iter().fold(0, |all, byte| all | byte) == 0)
}

/// Why a page type of the older format has no checksum over its stored bytes.
///
/// MariaDB `PAGE_COMPRESSED` (34354; 37401 when encrypted too) and MySQL's page types 14–17: both servers
/// verify these only after decompressing or decrypting (`buf_page_is_corrupted`,
/// `fil_space_verify_crypt_checksum`; MySQL: `Encryption::is_encrypted_page`, `os_file_io_complete`).
pub(super) fn unverifiable_type(page: &[u8]) -> Option<SkipReason> {
    match u16_at(page, TYPE) {
        34354 | 14 => Some(SkipReason::PageCompressed),
        37401 | 15..=17 => Some(SkipReason::Encrypted),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_set_bit_anywhere_is_not_zero() {
        let mut bytes = vec![0u8; 200];
        assert!(is_zero(&bytes));
        for at in [0, 63, 64, 191, 192, 199] {
            bytes[at] = 0x10;
            assert!(!is_zero(&bytes), "byte {at}");
            bytes[at] = 0;
        }
    }

    #[test]
    fn numbers_are_big_endian_and_never_read_past_the_end() {
        assert_eq!(u16_at(&[9, 0x12, 0x34], 1), 0x1234);
        assert_eq!(u32_at(&[0x12, 0x34, 0x56, 0x78], 0), 0x1234_5678);
        assert_eq!(u32_at(&[0x12, 0x34, 0x56], 0), 0);
        assert_eq!(u32_at(&[], 7), 0);
    }
}
