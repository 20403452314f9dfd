//! What a checked tablespace file looks like.

use std::fmt;

use roaring::RoaringBitmap;

/// Most damaged pages that are listed one by one; the rest are only counted.
pub(super) const LISTED: usize = 32;

/// How the pages of a tablespace are checksummed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageFormat {
    /// MariaDB's `innodb_checksum_algorithm=full_crc32`.
    FullCrc32,
    /// MySQL, and MariaDB before 10.5 or with `innodb_checksum_algorithm=crc32`, `innodb` or `none`.
    Legacy,
    /// `ROW_FORMAT=COMPRESSED`.
    RowCompressed,
}

impl fmt::Display for PageFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::FullCrc32 => "full_crc32",
            Self::Legacy => "legacy",
            Self::RowCompressed => "row-compressed",
        })
    }
}

/// The outcome for one tablespace file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PageReport {
    /// Bytes per page as stored (1 KiB to 64 KiB); `None` if it could not be learnt.
    pub page_size: Option<u32>,
    /// How the pages are checksummed; `None` if it could not be learnt.
    pub format: Option<PageFormat>,
    /// Pages whose checksum was compared, good or not.
    pub pages_checked: u64,
    /// Pages of zeros. In units of 16 KiB if the page size could not be learnt.
    pub pages_empty: u64,
    /// Pages about which nothing can be said. In units of 16 KiB if the page size could not be learnt.
    pub pages_skipped: SkippedPages,
    /// Pages that are not what the server wrote.
    pub damaged: DamagedPages,
    /// Bytes after the last whole page. Not damage in itself: the server ignores them too
    /// (`fil_node_t::read_page0` rounds the size down), and a file that grows while it is copied has them.
    pub trailing_bytes: u32,
    /// Pages that the tablespace header promises (`FSP_SIZE`) beyond the end of the file: it was cut off.
    /// Always 0 for the system tablespace, whose header speaks for several files: see [`Self::system_pages`].
    pub pages_missing: u64,
    /// The first file of a system tablespace: pages that its header counts in all of its files.
    pub system_pages: Option<u64>,
    /// Nothing in the file is a page, nor does it begin like a tablespace: it is empty, zeros, or something else.
    pub is_none: bool,
}

impl PageReport {
    /// The same of a server that recovers when it is started: a page 0 that was not written yet, or no page at all, is in its redo log
    /// (`recv_sys.deferred_spaces` in `log0recv.cc`).
    #[must_use]
    pub fn before_recovery(mut self) -> Self {
        let known = self.damaged.first.len();
        self.damaged.first.retain(|page| page.damage != PageDamage::EmptyHeader);
        self.damaged.count -= (known - self.damaged.first.len()) as u64;
        self.is_none = false;
        self
    }

    /// Whether nothing wrong was found: no damaged page and no missing one.
    pub fn is_clean(&self) -> bool {
        self.damaged.count == 0 && self.pages_missing == 0
    }
}

/// Pages that are not what the server wrote.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DamagedPages {
    /// How many.
    pub count: u64,
    /// The first of them, at most 32, in the order of the file.
    pub first: Vec<DamagedPage>,
    /// The places of all, where they are kept; a place beyond 32 bits is counted only.
    places: Option<RoaringBitmap>,
}

impl DamagedPages {
    /// Keeps the places of all pages that come.
    pub(super) fn keep_places(&mut self) {
        self.places = Some(RoaringBitmap::new());
    }

    /// The places that were kept.
    pub(super) fn take_places(&mut self) -> RoaringBitmap {
        self.places.take().unwrap_or_default()
    }

    /// `place` is the page's place in its file, which is its number in most files.
    pub(super) fn add(&mut self, page: DamagedPage, place: u64) {
        self.count += 1;
        if let (Some(places), Ok(place)) = (&mut self.places, u32::try_from(place)) {
            places.insert(place);
        }
        if self.first.len() < LISTED {
            self.first.push(page);
        }
    }
}

/// One damaged page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DamagedPage {
    /// Its number in the tablespace. Differs from `offset / page_size` in `ibdata2` and later files.
    pub page_no: u64,
    /// Where it starts in this file, in bytes.
    pub offset: u64,
    /// What is wrong with it.
    pub damage: PageDamage,
    /// The value found in the page.
    pub stored: u32,
    /// The value that should be there.
    pub computed: u32,
}

impl fmt::Display for DamagedPage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { page_no, offset, damage, stored, computed } = self;
        write!(out, "page {page_no} at byte {offset}: {damage}")?;
        match damage {
            PageDamage::EmptyHeader => Ok(()),
            PageDamage::PageNumber | PageDamage::SpaceId => {
                write!(out, " (stored {stored}, expected {computed})")
            }
            _ => write!(out, " (stored {stored:#010x}, computed {computed:#010x})"),
        }
    }
}

