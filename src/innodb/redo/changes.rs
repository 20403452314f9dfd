//! What a mini-transaction changes.
//!
//! Each record that is not of the same page as the one before names its page; the records of files stand for themselves.

use super::error::RedoError;
use super::page_id::PageId;
use super::record::{RecordHead, SAME_PAGE, varint};

/// The bits of a type.
const TYPE: u8 = 0x70;
/// `EXTENDED`.
const EXTENDED: u8 = 0x20;
/// `FILE_CREATE` and `FILE_DELETE`.
const FILE_CREATE: u8 = 0x80;
const FILE_DELETE: u8 = 0x90;
/// `TRIM_PAGES`: the only byte of an `EXTENDED` record behind its page.
const TRIM_PAGES: u8 = 10;

/// What is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'m> {
    /// This page; in which way is of no matter here.
    Page(PageId),
    /// The file ends before this page, and whatever comes there later is new: an undo tablespace was truncated.
    Trimmed(PageId),
    /// The file of this tablespace was made, or removed.
    Replaced(u32),
    /// A file was renamed, or written to for the first time since a checkpoint; the type, and what follows it.
    File(u8, &'m [u8]),
}

/// The changes of one mini-transaction.
pub struct Changes<'m> {
    bytes: &'m [u8],
    lsn: u64,
    at: usize,
    /// The record before was one of a page.
    has_page: bool,
}

impl<'m> Changes<'m> {
    /// Of one that begins at this LSN, whose checksum is right.
    pub(super) fn of(bytes: &'m [u8], lsn: u64) -> Self {
        Self { bytes, lsn, at: 0, has_page: false }
    }

    fn broken(&self, what: &str) -> RedoError {
        RedoError::Other(format!("the mini-transaction at LSN {} has {what}", self.lsn))
    }

    /// A number of a page or of a tablespace, and what follows it.
    fn number(&self, rest: &'m [u8]) -> Result<(u32, &'m [u8]), RedoError> {
        let (number, own) = varint(rest).map_err(|_| self.broken("a page without a number"))?;
        let number = u32::try_from(number).map_err(|_| self.broken("a number of more than 32 bits"))?;
        Ok((number, &rest[own..]))
    }

    /// None where the record tells of no other page than the one before.
    fn change(&mut self, head: RecordHead) -> Result<Option<Change<'m>>, RedoError> {
        let RecordHead { first, body, length } = head;
        let rest =
            self.bytes.get(body..body + length).ok_or_else(|| self.broken("a record behind its end"))?;
        self.at = body + length;
        if first & SAME_PAGE != 0 {
            return match first & !15 {
                _ if self.has_page => Ok(None),
                FILE_CREATE | FILE_DELETE => Ok(Some(Change::Replaced(self.number(rest)?.0))),
                other => Ok(Some(Change::File(other, rest))),
            };
        }
        self.has_page = true;
        let (space, rest) = self.number(rest)?;
        let (page, rest) = self.number(rest)?;
        let id = PageId { space, page };
        let is_trim = first & TYPE == EXTENDED && rest == [TRIM_PAGES];
        Ok(Some(if is_trim { Change::Trimmed(id) } else { Change::Page(id) }))
    }
}

impl<'m> Iterator for Changes<'m> {
    type Item = Result<Change<'m>, RedoError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // The byte that ends the records.
            if self.bytes.get(self.at).is_none_or(|first| *first <= 1) {
                return None;
            }
            let head =
                RecordHead::parse(self.bytes, self.at).map_err(|_| self.broken("a record that is none"));
            let change = head.and_then(|head| self.change(head));
            if change.is_err() {
                self.bytes = &[];
            }
            if let Some(change) = change.transpose() {
                return Some(change);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(bytes: &[u8]) -> Vec<Result<Change<'_>, String>> {
        let changes = Changes::of(bytes, 4711);
        changes.map(|change| change.map_err(|error| error.to_string())).collect()
    }

    fn page(space: u32, page: u32) -> PageId {
        PageId { space, page }
    }

    #[test]
    fn each_page_is_named_once_and_files_apart() {
        let records = [
            &[0xb4, 5, 0, b'.', b'/'][..], // FILE_MODIFY
            &[0x35, 5, 0x80, 1, 7, 7],     // WRITE to page 129 of tablespace 5
            &[0xb2, 9, 9],                 // WRITE to the same page
            &[0x12, 5, 3],                 // INIT_PAGE
            &[0x23, 2, 64, 10],            // TRIM_PAGES
            &[0x23, 2, 65, 2],             // UNDO_INIT
            &[1],
        ]
        .concat();
        let wanted = [
            Change::File(0xb0, &[5, 0, b'.', b'/']),
            Change::Page(page(5, 129)),
            Change::Page(page(5, 3)),
            Change::Trimmed(page(2, 64)),
            Change::Page(page(2, 65)),
        ];
        assert_eq!(seen(&records), wanted.map(Ok));
        for kind in [0x84, 0x94] {
            assert_eq!(seen(&[kind, 7, 0, b'.', b'/', 1]), [Ok(Change::Replaced(7))]);
        }
        assert_eq!(seen(&[0xa4, 7, 0, b'.', b'/', 1]), [Ok(Change::File(0xa0, &[7, 0, b'.', b'/']))]);
    }

    #[test]
    fn what_is_none_ends_the_changes() {
        for records in [&[0x32, 5][..], &[0x31, 5, 1], &[0x32, 0xf1, 0, 1], &[0x30, 0xf1, 1]] {
            let seen = seen(records);
            assert!(seen.len() == 1 && seen[0].as_ref().unwrap_err().contains("at LSN 4711 has"), "{seen:?}");
        }
    }
}
