//! The format of `innodb_checksum_algorithm=full_crc32`: MariaDB 10.4 and later, the default since 10.5.
//!
//! CRC-32C over everything that was written, stored in the last four bytes of it (`buf_page_is_corrupted`,
//! `buf_page_full_crc32_size`). Encryption and compression come first, so every page can be verified without a
//! key (`fil_encrypt_buf_for_full_crc32`, `fil_page_compress_for_full_crc32`).
//!
//! A compressed page has bit 15 of its type set and its length in units of 256 bytes in the rest; behind that
//! length the file has a hole or zeros, which nobody reads.
//!
//! The server also compares the LSN in header and trailer. Both lie inside the checksum, so that cannot find
//! anything in a page whose checksum is good, and is left out.

use super::page::{DATA, PageVerdict, TYPE, is_zero, u16_at, u32_at};
use super::page_report::PageDamage;

/// `FIL_PAGE_COMPRESS_FCRC32_MARKER`.
const COMPRESSED: u16 = 1 << 15;
/// `FIL_PAGE_FCRC32_CHECKSUM`: bytes of the checksum at the end.
const CHECKSUM_BYTES: usize = 4;

/// Looks at one page.
pub(super) fn check(page: &[u8]) -> PageVerdict {
    let kind = u16_at(page, TYPE);
    let written = if kind & COMPRESSED == 0 { page.len() } else { usize::from(kind & !COMPRESSED) << 8 };
    if is_compressed(page) && !(DATA + CHECKSUM_BYTES..page.len()).contains(&written) {
        let stored = u32::try_from(written).unwrap_or(u32::MAX);
        return PageVerdict::Damaged { damage: PageDamage::CompressedLength, stored, computed: 0 };
    }
    let end = written - CHECKSUM_BYTES;
    let stored = u32_at(page, end);
    if stored == 0 && is_zero(page) {
        return PageVerdict::Empty;
    }
    let computed = crc32c::crc32c(&page[..end]);
    if stored == computed {
        return PageVerdict::Valid;
    }
    PageVerdict::Damaged { damage: PageDamage::Checksum, stored, computed }
}

/// Whether the page is stored in compressed form.
pub(super) fn is_compressed(page: &[u8]) -> bool {
    u16_at(page, TYPE) & COMPRESSED != 0
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn a_page_verifies_and_every_flipped_bit_of_it_is_noticed() {
        let mut page = testing::full_crc32_page(4096, 7, 3);
        assert_eq!(check(&page), PageVerdict::Valid);
        for at in 0..page.len() {
            page[at] ^= 0x20;
            assert!(matches!(check(&page), PageVerdict::Damaged { .. }), "byte {at}");
            page[at] ^= 0x20;
        }
    }

    #[test]
    fn a_compressed_page_verifies_whatever_lies_behind_its_length() {
        let mut page = testing::full_crc32_page(16384, 7, 3);
        testing::compress_full_crc32(&mut page, 3 * 256);
        assert_eq!(check(&page), PageVerdict::Valid);
        page[3 * 256] = 0xFF;
        assert_eq!(check(&page), PageVerdict::Valid, "behind the payload");
        page[700] ^= 1;
        assert!(matches!(check(&page), PageVerdict::Damaged { damage: PageDamage::Checksum, .. }));
    }

    #[test]
    fn a_compressed_length_of_zero_or_of_a_page_is_impossible() {
        let mut page = testing::full_crc32_page(4096, 7, 3);
        for kind in [0x8000u16, 0x8010, 0xFFFF] {
            page[TYPE..TYPE + 2].copy_from_slice(&kind.to_be_bytes());
            assert!(matches!(
                check(&page),
                PageVerdict::Damaged { damage: PageDamage::CompressedLength, .. }
            ));
        }
    }

    #[test]
    fn zeros_are_an_empty_page() {
        assert_eq!(check(&vec![0; 65536]), PageVerdict::Empty);
    }
}
