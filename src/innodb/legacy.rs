//! The older page format: MySQL, MariaDB up to 10.4, and `innodb_checksum_algorithm=crc32` up to today.
//!
//! Two checksum fields, in the first four bytes and at the start of an eight byte trailer whose other half
//! repeats the low half of the LSN. `buf_page_is_corrupted` without `strict_` accepts in them, and so do we:
//!
//! - `crc32`: CRC-32C of bytes 4..26, exclusive-or that of 38..trailer, in both (`buf_calc_page_crc32`);
//! - `innodb`: a fold of the same ranges in the first (`buf_calc_page_new_checksum`), a fold of bytes 0..26
//!   (`buf_calc_page_old_checksum`) or the high half of the LSN in the second;
//! - `none`: 0xDEADBEEF; or 0 in the first field, from servers before 4.0.14.
//!
//! The bytes 26..34 are in none of them (the flush LSN used to be written there later), and the tablespace id
//! in 34..38 is not either: that one is compared by the caller.
//!
//! Encrypted pages have a key version in 26..30 and a checksum over the encrypted page in 30..34
//! (`fil_space_verify_crypt_checksum`); the two ordinary fields then hold values of the plain page.
//! R-tree pages use the same eight bytes otherwise, so either kind of checksum may match.
//!
//! Left out: the byte-swapped CRC-32C of MySQL 5.6 on big-endian machines, which MariaDB does not accept either.

use super::page::{
    CHECKSUM, DATA, KEY_VERSION, LSN, NO_CHECKSUM, PAGE_NO, POST_ENCRYPTION, PageVerdict, TRAILER, is_zero,
    u32_at, unverifiable_type,
};
use super::page_report::{PageDamage, SkipReason};

/// Looks at one page.
pub(super) fn check(page: &[u8]) -> PageVerdict {
    let trailer = page.len() - TRAILER;
    let (field1, field2) = (u32_at(page, CHECKSUM), u32_at(page, trailer));
    let (lsn_low, lsn_end) = (u32_at(page, LSN + 4), u32_at(page, trailer + 4));
    let crc32 = crc32(page);
    if field1 == crc32 && field2 == crc32 && lsn_low == lsn_end {
        return PageVerdict::Valid;
    }
    if is_empty(page) {
        return PageVerdict::Empty;
    }
    if let Some(reason) = unverifiable_type(page) {
        return PageVerdict::Unchecked(reason);
    }
    if u32_at(page, KEY_VERSION) != 0 {
        let stored = u32_at(page, POST_ENCRYPTION);
        if stored == crc32 || stored == innodb(page) {
            return PageVerdict::Valid;
        }
        if stored == NO_CHECKSUM {
            return PageVerdict::Unchecked(SkipReason::NoChecksum);
        }
    }
    if lsn_low != lsn_end {
        return PageVerdict::Damaged { damage: PageDamage::TornLsn, stored: lsn_end, computed: lsn_low };
    }
    check_fields(page, field1, field2, crc32)
}

/// The two checksum fields, by every algorithm but a plain `crc32`.
fn check_fields(page: &[u8], field1: u32, field2: u32, crc32: u32) -> PageVerdict {
    let damaged = |stored| PageVerdict::Damaged { damage: PageDamage::Checksum, stored, computed: crc32 };
    let end_is_known = field2 == crc32
        || field2 == NO_CHECKSUM
        || field2 == u32_at(page, LSN)
        || field2 == fold(&page[..KEY_VERSION]);
    if field1 == crc32 {
        return if end_is_known { PageVerdict::Valid } else { damaged(field2) };
    }
    if !end_is_known {
        return damaged(field1);
    }
    if field1 == NO_CHECKSUM || (field1 == 0 && field2 != crc32) {
        return PageVerdict::Unchecked(SkipReason::NoChecksum);
    }
    if field1 == innodb(page) { PageVerdict::Valid } else { damaged(field1) }
}

/// Zeros, but for the field that servers before MariaDB 10.1.25 wrote into otherwise empty first pages.
fn is_empty(page: &[u8]) -> bool {
    is_zero(&page[..KEY_VERSION]) && is_zero(&page[KEY_VERSION + 8..])
}

fn crc32(page: &[u8]) -> u32 {
    crc32c::crc32c(&page[PAGE_NO..KEY_VERSION]) ^ crc32c::crc32c(&page[DATA..page.len() - TRAILER])
}

fn innodb(page: &[u8]) -> u32 {
    fold(&page[PAGE_NO..KEY_VERSION]).wrapping_add(fold(&page[DATA..page.len() - TRAILER]))
}