/// What is wrong with a damaged page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PageDamage {
    /// No checksum that this format may carry matches.
    Checksum,
    /// The low half of the LSN differs between header and trailer: half of an old page, half of a new one.
    TornLsn,
    /// `full_crc32`: the length of a compressed page is impossible (the value is in `stored`).
    CompressedLength,
    /// A good page, but of another place in the file.
    PageNumber,
    /// A good page, but of another tablespace.
    SpaceId,
    /// The first page is all zeros although the rest of the tablespace is not. In files that still need crash
    /// recovery the redo log may hold it; in files from under a freeze nothing does.
    EmptyHeader,
}

impl fmt::Display for PageDamage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Checksum => "the checksum does not match",
            Self::TornLsn => "header and trailer are from different writes",
            Self::CompressedLength => "the compressed length is impossible",
            Self::PageNumber => "holds another page",
            Self::SpaceId => "holds a page of another tablespace",
            Self::EmptyHeader => "the tablespace header is empty",
        })
    }
}

/// Why nothing can be said about a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipReason {
    /// Slot of the doublewrite buffer in the system tablespace: copies of other pages, of any age.
    Doublewrite,
    /// Written with `innodb_checksum_algorithm=none`, or by a server before 4.0.14.
    NoChecksum,
    /// Compressed in a format whose checksum covers the decompressed page only.
    PageCompressed,
    /// Encrypted in a format whose checksum covers the plain page only; a key would be needed.
    Encrypted,
    /// Does not verify, but the tablespace says that the page is free: InnoDB does not read it.
    Free,
    /// Does not verify, but the tablespace has flags that are not known here.
    UnknownFlags,
    /// The page size and format could not be learnt from the file.
    UnknownGeometry,
}

impl SkipReason {
    /// Every reason, in the order in which [`SkippedPages::iter`] lists them.
    pub const ALL: [Self; 7] = [
        Self::Doublewrite,
        Self::NoChecksum,
        Self::PageCompressed,
        Self::Encrypted,
        Self::Free,
        Self::UnknownFlags,
        Self::UnknownGeometry,
    ];
}

impl fmt::Display for SkipReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Doublewrite => "doublewrite buffer",
            Self::NoChecksum => "written without a checksum",
            Self::PageCompressed => "compressed",
            Self::Encrypted => "encrypted",
            Self::Free => "free",
            Self::UnknownFlags => "unknown tablespace flags",
            Self::UnknownGeometry => "unknown page size",
        })
    }
}

/// How many pages were skipped, by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkippedPages {
    counts: [u64; SkipReason::ALL.len()],
}

impl SkippedPages {
    pub(super) fn add(&mut self, reason: SkipReason, pages: u64) {
        self.counts[reason as usize] += pages;
    }

    /// Pages skipped for one reason.
    pub fn count(&self, reason: SkipReason) -> u64 {
        self.counts[reason as usize]
    }

    /// Pages skipped for any reason.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The reasons that occurred, each with its number of pages.
    pub fn iter(&self) -> impl Iterator<Item = (SkipReason, u64)> + '_ {
        SkipReason::ALL.into_iter().zip(self.counts).filter(|(_, pages)| *pages > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_32_damaged_pages_are_listed_but_all_are_counted() {
        let mut damaged = DamagedPages::default();
        for page_no in 0..40 {
            let offset = page_no * 16384;
            damaged.add(
                DamagedPage { page_no, offset, damage: PageDamage::Checksum, stored: 1, computed: 2 },
                0,
            );
        }
        assert_eq!((damaged.count, damaged.first.len()), (40, 32));
        assert_eq!(damaged.first[31].page_no, 31);
    }

    #[test]
    fn each_reason_has_its_own_count() {
        let mut skipped = SkippedPages::default();
        for (pages, reason) in SkipReason::ALL.into_iter().enumerate() {
            skipped.add(reason, pages as u64);
        }
        assert_eq!(skipped.total(), 21);
        assert_eq!(skipped.count(SkipReason::UnknownGeometry), 6);
        assert_eq!(skipped.iter().count(), 6, "a reason without pages is not listed");
    }

    #[test]
    fn a_damaged_page_names_the_place_and_the_values() {
        let damage = PageDamage::Checksum;
        let page = DamagedPage { page_no: 3, offset: 49152, damage, stored: 0xAB, computed: 0xCD };
        assert_eq!(
            page.to_string(),
            "page 3 at byte 49152: the checksum does not match (stored 0x000000ab, computed 0x000000cd)"
        );
    }
}
