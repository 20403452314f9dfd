//! Small InnoDB tablespaces in the format `full_crc32`, so that the files of a fixture pass for what their names say.

/// Bytes of a page.
pub(crate) const PAGE: usize = 16 << 10;
/// Bytes that a page-compressed page keeps; behind them it has a hole.
pub(crate) const KEPT: usize = 4096;

/// Places in a page header (InnoDB's `fil0types.h`) and in the header of page 0 (`fsp0fsp.h`).
const PAGE_NO: usize = 4;
const LSN: usize = 16;
const TYPE: usize = 24;
const SPACE_ID: usize = 34;
const DATA: usize = 38;
/// `FIL_PAGE_INDEX`, `FIL_PAGE_TYPE_TRX_SYS`, `FIL_PAGE_TYPE_FSP_HDR`.
const TYPE_INDEX: u16 = 17855;
const TYPE_TRX_SYS: u16 = 7;
const TYPE_FSP_HDR: u16 = 8;

/// A tablespace of good pages. `compressed`: all but page 0 are page-compressed, [`KEPT`] bytes of data each.
pub(crate) fn tablespace(space: u32, pages: u32, compressed: bool) -> Vec<u8> {
    (0..pages).flat_map(|number| page(space, number, pages, compressed)).collect()
}

fn page(space: u32, number: u32, pages: u32, compressed: bool) -> Vec<u8> {
    let mut page = vec![0; PAGE];
    put(&mut page, PAGE_NO, number);
    put(&mut page, LSN + 4, 0x2233_4455);
    put(&mut page, SPACE_ID, space);
    put(&mut page, PAGE - 8, 0x2233_4455);
    match number {
        0 => {
            set_type(&mut page, TYPE_FSP_HDR);
            put(&mut page, DATA, space);
            put(&mut page, DATA + 8, pages);
            put(&mut page, DATA + 12, pages);
            // full_crc32, 16 KiB pages, and zlib as the algorithm of compressed ones.
            put(&mut page, DATA + 16, if compressed { 0x35 } else { 0x15 });
        }
        5 if space == 0 => set_type(&mut page, TYPE_TRX_SYS),
        _ => {
            set_type(&mut page, TYPE_INDEX);
            let row = format!("row of page {number} in tablespace {space}; ");
            let rows = row.bytes().cycle();
            page[DATA + 56..].iter_mut().zip(rows).take(1500).for_each(|(byte, text)| *byte = text);
        }
    }
    if compressed && number > 0 {
        // Bit 15 marks a compressed page, the rest is its length in units of 256 bytes.
        let length = KEPT - 256;
        set_type(&mut page, 0x8000 | u16::try_from(length >> 8).unwrap_or(0));
        page[length..].fill(0);
        seal(&mut page[..length]);
    } else {
        seal(&mut page);
    }
    page
}

fn seal(written: &mut [u8]) {
    let end = written.len() - 4;
    let sum = crc32c::crc32c(&written[..end]);
    put(written, end, sum);
}

fn put(page: &mut [u8], at: usize, value: u32) {
    page[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

fn set_type(page: &mut [u8], kind: u16) {
    page[TYPE..TYPE + 2].copy_from_slice(&kind.to_be_bytes());
}
