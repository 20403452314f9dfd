//! What a tablespace says about the use of its own pages: which are free, and where the doublewrite buffer is.
//!
//! **Extent descriptors.** Page 0 and every page whose number is a multiple of the page size hold descriptors for
//! the pages up to the next such page: an array of entries, one per extent, each 24 bytes and then two bits per
//! page, of which the lower one says that the page is free (`XDES_*` in fsp0fsp.h, `xdes_is_free`). What is in a
//! freed page may be anything: `innochecksum` ignores them
//! (`is_page_free`), and mariadb-backup forgives damage in them (`CorruptedPages::zero_out_free_pages`).
//! Descriptor pages are never encrypted or compressed (`fil_space_encrypt_valid_page_type`).
//!
//! **Doublewrite buffer.** Two extents in the system tablespace, named in page 5 (`TRX_SYS_DOUBLEWRITE` in
//! trx0sys.h): copies of pages of any tablespace and format that were being written last. MySQL 8.0.20 and later
//! have files of their own for it.

use std::ops::Range;

use super::fsp::Geometry;
use super::page::{DATA, TYPE, TYPE_FSP_HDR, TYPE_TRX_SYS, TYPE_XDES, u16_at, u32_at};

/// `XDES_ARR_OFFSET`: behind the page header and a tablespace header of 112 bytes.
pub(super) const ENTRIES: usize = DATA + 112;
/// `XDES_BITMAP`: where the bits start in an entry.
pub(super) const BITMAP: usize = 24;
/// `TRX_SYS_DOUBLEWRITE`, from the end of the page, with `MAGIC`, `BLOCK1` and `BLOCK2` behind 10 bytes.
const DOUBLEWRITE: usize = 200 - 10;
/// `TRX_SYS_DOUBLEWRITE_MAGIC_N`.
const DOUBLEWRITE_MAGIC: u32 = 536_853_855;
/// `TRX_SYS_PAGE_NO`.
pub(super) const TRX_SYS_PAGE_NO: u64 = 5;

/// The free pages that the last descriptor page names. At most 8 KiB.
#[derive(Debug, Default)]
pub(super) struct FreePages {
    first: u64,
    bits: Vec<u8>,
    /// Pages from here on were never used.
    pub(super) limit: Option<u64>,
}

impl FreePages {
    /// Takes the descriptors of a verified page, if it has any.
    pub(super) fn learn(&mut self, page: &[u8], page_no: u64, geometry: Geometry) {
        let kind = u16_at(page, TYPE);
        if !matches!(kind, TYPE_FSP_HDR | TYPE_XDES) || !page_no.is_multiple_of(geometry.page_size as u64) {
            return;
        }
        let extent = geometry.extent();
        let entry_size = BITMAP + extent / 4;
        self.first = page_no;
        self.bits.clear();
        self.bits.resize(geometry.page_size.div_ceil(8), 0);
        for page_in_range in 0..geometry.page_size {
            let (entry, bit) = (page_in_range / extent, page_in_range % extent * 2);
            let byte = page.get(ENTRIES + entry * entry_size + BITMAP + bit / 8).copied().unwrap_or(0);
            if byte >> (bit % 8) & 1 != 0 {
                self.bits[page_in_range / 8] |= 1 << (page_in_range % 8);
            }
        }
    }

    /// Whether the tablespace says that this page is free.
    pub(super) fn contains(&self, page_no: u64) -> bool {
        if self.limit.is_some_and(|limit| page_no >= limit) {
            return true;
        }
        let at = page_no.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.bits.get(at / 8).map(|byte| byte >> (at % 8) & 1 != 0)).unwrap_or(false)
    }
}

/// The pages of the doublewrite buffer.
#[derive(Debug, Clone)]
pub(super) struct Doublewrite([Range<u64>; 2]);

impl Doublewrite {
    /// Not the system tablespace.
    pub(super) fn none() -> Self {
        Self([0..0, 0..0])
    }

    /// Where every server so far has put it: the second and the third extent.
    pub(super) fn usual(geometry: Geometry) -> Self {
        let extent = geometry.extent() as u64;
        Self([extent..2 * extent, 2 * extent..3 * extent])
    }

    /// Takes the place from a verified page 5 of the system tablespace.
    pub(super) fn learn(&mut self, page: &[u8], geometry: Geometry) {
        let at = geometry.page_size - DOUBLEWRITE;
        let extent = geometry.extent() as u64;
        if u32_at(page, at) == DOUBLEWRITE_MAGIC {
            self.0 = [4, 8].map(|field| {
                let first = u64::from(u32_at(page, at + field));
                first..first + extent
            });
        } else if u16_at(page, TYPE) == TYPE_TRX_SYS {
            *self = Self::none();
        }
    }

    pub(super) fn contains(&self, page_no: u64) -> bool {
        self.0.iter().any(|block| block.contains(&page_no))
    }

    /// Its two blocks.
    pub(super) fn blocks(self) -> [Range<u64>; 2] {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    const USUAL: Geometry = Geometry::ALL[0];

    #[test]
    fn free_bits_are_found_in_later_extents_too() {
        let mut page = testing::tablespace(USUAL, 7, 1);
        testing::set_free(&mut page, 3);
        page[ENTRIES + 40 + BITMAP] = 0b0100; // the second extent: its second page
        let mut free = FreePages::default();
        free.learn(&page, 0, USUAL);
        let found: Vec<u64> = (0..20_000).filter(|page_no| free.contains(*page_no)).collect();
        assert_eq!(found, [3, 65]);
    }

    #[test]
    fn a_later_descriptor_page_speaks_for_its_own_range() {
        let mut page = testing::tablespace(USUAL, 7, 1);
        page[TYPE..TYPE + 2].copy_from_slice(&TYPE_XDES.to_be_bytes());
        testing::set_free(&mut page, 3);
        let mut free = FreePages::default();
        free.learn(&page, 16384, USUAL);
        assert!(free.contains(16387));
        assert!(!free.contains(3));
        free.learn(&page, 16385, USUAL);
        assert!(free.contains(16387), "page 16385 is no descriptor page");
    }

    #[test]
    fn pages_from_the_limit_on_are_free() {
        let free = FreePages { limit: Some(64), ..FreePages::default() };
        assert!(free.contains(64) && !free.contains(63));
    }

    #[test]
    fn the_doublewrite_buffer_is_where_page_5_says() {
        let mut page = vec![0u8; 16384];
        let mut found = Doublewrite::usual(USUAL);
        assert!(!found.contains(63) && found.contains(64) && found.contains(191) && !found.contains(192));
        testing::put(&mut page, 16384 - 190, DOUBLEWRITE_MAGIC);
        testing::put(&mut page, 16384 - 186, 640);
        testing::put(&mut page, 16384 - 182, 1280);
        found.learn(&page, USUAL);
        assert!(!found.contains(64) && found.contains(640) && found.contains(1343) && !found.contains(1344));
    }

    #[test]
    fn a_system_page_without_the_magic_means_no_doublewrite_buffer() {
        let mut page = vec![0u8; 16384];
        let mut found = Doublewrite::usual(USUAL);
        found.learn(&page, USUAL);
        assert!(found.contains(64), "not a system page: the usual place stays");
        page[TYPE..TYPE + 2].copy_from_slice(&TYPE_TRX_SYS.to_be_bytes());
        found.learn(&page, USUAL);
        assert!(!found.contains(64));
    }
}
