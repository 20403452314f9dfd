//! The system tablespace, which may consist of several files.
//!
//! Its header, in the first of them, counts the pages of all (`FSP_SIZE`), and the server does not start where fewer are
//! there: "the tail of the system tablespace is missing" (`srv_start`, srv0start.cc).

use super::page_report::PageReport;
use super::tablespace::missing_pages;

/// The files of one system tablespace, taken together.
#[derive(Debug, Default)]
pub struct SystemTablespace {
    /// Bytes of each file. A later file may be all zeros, so that its own page size cannot be learnt.
    files: Vec<u64>,
    /// Pages that the header counts, and their size in bytes.
    counted: Option<(u64, u64)>,
}

impl SystemTablespace {
    /// Takes one of its files, of so many bytes.
    pub fn add(&mut self, bytes: u64, report: &PageReport) {
        self.files.push(bytes);
        if let (Some(pages), Some(size)) = (report.system_pages, report.page_size) {
            self.counted = Some((pages, u64::from(size)));
        }
    }

    /// Pages that the header counts beyond what all files hold; 0 where there is no header that can be read.
    pub fn pages_missing(&self) -> u64 {
        let Some((pages, size)) = self.counted else { return 0 };
        missing_pages(pages, self.files.iter().map(|bytes| bytes / size).sum(), size)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fsp::Geometry;
    use super::super::testing::{self, check};
    use super::*;

    /// A system tablespace of 12 pages of 16 KiB.
    fn twelve_pages() -> Vec<u8> {
        testing::tablespace(Geometry::ALL[0], 0, 12)
    }

    fn missing(files: &[&[u8]]) -> u64 {
        let mut system = SystemTablespace::default();
        for file in files {
            system.add(file.len() as u64, &check(file));
        }
        system.pages_missing()
    }

    #[test]
    fn the_header_counts_the_pages_of_all_files() {
        let (whole, zeros) = (twelve_pages(), vec![0; 65536]);
        let (first, second) = whole.split_at(8 * 16384);
        assert_eq!(missing(&[&whole]), 0);
        assert_eq!(missing(&[first, second]), 0);
        assert_eq!(missing(&[first]), 4);
        assert_eq!(missing(&[first, &second[..16384]]), 3);
        assert_eq!(missing(&[&whole[..100_000]]), 6);
        // Files that have grown, and one that was never used.
        assert_eq!(missing(&[first, second, &zeros]), 0);
        assert_eq!(missing(&[first, &zeros]), 0);
    }

    #[test]
    fn without_a_header_nothing_is_known() {
        let zeros = vec![0; 65536];
        assert_eq!(missing(&[&zeros]), 0);
        assert_eq!(missing(&[]), 0);
    }
}
