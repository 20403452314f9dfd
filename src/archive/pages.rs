//! What is wrong with the pages of a tablespace file: how much of it, whether it is damage, and in which words.
//!
//! A file that no table uses is never damage: what a failed `ALTER` has left (`#sql-…`), an empty file, a tablespace that was
//! discarded. It would raise the alarm in every backup for ever. Whether a table uses a file only the server knows; where it
//! was asked, the index says what it answered ([`crate::model::Member::listed`]).

use super::member::NewMember;
use crate::innodb::{PageReport, SystemTablespace};
use crate::model::{ArchivePath, FilesState};

/// Numbers of damaged pages that are told.
const PAGES_TOLD: usize = 8;
/// What the names of tables begin with that an `ALTER` makes; at the moment of a backup none of them is in use.
const INTERMEDIATE: &[u8] = b"#sql";

/// Something is wrong with a tablespace file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PageFault {
    /// Data of a table that is in use is lost.
    Lost {
        /// Pages that are not what the server wrote.
        damaged: u64,
        /// Pages that should be there and are not.
        missing: u64,
        /// In words that follow the file's name.
        what: String,
    },
    /// No table uses the file, as far as is known.
    Leftover {
        /// In words that follow the file's name.
        what: String,
    },
}

/// What is wrong with the file of this name (the last part of its path), if anything is. `bytes` is its size; `listed` is
/// whether the server has said that it has this tablespace.
pub fn page_fault(name: &[u8], bytes: u64, report: &PageReport, listed: Option<bool>) -> Option<PageFault> {
    let (mut damaged, mut missing) = (report.damaged.count, report.pages_missing);
    let is_table = name.ends_with(b".ibd");
    if damaged == 0 && missing == 0 {
        // Of an undo log, and of a later file of the system tablespace, nothing may be used yet.
        if !(is_table && report.is_none) {
            return None;
        }
        if listed == Some(true) {
            let is_there = bytes >= SMALLEST_PAGE;
            (damaged, missing) = (u64::from(is_there), u64::from(!is_there));
        } else if bytes > 0 && report.pages_skipped.total() == 0 {
            // Pages of zeros: a table in the making, or a test file.
            return None;
        }
    }
    let what = in_words(bytes, report);
    let is_intermediate = is_table && name.starts_with(INTERMEDIATE);
    Some(match listed {
        Some(false) => PageFault::Leftover {
            what: format!("{what}; the server has no such tablespace, the file is a leftover"),
        },
        None if is_intermediate => {
            PageFault::Leftover { what: format!("{what}; by its name it is what an ALTER TABLE has left") }
        }
        None if damaged == 0 && missing == 0 => {
            PageFault::Leftover { what: format!("{what}; whether a table uses it is not known") }
        }
        _ => PageFault::Lost { damaged, missing, what },
    })
}

/// InnoDB has no smaller page.
const SMALLEST_PAGE: u64 = 1 << 10;

fn in_words(bytes: u64, report: &PageReport) -> String {
    let damaged = &report.damaged;
    let pages =
        |count: u64| if count == 1 { "1 InnoDB page".to_owned() } else { format!("{count} InnoDB pages") };
    let have = |count: u64| if count == 1 { "has" } else { "have" };
    let mut words = Vec::new();
    if damaged.count > 0 {
        let list: Vec<String> =
            damaged.first.iter().take(PAGES_TOLD).map(|page| page.page_no.to_string()).collect();
        let more = if damaged.count > PAGES_TOLD as u64 { ", ..." } else { "" };
        let (count, have) = (pages(damaged.count), have(damaged.count));
        words.push(format!("{count} {have} a wrong checksum (page {}{more})", list.join(", ")));
    }
    if report.pages_missing > 0 {
        let missing = report.pages_missing;
        let are = if missing == 1 { "is" } else { "are" };
        words.push(format!("{} {are} missing at its end: it was cut off at byte {bytes}", pages(missing)));
    }
    if words.is_empty() {
        words.push(if bytes == 0 { "it is empty".into() } else { "it holds no InnoDB page".into() });
    }
    words.join(", and ")
}

/// What the report says of a file that is one of these.
pub fn of_files(files: FilesState, report: PageReport) -> PageReport {
    match files {
        FilesState::Clean => report,
        FilesState::Crashed => report.before_recovery(),
    }
}

/// The words for a system tablespace of which pages are missing.
pub fn missing_of_system(missing: u64) -> String {
    let are = if missing == 1 { "1 InnoDB page is" } else { &format!("{missing} InnoDB pages are") };
    format!("{are} missing at the end of the system tablespace: a file of it was cut off, or is not there")
}

