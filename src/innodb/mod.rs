//! What is known about InnoDB files without a server: page sizes and page checksums.
//!
//! [`PageChecker`] is fed with the bytes of one tablespace file, in chunks of any size, while they pass by on
//! their way into (or out of) a backup. It does no I/O, keeps at most one 64 KiB buffer, and computes over
//! the caller's own slice wherever a whole page lies in it.
//!
//! A false alarm is worse than a miss: whoever is told that a healthy file is damaged stops trusting the
//! message. So a page is *damaged* only if the server, at its most tolerant (`innodb_checksum_algorithm`
//! without `strict_`), would refuse it too and has a reason to read it. Everything else that does not verify
//! is *skipped*, with the [`SkipReason`].
//!
//! | format | checksum covers | file |
//! |---|---|---|
//! | `full_crc32` (MariaDB 10.4+, default since 10.5) | the whole page, as stored | `full_crc32.rs` |
//! | the older one (MySQL, MariaDB up to 10.4, `innodb_checksum_algorithm=crc32`) | all but a few header bytes | `legacy.rs` |
//! | `ROW_FORMAT=COMPRESSED` in either | all but LSN and key version | `row_compressed.rs` |
//!
//! Facts come from these places of the MariaDB sources, 10.6 and later (MySQL 8.0 where said): `buf_page_is_corrupted`
//! (buf0buf.cc), `buf_calc_page_*` (buf0checksum.cc), `page_zip_calc_checksum` (page0zip.cc),
//! `fil_space_verify_crypt_checksum` (fil0crypt.cc), `fil_space_t` (fil0fil.h), fsp0types.h, fsp0fsp.h,
//! trx0sys.h, and `innochecksum.cc`. Each file here names its own.
//!
//! Two findings go beyond a checksum, as in `is_page_corrupted` of innochecksum.cc: a page with a good
//! checksum that carries another page number or tablespace (a misdirected write), and a first page of zeros
//! in front of pages that belong to page 0.

mod checker;
mod descriptors;
mod fsp;
mod full_crc32;
mod geometry_search;
mod legacy;
mod live_pages;
mod page;
mod page_report;
mod page_zero;
pub mod redo;
mod row_compressed;
mod system;
mod tablespace;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use checker::{PageChecker, is_numbered_undo};
pub use live_pages::LivePages;
pub use page_report::{
    DamagedPage, DamagedPages, PageDamage, PageFormat, PageReport, SkipReason, SkippedPages,
};
pub use page_zero::PageZero;
pub use system::SystemTablespace;
