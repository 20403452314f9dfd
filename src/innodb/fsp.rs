//! The header of a tablespace, in page 0, and the geometry that its flags name.
//!
//! | bits of `FSP_SPACE_FLAGS`, older format | |
//! |---|---|
//! | 0, 5 | `POST_ANTELOPE`, `ATOMIC_BLOBS` |
//! | 1–4 | `ZIP_SSIZE`: the page size of `ROW_FORMAT=COMPRESSED` is 512 << n; bit 4 is always 0 |
//! | 6–9 | `PAGE_SSIZE`: `innodb_page_size` is 512 << n, and 16 KiB for 0 |
//! | 10–15 | MySQL: `DATA_DIR`, `SHARED`, `TEMPORARY`, `ENCRYPTION`, `SDI` (8.0) |
//! | 16 | MariaDB: `PAGE_COMPRESSION` |
//!
//! With bit 4 set it is `full_crc32`: bits 0–3 are the page size (512 << n), bits 5–7 the compression
//! algorithm, up to 6. (fsp0types.h; `fil_space_t::logical_size`, `zip_size`, `is_fcrc32_valid_flags`.)
//!
//! MariaDB 10.1.0–10.1.20 had bits 6–17 in another order, which cannot be told from MySQL 8.0's. So flags only
//! propose a geometry; what proves it is that a page verifies in it (see `learn.rs`).

use super::page::{CHECKSUM, DATA, PAGE_NO, PageVerdict, SPACE_ID, TYPE, TYPE_FSP_HDR, u16_at, u32_at};
use super::page_report::PageFormat;
use super::{full_crc32, legacy, row_compressed};

/// The largest page, and the window in which pages of every size are aligned.
pub(super) const LARGEST: usize = 64 << 10;
/// The usual page; the unit in which pages of unknown size are counted.
pub(super) const USUAL: usize = 16 << 10;

/// `FSP_SIZE`, `FSP_FREE_LIMIT` and `FSP_SPACE_FLAGS` behind the page header (fsp0fsp.h).
const FSP_SIZE: usize = DATA + 8;
const FSP_FREE_LIMIT: usize = DATA + 12;
const FSP_SPACE_FLAGS: usize = DATA + 16;
/// `FSP_FLAGS_FCRC32_MASK_MARKER`.
const MARKER: u32 = 1 << 4;

/// How a tablespace file is cut into pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) format: PageFormat,
    /// Bytes per page as stored.
    pub(super) page_size: usize,
    /// `innodb_page_size`; differs from `page_size` in row-compressed tablespaces only.
    pub(super) logical: usize,
}

impl Geometry {
    const fn new(format: PageFormat, page_size: usize, logical: usize) -> Self {
        Self { format, page_size, logical }
    }

    /// Every geometry that exists. The logical size of row-compressed pages is a guess: the usual one.
    pub(super) const ALL: [Self; 15] = {
        use PageFormat::{FullCrc32, Legacy, RowCompressed};
        [
            Self::new(FullCrc32, 16 << 10, 16 << 10),
            Self::new(FullCrc32, 4 << 10, 4 << 10),
            Self::new(FullCrc32, 8 << 10, 8 << 10),
            Self::new(FullCrc32, 32 << 10, 32 << 10),
            Self::new(FullCrc32, 64 << 10, 64 << 10),
            Self::new(Legacy, 16 << 10, 16 << 10),
            Self::new(Legacy, 4 << 10, 4 << 10),
            Self::new(Legacy, 8 << 10, 8 << 10),
            Self::new(Legacy, 32 << 10, 32 << 10),
            Self::new(Legacy, 64 << 10, 64 << 10),
            Self::new(RowCompressed, 8 << 10, USUAL),
            Self::new(RowCompressed, 4 << 10, USUAL),
            Self::new(RowCompressed, 2 << 10, USUAL),
            Self::new(RowCompressed, 1 << 10, USUAL),
            Self::new(RowCompressed, 16 << 10, USUAL),
        ]
    };

    /// The geometry that the flags in `page0` (of any size) name; `None` if they name no possible one.
    pub(super) fn from_flags(page0: &[u8]) -> Option<Self> {
        let flags = u32_at(page0, FSP_SPACE_FLAGS);
        let size = |shift: u32| matches!(shift, 3..=7).then(|| 512usize << shift);
        if flags & MARKER != 0 {
            let logical = size(flags & 15)?;
            return Some(Self::new(PageFormat::FullCrc32, logical, logical));
        }
        let logical = match flags >> 6 & 15 {
            0 => USUAL,
            shift => size(shift)?,
        };
        match flags >> 1 & 15 {
            0 => Some(Self::new(PageFormat::Legacy, logical, logical)),
            zip @ 1..=5 => Some(Self::new(PageFormat::RowCompressed, 512usize << zip, logical)),
            _ => None,
        }
    }

    /// Looks at one page, which must have this geometry's size.
    pub(super) fn check(self, page: &[u8]) -> PageVerdict {
        match self.format {
            PageFormat::FullCrc32 => full_crc32::check(page),
            PageFormat::Legacy => legacy::check(page),
            PageFormat::RowCompressed => row_compressed::check(page),
        }
    }