/// `ut_fold_binary` (ut0rnd.h), of which only the low 32 bits are ever stored.
fn fold(bytes: &[u8]) -> u32 {
    const MASK: u32 = 1_463_735_687;
    const MASK2: u32 = 1_653_893_711;
    bytes.iter().fold(0u32, |fold, byte| {
        let byte = u32::from(*byte);
        (((fold ^ byte ^ MASK2) << 8).wrapping_add(fold) ^ MASK).wrapping_add(byte)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn put(page: &mut [u8], at: usize, value: u32) {
        page[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    /// What `innodb_checksum_algorithm=innodb` writes: the second field covers the first.
    fn with_innodb_checksums(page: &mut [u8]) {
        let first = innodb(page);
        put(page, CHECKSUM, first);
        let second = fold(&page[..KEY_VERSION]);
        put(page, page.len() - TRAILER, second);
    }

    #[test]
    fn a_flipped_bit_is_noticed_wherever_the_format_covers_it() {
        let mut page = testing::legacy_page(4096, 7, 3);
        assert_eq!(check(&page), PageVerdict::Valid);
        for at in (0..KEY_VERSION).chain(DATA..page.len()) {
            page[at] ^= 0x08;
            assert!(matches!(check(&page), PageVerdict::Damaged { .. }), "byte {at}");
            page[at] ^= 0x08;
        }
    }

    #[test]
    fn halves_of_two_writes_are_torn() {
        let mut page = testing::legacy_page(4096, 7, 3);
        let end = page.len();
        page[end - 1] ^= 1;
        assert!(matches!(check(&page), PageVerdict::Damaged { damage: PageDamage::TornLsn, .. }));
    }

    #[test]
    fn the_innodb_algorithm_verifies_and_notices() {
        let mut page = testing::legacy_page(8192, 7, 3);
        with_innodb_checksums(&mut page);
        assert_eq!(check(&page), PageVerdict::Valid);
        page[5000] ^= 1;
        assert!(matches!(check(&page), PageVerdict::Damaged { damage: PageDamage::Checksum, .. }));
        page[5000] ^= 1;
        let high = u32_at(&page, LSN);
        put(&mut page, 8192 - TRAILER, high);
        assert_eq!(check(&page), PageVerdict::Valid, "the high half of the LSN as the old checksum");
    }

    #[test]
    fn the_fold_is_the_one_that_the_server_accepts() {
        // Pinned after a server had accepted pages with this fold: see tests/innodb_oracle.rs.
        assert_eq!(fold(b"InnoDB"), 1_329_855_268);
    }

    #[test]
    fn pages_without_a_checksum_are_skipped() {
        let mut page = testing::legacy_page(4096, 7, 3);
        put(&mut page, CHECKSUM, NO_CHECKSUM);
        put(&mut page, 4096 - TRAILER, NO_CHECKSUM);
        assert_eq!(check(&page), PageVerdict::Unchecked(SkipReason::NoChecksum));
        put(&mut page, CHECKSUM, 0);
        assert_eq!(check(&page), PageVerdict::Unchecked(SkipReason::NoChecksum));
    }

    #[test]
    fn a_lost_first_field_does_not_pass_for_a_missing_checksum() {
        let mut page = testing::legacy_page(4096, 7, 3);
        put(&mut page, CHECKSUM, 0);
        assert!(matches!(check(&page), PageVerdict::Damaged { damage: PageDamage::Checksum, stored: 0, .. }));
    }

    #[test]
    fn an_encrypted_page_verifies_by_its_second_checksum() {
        let mut page = testing::legacy_page(4096, 7, 3);
        page[100..3000].fill(0x5A);
        put(&mut page, KEY_VERSION, 1);
        let encrypted = crc32(&page);
        put(&mut page, POST_ENCRYPTION, encrypted);
        assert_eq!(check(&page), PageVerdict::Valid);
        page[200] ^= 4;
        assert!(matches!(check(&page), PageVerdict::Damaged { .. }));
    }

    #[test]
    fn types_that_need_a_key_or_decompression_are_skipped() {
        for (kind, reason) in [
            (34354u16, SkipReason::PageCompressed),
            (37401, SkipReason::Encrypted),
            (15, SkipReason::Encrypted),
        ] {
            let mut page = testing::legacy_page(4096, 7, 3);
            page[24..26].copy_from_slice(&kind.to_be_bytes());
            page[1000] ^= 1;
            assert_eq!(check(&page), PageVerdict::Unchecked(reason));
        }
    }

    #[test]
    fn a_flush_lsn_alone_leaves_a_page_empty() {
        let mut page = vec![0u8; 16384];
        assert_eq!(check(&page), PageVerdict::Empty);
        page[33] = 1;
        assert_eq!(check(&page), PageVerdict::Empty);
        page[34] = 1;
        assert!(!matches!(check(&page), PageVerdict::Empty));
    }
}
