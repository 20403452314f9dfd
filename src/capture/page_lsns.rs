//! Which pages of the system tablespace were written under the freeze.
//!
//! Each `CREATE TEMPORARY TABLE … ENGINE=InnoDB` of a client takes a table id from the dictionary header, page 7 of space 0
//! (MariaDB `dict0boot.cc`, `dict_hdr_get_new_id`), and notes it in the redo log. A frozen server goes on with that, and
//! InnoDB may write the page, by way of the doublewrite buffer, when its redo log or its buffer pool runs full (seen on
//! 10.11.19 with a redo log of 8 MiB and some hundred temporary tables a second). Whichever version of that page a backup holds,
//! the rows are those of one moment, and the number in it is one that no table has. Any other page that was written is a sign that
//! the server does not stand still. An LSN stands in bytes 16 to 23 of each page (`FIL_PAGE_LSN`).
//!
//! The redo log must be read behind the page: with a log that ends before the page's LSN and has older records of it, a restored server
//! refuses to start ("Unable to apply log to corrupted page 7 in file ./ibdata1", seen). InnoDB writes no page before its records.

use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::regular_file;

/// `DICT_HDR_PAGE_NO`.
const DICTIONARY_HEADER: usize = 7;
/// `FIL_PAGE_LSN`.
const LSN_AT: u64 = 16;
/// A larger file is not looked into: it must stand still as a whole. 65,536 pages of 16 KiB; half a MiB of LSNs.
const LARGEST: u64 = 1 << 30;

/// The LSN of each page of the first file of the system tablespace, when the server had come to rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PageLsns {
    page_size: u32,
    lsns: Vec<u64>,
}

impl PageLsns {
    /// None for a file that is too large.
    pub(super) fn read(path: &Path, page_size: u32) -> io::Result<Option<Self>> {
        let file = regular_file::open(path)?;
        let bytes = file.metadata()?.len();
        if bytes > LARGEST || page_size == 0 {
            return Ok(None);
        }
        let mut lsns = Vec::new();
        for page in 0..bytes / u64::from(page_size) {
            let mut lsn = [0; 8];
            file.read_exact_at(&mut lsn, page * u64::from(page_size) + LSN_AT)?;
            lsns.push(u64::from_be_bytes(lsn));
        }
        Ok(Some(Self { page_size, lsns }))
    }

    /// Whether nothing else was written since than the dictionary header and the doublewrite buffer, whose pages nobody reads
    /// after a clean flush.
    pub(super) fn only_header_moved(&self, path: &Path) -> io::Result<bool> {
        let Some(now) = Self::read(path, self.page_size)? else { return Ok(false) };
        let doublewrite = doublewrite(self.page_size);
        let may_move = |page: usize| page == DICTIONARY_HEADER || doublewrite.contains(&page);
        let mut pages = self.lsns.iter().zip(&now.lsns).enumerate();
        Ok(self.lsns.len() == now.lsns.len()
            && pages.all(|(page, (before, now))| before == now || may_move(page)))
    }
}

/// The two blocks of the doublewrite buffer: the second and third extent of the space (`buf0dblwr.cc`; an extent has
/// `FSP_EXTENT_SIZE` pages).
fn doublewrite(page_size: u32) -> Range<usize> {
    let extent = match page_size {
        4096 => 256,
        8192 => 128,
        _ => 64,
    };
    extent..3 * extent
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_the_dictionary_header_and_the_doublewrite_buffer_may_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ibdata1");
        let mut bytes = vec![0_u8; 200 * 16384];
        fs::write(&path, &bytes).unwrap();
        let before = PageLsns::read(&path, 16384).unwrap().unwrap();
        for (page, may_move) in [(7, true), (64, true), (191, true), (192, false)] {
            bytes[page * 16384 + 20] = 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(before.only_header_moved(&path).unwrap(), may_move, "{page}");
        }
        let before = PageLsns::read(&path, 16384).unwrap().unwrap();
        bytes.extend([0; 16384]);
        fs::write(&path, &bytes).unwrap();
        assert!(!before.only_header_moved(&path).unwrap(), "it has grown");
    }
}