    /// Pages per extent: 1 MiB of pages, but at least 64 (`FSP_EXTENT_SIZE`).
    pub(super) fn extent(self) -> usize {
        ((1 << 20) / self.logical).max(64)
    }

    /// The tablespace that a good page says it belongs to; `None` where that field is encrypted or compressed.
    pub(super) fn space_id(self, page: &[u8]) -> Option<u32> {
        let encrypted = self.format == PageFormat::FullCrc32 && u32_at(page, CHECKSUM) != 0;
        (!encrypted && !self.is_compressed(page)).then(|| u32_at(page, SPACE_ID))
    }

    /// Whether a good page is shorter than its place in the file.
    pub(super) fn is_compressed(self, page: &[u8]) -> bool {
        self.format == PageFormat::FullCrc32 && full_crc32::is_compressed(page)
    }
}

/// What page 0 says about its tablespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) space_id: u32,
    /// `FSP_SIZE`: pages in the tablespace.
    pub(super) pages: u64,
    /// `FSP_FREE_LIMIT`: pages from here on were never used.
    pub(super) free_limit: u64,
    /// Whether all flags are known here.
    pub(super) flags_known: bool,
}

impl Header {
    /// Reads the header of a page 0 that has been verified; `None` if it is not a page 0.
    pub(super) fn read(page: &[u8]) -> Option<Self> {
        let flags = u32_at(page, FSP_SPACE_FLAGS);
        // Bits 0..=17 have been used by MySQL and MariaDB; in full_crc32 nothing is above the algorithm.
        let flags_known = if flags & MARKER == 0 { flags >> 18 == 0 } else { flags >> 5 <= 6 };
        Self::looks_right(page).then(|| Self {
            space_id: u32_at(page, SPACE_ID),
            pages: u64::from(u32_at(page, FSP_SIZE)),
            free_limit: u64::from(u32_at(page, FSP_FREE_LIMIT)),
            flags_known,
        })
    }

    /// Whether the fields that every page 0 repeats agree with each other.
    pub(super) fn looks_right(page: &[u8]) -> bool {
        // Type 0 is what servers before MySQL 5.1.7 left there.
        matches!(u16_at(page, TYPE), TYPE_FSP_HDR | 0)
            && u32_at(page, PAGE_NO) == 0
            && u32_at(page, SPACE_ID) == u32_at(page, DATA)
            && u32_at(page, FSP_SIZE) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    fn from(flags: u32) -> Option<(PageFormat, usize, usize)> {
        let mut page = vec![0; 1024];
        page[FSP_SPACE_FLAGS..FSP_SPACE_FLAGS + 4].copy_from_slice(&flags.to_be_bytes());
        Geometry::from_flags(&page).map(|found| (found.format, found.page_size, found.logical))
    }

    #[test]
    fn flags_name_page_sizes() {
        let table = [
            (0x15, Some((PageFormat::FullCrc32, 16384, 16384))),
            (0x35, Some((PageFormat::FullCrc32, 16384, 16384))), // page_compressed with zlib
            (0x13, Some((PageFormat::FullCrc32, 4096, 4096))),
            (0x17, Some((PageFormat::FullCrc32, 65536, 65536))),
            (0x12, None),
            (0x00, Some((PageFormat::Legacy, 16384, 16384))),
            (0x21, Some((PageFormat::Legacy, 16384, 16384))),
            (0x4021, Some((PageFormat::Legacy, 16384, 16384))), // MySQL 8.0 with SDI
            (0x21 | 3 << 6, Some((PageFormat::Legacy, 4096, 4096))),
            (0x21 | 7 << 6, Some((PageFormat::Legacy, 65536, 65536))),
            (0x21 | 2 << 6, None),
            (0x21 | 1 << 16, Some((PageFormat::Legacy, 16384, 16384))), // page_compressed
            (0x23, Some((PageFormat::RowCompressed, 1024, 16384))),
            (0x29, Some((PageFormat::RowCompressed, 8192, 16384))),
            (0x21 | 2 << 1 | 3 << 6, Some((PageFormat::RowCompressed, 2048, 4096))),
            (0x2D, None),
        ];
        for (flags, expected) in table {
            assert_eq!(from(flags), expected, "flags {flags:#x}");
        }
    }

    #[test]
    fn extents_are_a_mebibyte_or_64_pages() {
        let extents = [(4096, 256), (8192, 128), (16384, 64), (32768, 64), (65536, 64)];
        for (size, pages) in extents {
            assert_eq!(Geometry::new(PageFormat::FullCrc32, size, size).extent(), pages);
        }
        assert_eq!(Geometry::new(PageFormat::RowCompressed, 1024, 16384).extent(), 64);
    }

    #[test]
    fn a_header_is_read_from_page_0_only() {
        let file = testing::tablespace(Geometry::ALL[0], 9, 5);
        let header = Header::read(&file[..16384]).unwrap();
        assert_eq!((header.space_id, header.pages, header.flags_known), (9, 5, true));
        assert_eq!(Header::read(&file[16384..32768]), None);
    }
}
