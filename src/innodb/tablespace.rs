//! Pages in the order of a file whose geometry is known: each is judged by what it is, where it lies, and what the
//! tablespace says about it.

use super::descriptors::{Doublewrite, FreePages, TRX_SYS_PAGE_NO};
use super::fsp::{Geometry, Header};
use super::page::{PAGE_NO, PageVerdict, is_zero, u32_at};
use super::page_report::{DamagedPage, PageDamage, PageReport, SkipReason};

/// The server rounds the size of a file down to a multiple of this when it extends it, whatever `FSP_SIZE` says
/// (`fil_space_extend_must_retry`); \[seen\] with `KEY_BLOCK_SIZE=2`: 32 pages in a file of 33.
const SIZE_UNIT: u64 = 4096;

/// Pages of `page_size` bytes that are not there, of those that a header counts.
pub(super) fn missing_pages(counted: u64, there: u64, page_size: u64) -> u64 {
    let missing = counted.saturating_sub(there);
    if missing.saturating_mul(page_size) < SIZE_UNIT { 0 } else { missing }
}

/// What is known of a tablespace between two readings of it.
#[derive(Debug, Clone)]
pub(super) struct KnownSpace {
    pub(super) geometry: Geometry,
    /// Number of its first page.
    pub(super) base: u64,
    /// Pages in the file.
    pub(super) pages: u64,
    pub(super) header: Option<Header>,
    pub(super) system: bool,
    /// Where it is, which only page 5 says: that is not among what is read again.
    pub(super) doublewrite: Doublewrite,
}

/// The state between two pages.
#[derive(Debug)]
pub(super) struct Tablespace {
    geometry: Geometry,
    /// Number of the first page in this file: 0, but in `ibdata2` and later.
    base: u64,
    /// Place of the next page in this file.
    next: u64,
    /// Once page 0 has been verified.
    header: Option<Header>,
    free: FreePages,
    /// Whether this is the system tablespace.
    system: bool,
    doublewrite: Doublewrite,
}

impl Tablespace {
    /// A file that starts with page `base` and whose next page is at place `next`.
    pub(super) fn new(geometry: Geometry, base: u64, next: u64, system: bool) -> Self {
        let doublewrite = if system { Doublewrite::usual(geometry) } else { Doublewrite::none() };
        Self { geometry, base, next, header: None, free: FreePages::default(), system, doublewrite }
    }

    /// One that was known before, whose next page is at place `next`.
    pub(super) fn known(space: KnownSpace, next: u64) -> Self {
        let KnownSpace { geometry, base, header, system, doublewrite, .. } = space;
        let mut tablespace = Self::new(geometry, base, next, system);
        tablespace.free.limit = header.map(|header| header.free_limit);
        Self { header, doublewrite, ..tablespace }
    }

    /// What is known so far; its pages are those up to the next one.
    pub(super) fn space(&self) -> KnownSpace {
        let Self { geometry, base, next, header, system, .. } = *self;
        let doublewrite = self.doublewrite.clone();
        KnownSpace { geometry, base, pages: next, header, system, doublewrite }
    }

    /// Bytes per page.
    pub(super) fn page_size(&self) -> usize {
        self.geometry.page_size
    }

    /// Takes the next page of the file.
    pub(super) fn check(&mut self, page: &[u8], report: &mut PageReport) {
        let place = self.next;
        self.next += 1;
        let page_no = self.base + place;
        let verdict = if self.doublewrite.contains(page_no) {
            doublewrite_slot(page)
        } else {
            self.judge(page, page_no)
        };
        match verdict {
            PageVerdict::Valid => report.pages_checked += 1,
            PageVerdict::Empty => report.pages_empty += 1,
            PageVerdict::Unchecked(reason) => report.pages_skipped.add(reason, 1),
            PageVerdict::Damaged { damage, stored, computed } => {
                let offset = place * self.geometry.page_size as u64;
                report.pages_checked += 1;
                report.damaged.add(DamagedPage { page_no, offset, damage, stored, computed }, place);
            }
        }
    }

    /// Ends the file.
    pub(super) fn finish(&self, trailing: usize, report: &mut PageReport) {
        report.trailing_bytes = u32::try_from(trailing).unwrap_or(u32::MAX);
        match self.header {
            Some(header) if header.space_id == 0 => report.system_pages = Some(header.pages),
            Some(header) => {
                report.pages_missing = missing_pages(header.pages, self.next, self.geometry.page_size as u64);
            }
            None => {}
        }
    }

    fn judge(&mut self, page: &[u8], page_no: u64) -> PageVerdict {
        let verdict = match self.geometry.check(page) {
            PageVerdict::Valid => {
                self.learn(page, page_no);
                self.misplaced(page, page_no)
            }
            // The geometry is proven, so this file has pages: its header is lost.
            PageVerdict::Empty if page_no == 0 => {
                PageVerdict::Damaged { damage: PageDamage::EmptyHeader, stored: 0, computed: 0 }
            }
            other => other,
        };
        match verdict {
            PageVerdict::Damaged { .. } if self.free.contains(page_no) => {
                PageVerdict::Unchecked(SkipReason::Free)
            }
            PageVerdict::Damaged { .. } if self.header.is_some_and(|header| !header.flags_known) => {
                PageVerdict::Unchecked(SkipReason::UnknownFlags)
            }
            other => other,
        }
    }

    /// Takes from a verified page what it says about others.
    fn learn(&mut self, page: &[u8], page_no: u64) {
        if page_no == 0 {
            self.header = Header::read(page);
            self.free.limit = self.header.map(|header| header.free_limit);
            // The logical page size is a guess until the flags confirm the rest of the geometry.
            if let Some(named) = Geometry::from_flags(page)
                && (named.format, named.page_size) == (self.geometry.format, self.geometry.page_size)
            {
                self.geometry = named;
            }
        }
        if self.system && page_no == TRX_SYS_PAGE_NO {
            self.doublewrite.learn(page, self.geometry);
        }
        self.free.learn(page, page_no, self.geometry);
    }

    /// A page with a good checksum is valid only in its own place. Without a verified header nothing is known
    /// about the place.
    fn misplaced(&self, page: &[u8], page_no: u64) -> PageVerdict {
        let Some(header) = self.header else { return PageVerdict::Valid };
        let number = u32_at(page, PAGE_NO);
        if u64::from(number) != page_no {
            let computed = u32::try_from(page_no).unwrap_or(u32::MAX);
            return PageVerdict::Damaged { damage: PageDamage::PageNumber, stored: number, computed };
        }
        match self.geometry.space_id(page) {
            Some(stored) if stored != header.space_id => {
                PageVerdict::Damaged { damage: PageDamage::SpaceId, stored, computed: header.space_id }
            }
            _ => PageVerdict::Valid,
        }
    }
}

/// Whatever lies in the doublewrite buffer is not a page of its place.
fn doublewrite_slot(page: &[u8]) -> PageVerdict {
    if is_zero(page) { PageVerdict::Empty } else { PageVerdict::Unchecked(SkipReason::Doublewrite) }
}
