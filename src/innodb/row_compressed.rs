//! Pages of `ROW_FORMAT=COMPRESSED` tablespaces, 1 KiB to 16 KiB as stored.
//!
//! One checksum, in the first four bytes, over bytes 4..16, 24..26 and 34 to the end (`page_zip_calc_checksum`):
//! the exclusive-or of three CRC-32C, or Adler-32 with a start value of 0 (`innodb`), or 0xDEADBEEF (`none`).
//! All pages of such a file have it, also those that are not compressed (`buf_flush_update_zip_checksum`).
//! `page_zip_verify_checksum` without `strict_` accepts all three. There is no trailer.
//!
//! `full_crc32` does not apply to this row format (`dict_tf_to_fsp_flags`). Encrypted pages have the same checksum
//! over the encrypted page in bytes 30..34 (`fil_space_verify_crypt_checksum`).

use super::page::{
    CHECKSUM, KEY_VERSION, LSN, NO_CHECKSUM, PAGE_NO, POST_ENCRYPTION, PageVerdict, SPACE_ID, TYPE, is_zero,
    u32_at, unverifiable_type,
};
use super::page_report::{PageDamage, SkipReason};

/// Looks at one page.
pub(super) fn check(page: &[u8]) -> PageVerdict {
    let stored = u32_at(page, CHECKSUM);
    let crc32 = crc32(page);
    if stored == crc32 {
        return PageVerdict::Valid;
    }
    if stored == 0 && is_zero(page) {
        return PageVerdict::Empty;
    }
    if let Some(reason) = unverifiable_type(page) {
        return PageVerdict::Unchecked(reason);
    }
    let adler32 = adler32(page);
    if stored == adler32 {
        return PageVerdict::Valid;
    }
    let encrypted = u32_at(page, KEY_VERSION) != 0;
    let second = u32_at(page, POST_ENCRYPTION);
    if encrypted && (second == crc32 || second == adler32) {
        return PageVerdict::Valid;
    }
    if stored == NO_CHECKSUM || (encrypted && second == NO_CHECKSUM) {
        return PageVerdict::Unchecked(SkipReason::NoChecksum);
    }
    PageVerdict::Damaged { damage: PageDamage::Checksum, stored, computed: crc32 }
}

/// The three ranges that the checksum covers.
fn covered(page: &[u8]) -> [&[u8]; 3] {
    [&page[PAGE_NO..LSN], &page[TYPE..KEY_VERSION], &page[SPACE_ID..]]
}

fn crc32(page: &[u8]) -> u32 {
    covered(page).into_iter().fold(0, |all, range| all ^ crc32c::crc32c(range))
}

/// Adler-32 (RFC 1950), but started at 0 instead of 1.
fn adler32(page: &[u8]) -> u32 {
    const MODULUS: u32 = 65521;
    // The largest block in which the sums cannot overflow 32 bits, as in zlib.
    const BLOCK: usize = 5552;
    let (mut a, mut b) = (0u32, 0u32);
    for block in covered(page).into_iter().flat_map(|range| range.chunks(BLOCK)) {
        for byte in block {
            a += u32::from(*byte);
            b += a;
        }
        a %= MODULUS;
        b %= MODULUS;
    }
    b << 16 | a
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn put(page: &mut [u8], at: usize, value: u32) {
        page[at..at + 4].copy_from_slice(&value.to_be_bytes());
    }

    #[test]
    fn every_size_verifies_and_a_flipped_bit_is_noticed_where_it_is_covered() {
        for size in [1024, 2048, 4096, 8192, 16384] {
            let mut page = testing::row_compressed_page(size, 7, 3);
            assert_eq!(check(&page), PageVerdict::Valid);
            for at in (0..LSN).chain(TYPE..KEY_VERSION).chain(SPACE_ID..size) {
                page[at] ^= 0x40;
                assert!(matches!(check(&page), PageVerdict::Damaged { .. }), "byte {at} of {size}");
                page[at] ^= 0x40;
            }
        }
    }

    #[test]
    fn adler32_is_that_of_the_rfc_but_for_its_start() {
        // "Wikipedia" is 0x11E60398 with the usual start value of 1; from 0, a is 1 less and b is 9 less.
        let mut page = vec![0u8; 34];
        page.extend_from_slice(b"Wikipedia");
        assert_eq!(adler32(&page), (0x11E6 - 9) << 16 | (0x0398 - 1));
    }

    #[test]
    fn adler32_does_not_overflow() {
        let page = vec![0xFFu8; 16384];
        let (mut a, mut b) = (0u64, 0u64);
        for byte in covered(&page).concat() {
            a = (a + u64::from(byte)) % 65521;
            b = (b + a) % 65521;
        }
        assert_eq!(u64::from(adler32(&page)), b << 16 | a);
    }

    #[test]
    fn the_innodb_algorithm_and_none_are_accepted() {
        let mut page = testing::row_compressed_page(8192, 7, 3);
        let adler = adler32(&page);
        put(&mut page, CHECKSUM, adler);
        assert_eq!(check(&page), PageVerdict::Valid);
        put(&mut page, CHECKSUM, NO_CHECKSUM);
        assert_eq!(check(&page), PageVerdict::Unchecked(SkipReason::NoChecksum));
    }

    #[test]
    fn an_encrypted_page_verifies_by_its_second_checksum() {
        let mut page = testing::row_compressed_page(8192, 7, 3);
        put(&mut page, KEY_VERSION, 1);
        page[500..600].fill(0x77);
        let encrypted = crc32(&page);
        put(&mut page, POST_ENCRYPTION, encrypted);
        assert_eq!(check(&page), PageVerdict::Valid);
        page[550] ^= 1;
        assert!(matches!(check(&page), PageVerdict::Damaged { .. }));
    }

    #[test]
    fn zeros_are_an_empty_page() {
        assert_eq!(check(&[0; 1024]), PageVerdict::Empty);
    }
}