/// What was wrong with the tablespaces of an archive so far.
#[derive(Default)]
pub(super) struct PageFaults {
    pub(super) damaged: u64,
    pub(super) missing: u64,
    pub(super) lost: Vec<(ArchivePath, String)>,
    pub(super) leftovers: Vec<(ArchivePath, String)>,
    /// What the files are.
    files: FilesState,
    system: SystemTablespace,
    /// A file of the system tablespace.
    system_file: Option<ArchivePath>,
}

impl PageFaults {
    /// Of files that are these.
    pub(super) fn of(files: FilesState) -> Self {
        Self { files, ..Self::default() }
    }

    /// A tablespace file that did not change while it was read.
    pub(super) fn take(&mut self, member: &NewMember, bytes: u64, report: PageReport) {
        self.take_file(member.name(), (member.system_tablespace, member.listed), bytes, report);
    }

    /// The same of a file with this name at the end.
    pub(super) fn take_file(
        &mut self,
        path: &ArchivePath,
        (is_system, listed): (bool, Option<bool>),
        bytes: u64,
        report: PageReport,
    ) {
        let report = &of_files(self.files, report);
        if is_system {
            self.system.add(bytes, report);
            self.system_file = Some(path.clone());
        }
        let name = path.file_name();
        match page_fault(name.as_bytes(), bytes, report, listed) {
            None => {}
            Some(PageFault::Leftover { what }) => self.leftovers.push((path.clone(), what)),
            Some(PageFault::Lost { damaged, missing, what }) => {
                self.damaged += damaged;
                self.missing += missing;
                self.lost.push((path.clone(), what));
            }
        }
    }

    /// Behind the last file.
    pub(super) fn end(&mut self) {
        let missing = self.system.pages_missing();
        if let Some(path) = self.system_file.take().filter(|_| missing > 0) {
            self.missing += missing;
            self.lost.push((path, missing_of_system(missing)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::innodb::PageChecker;

    fn fault(name: &str, content: &[u8], listed: Option<bool>) -> Option<PageFault> {
        let mut checker = PageChecker::new();
        checker.update(content);
        page_fault(name.as_bytes(), content.len() as u64, &checker.finish(), listed)
    }

    /// A page 0 of the format `full_crc32` that counts `pages` pages.
    fn header(pages: u8) -> Vec<u8> {
        let end = (16 << 10) - 4;
        let mut page = vec![0; end];
        (page[25], page[37], page[41]) = (8, 7, 7);
        page[38 + 8 + 3] = pages;
        page[38 + 16 + 3] = 0x15;
        let sum = crc32c::crc32c(&page);
        page.extend_from_slice(&sum.to_be_bytes());
        page
    }

    #[test]
    fn a_file_that_was_cut_off_is_lost_unless_no_table_uses_it() {
        let whole = [header(4), vec![0; 48 << 10]].concat();
        assert_eq!(fault("t.ibd", &whole, Some(true)), None);
        let cut = &whole[..20_000];
        for listed in [Some(true), None] {
            let Some(PageFault::Lost { damaged: 0, missing: 3, what }) = fault("t.ibd", cut, listed) else {
                panic!("{:?}", fault("t.ibd", cut, listed));
            };
            assert_eq!(what, "3 InnoDB pages are missing at its end: it was cut off at byte 20000");
        }
        for (name, listed) in [("t.ibd", Some(false)), ("#sql-alter-1-2.ibd", None)] {
            assert!(matches!(fault(name, cut, listed), Some(PageFault::Leftover { .. })), "{name}");
        }
        assert!(matches!(fault("#sql-ib12.ibd", cut, Some(true)), Some(PageFault::Lost { .. })));
    }

    #[test]
    fn a_file_without_a_page_is_lost_where_the_server_has_the_table() {
        let noise: Vec<u8> =
            (0..40_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 1).collect();
        let zeros = vec![0; 32 << 10];
        for (content, damaged, missing) in [(&noise[..], 1, 0), (&zeros[..], 1, 0), (&[], 0, 1), (b"x", 0, 1)]
        {
            let found = fault("t.ibd", content, Some(true));
            let is_lost = matches!(&found, Some(PageFault::Lost { damaged: d, missing: m, .. }) if (*d, *m) == (damaged, missing));
            assert!(is_lost, "{} bytes: {found:?}", content.len());
        }
        for content in [&noise[..], &[], b"x"] {
            for listed in [Some(false), None] {
                let found = fault("t.ibd", content, listed);
                assert!(
                    matches!(found, Some(PageFault::Leftover { .. })),
                    "{} bytes: {found:?}",
                    content.len()
                );
            }
        }
        assert_eq!(fault("t.ibd", &zeros[..], None), None);
        for name in ["ibdata2", "undo001"] {
            assert_eq!(fault(name, &zeros[..], None), None);
            assert_eq!(fault(name, &[], None), None);
        }
    }
}
