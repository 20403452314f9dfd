//! What page 0 of a tablespace file says about the file, without its other pages.

use std::ops::Range;

use super::descriptors::{Doublewrite, TRX_SYS_PAGE_NO};
use super::fsp::{Geometry, Header};
use super::page::{LSN, PAGE_NO, u32_at};

/// The beginning of a tablespace: which one it is, and how its file is cut into pages. Its checksum is not looked at: whoever relies on a field compares
/// it with what is known elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageZero {
    /// The number of the tablespace.
    pub space: u32,
    /// Bytes of a page as it is stored.
    pub page_size: u32,
    /// Pages that the header counts. Of a system tablespace those of all its files.
    pub pages: u64,
    /// `FIL_PAGE_LSN`.
    pub lsn: u64,
    geometry: Geometry,
}

impl PageZero {
    /// So many bytes at the beginning of a file are enough.
    pub const BYTES: usize = 512;
    /// `FIL_PAGE_LSN`: where each page has the LSN of its last change, eight bytes.
    pub const LSN_AT: u64 = LSN as u64;

    /// None where no tablespace begins like that.
    pub fn read(start: &[u8]) -> Option<Self> {
        let start = start.get(..Self::BYTES)?;
        let (header, geometry) = (Header::read(start)?, Geometry::from_flags(start)?);
        let page_size = u32::try_from(geometry.page_size).ok()?;
        let lsn = start.get(LSN..)?.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))?;
        Some(Self { space: header.space_id, page_size, pages: header.pages, lsn, geometry })
    }

    /// Where the page is that names the doublewrite buffer, in the first file of the system tablespace (`TRX_SYS_PAGE_NO`), bytes.
    pub fn system_page(&self) -> u64 {
        TRX_SYS_PAGE_NO * u64::from(self.page_size)
    }

    /// The pages of the doublewrite buffer, by that page; those of the usual place, where the page is none. The redo log names none of them.
    pub fn doublewrite(&self, system_page: &[u8]) -> [Range<u64>; 2] {
        let mut found = Doublewrite::usual(self.geometry);
        if system_page.len() == self.geometry.page_size
            && u64::from(u32_at(system_page, PAGE_NO)) == TRX_SYS_PAGE_NO
        {
            found.learn(system_page, self.geometry);
        }
        found.blocks()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn a_tablespace_is_known_by_its_beginning() {
        let file = testing::tablespace(Geometry::ALL[0], 9, 5);
        let zero = PageZero::read(&file).unwrap();
        assert_eq!((zero.space, zero.page_size, zero.pages), (9, 16384, 5));
        assert_eq!(zero.system_page(), 5 * 16384);
        assert_eq!(PageZero::read(&file[16384..]), None);
        assert_eq!(PageZero::read(&[0; 4096]), None);
        assert_eq!(PageZero::read(&file[..100]), None);
    }

    #[test]
    fn the_doublewrite_buffer_is_where_the_system_page_says_or_where_it_usually_is() {
        let file = testing::tablespace(Geometry::ALL[0], 0, 8);
        let zero = PageZero::read(&file).unwrap();
        assert_eq!(zero.doublewrite(&[]), [64..128, 128..192]);
        let mut page = file[5 * 16384..6 * 16384].to_vec();
        testing::put(&mut page, 16384 - 190, 536_853_855);
        testing::put(&mut page, 16384 - 186, 640);
        testing::put(&mut page, 16384 - 182, 1280);
        assert_eq!(zero.doublewrite(&page), [640..704, 1280..1344]);
    }
}
