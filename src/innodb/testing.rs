//! Small synthetic tablespaces for the unit tests. The oracle for the formats themselves is a real server
//! (`tests/innodb_oracle.rs`); this is only a way to reach corners without one.

use super::checker::PageChecker;
use super::descriptors::{BITMAP, ENTRIES};
use super::fsp::Geometry;
use super::page::{DATA, KEY_VERSION, LSN, PAGE_NO, SPACE_ID, TYPE, TYPE_FSP_HDR, TYPE_TRX_SYS};
use super::page_report::PageFormat;
use super::page_report::{PageDamage, PageReport};

pub(super) fn put(page: &mut [u8], at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// A page with a header and noise, not yet checksummed.
fn raw_page(size: usize, space: u32, page_no: u32) -> Vec<u8> {
    let mut state = page_no.wrapping_mul(2_654_435_761).wrapping_add(space) | 1;
    let mut page: Vec<u8> = (0..size)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_be_bytes()[0]
        })
        .collect();
    page[..DATA].fill(0);
    put(&mut page, PAGE_NO, page_no);
    put(&mut page, LSN, 0x11);
    put(&mut page, LSN + 4, 0x2233_4455);
    page[TYPE..TYPE + 2].copy_from_slice(&17855u16.to_be_bytes());
    put(&mut page, SPACE_ID, space);
    put(&mut page, size - 4, 0x2233_4455);
    page
}

/// Writes the checksums of the format, as the server does before it writes a page.
pub(super) fn seal(format: PageFormat, page: &mut [u8]) {
    let end = page.len();
    match format {
        PageFormat::FullCrc32 => {
            let sum = crc32c::crc32c(&page[..end - 4]);
            put(page, end - 4, sum);
        }
        PageFormat::Legacy => {
            let sum = crc32c::crc32c(&page[4..26]) ^ crc32c::crc32c(&page[38..end - 8]);
            put(page, 0, sum);
            put(page, end - 8, sum);
        }
        PageFormat::RowCompressed => {
            let parts = [&page[4..16], &page[24..26], &page[34..]];
            let sum = parts.iter().fold(0, |sum, part| sum ^ crc32c::crc32c(part));
            put(page, 0, sum);
        }
    }
}

fn sealed(format: PageFormat, size: usize, space: u32, page_no: u32) -> Vec<u8> {
    let mut page = raw_page(size, space, page_no);
    seal(format, &mut page);
    page
}

pub(super) fn full_crc32_page(size: usize, space: u32, page_no: u32) -> Vec<u8> {
    sealed(PageFormat::FullCrc32, size, space, page_no)
}

pub(super) fn legacy_page(size: usize, space: u32, page_no: u32) -> Vec<u8> {
    sealed(PageFormat::Legacy, size, space, page_no)
}

pub(super) fn row_compressed_page(size: usize, space: u32, page_no: u32) -> Vec<u8> {
    sealed(PageFormat::RowCompressed, size, space, page_no)
}

/// Turns a `full_crc32` page into a compressed one of `length` bytes (a multiple of 256), a hole behind it.
pub(super) fn compress_full_crc32(page: &mut [u8], length: usize) {
    let kind = 0x8000 | u16::try_from(length >> 8).unwrap();
    page[TYPE..TYPE + 2].copy_from_slice(&kind.to_be_bytes());
    seal(PageFormat::FullCrc32, &mut page[..length]);
    page[length..].fill(0);
}

fn flags(geometry: Geometry) -> u32 {
    let shift = |size: usize| size.trailing_zeros() - 9;
    let logical = if geometry.logical == 16384 { 0 } else { shift(geometry.logical) << 6 };
    match geometry.format {
        PageFormat::FullCrc32 => 0x10 | shift(geometry.logical),
        PageFormat::Legacy => 0x21 | logical,
        PageFormat::RowCompressed => 0x21 | shift(geometry.page_size) << 1 | logical,
    }
}

/// A whole tablespace, every page of it good, allocated and full of noise.
pub(super) fn tablespace(geometry: Geometry, space: u32, pages: u32) -> Vec<u8> {
    let mut file = Vec::new();
    for page_no in 0..pages {
        let mut page = raw_page(geometry.page_size, space, page_no);
        let end = page.len() - 8;
        if page_no == 0 {
            page[DATA..end].fill(0);
            page[TYPE..TYPE + 2].copy_from_slice(&TYPE_FSP_HDR.to_be_bytes());
            put(&mut page, DATA, space);
            put(&mut page, DATA + 8, pages);
            put(&mut page, DATA + 12, pages);
            put(&mut page, DATA + 16, flags(geometry));
        }
        if page_no == 5 && space == 0 {
            page[DATA..end].fill(0);
            page[TYPE..TYPE + 2].copy_from_slice(&TYPE_TRX_SYS.to_be_bytes());
        }
        seal(geometry.format, &mut page);
        file.extend(page);
    }
    file
}

/// Changes one page of a file and writes its checksums again.
pub(super) fn edit(file: &mut [u8], geometry: Geometry, page_no: usize, change: impl FnOnce(&mut [u8])) {
    let page = &mut file[page_no * geometry.page_size..][..geometry.page_size];
    change(page);
    seal(geometry.format, page);
}

/// Marks a page as free in the descriptors on page 0 (first extent only).
pub(super) fn set_free(page0: &mut [u8], page_no: usize) {
    page0[ENTRIES + BITMAP + page_no / 4] |= 1 << (page_no % 4 * 2);
}

/// Makes a page of the older format what a MariaDB page with a key version looks like, without a second checksum.
pub(super) fn set_key_version(page: &mut [u8], version: u32) {
    put(page, KEY_VERSION, version);
}

pub(super) fn check(file: &[u8]) -> PageReport {
    check_in_chunks(file, 1 << 20)
}

pub(super) fn check_in_chunks(file: &[u8], chunk: usize) -> PageReport {
    let mut checker = PageChecker::new();
    for bytes in file.chunks(chunk) {
        checker.update(bytes);
    }
    checker.finish()
}

/// Place and kind of the damage found.
pub(super) fn damage(report: &PageReport) -> Vec<(u64, PageDamage)> {
    assert_eq!(report.damaged.count, report.damaged.first.len() as u64);
    report.damaged.first.iter().map(|page| (page.page_no, page.damage)).collect()
}
