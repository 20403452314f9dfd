//! The checker: cuts a stream of bytes into pages.

use super::fsp::LARGEST;
use super::geometry_search::{Learning, Lesson};
use super::live_pages::LivePages;
use super::page_report::PageReport;
use super::tablespace::Tablespace;

/// Checks the pages of one tablespace file (`ibdata*`, `undo*`, `*.ibd`) while its bytes pass by.
///
/// Holes of a sparse file must be fed as zeros. Memory: one buffer of at most 64 KiB and less than 16 KiB of
/// state, whatever the size of the file.
///
/// ```
/// use wsrep_sst_backup::innodb::PageChecker;
///
/// let mut checker = PageChecker::new();
/// for chunk in [[0u8; 40_000], [0; 40_000]] {
///     checker.update(&chunk);
/// }
/// let report = checker.finish();
/// assert!(report.is_clean());
/// assert_eq!(report.pages_empty, 5);
/// ```
#[derive(Debug)]
pub struct PageChecker {
    stage: CheckStage,
    /// The start of a page (or, while learning, of a window) whose rest has not come yet.
    pending: Vec<u8>,
    report: PageReport,
}

#[derive(Debug)]
enum CheckStage {
    /// The page size is not known yet.
    Learning(Learning),
    Checking(Tablespace),
    /// The page size will not be known.
    Hopeless(Learning),
}

/// Whether this is the default name of an undo tablespace: `undo001` (MariaDB) or `undo_001` (MySQL).
pub fn is_numbered_undo(name: &str) -> bool {
    name.strip_prefix("undo").is_some_and(|rest| {
        let digits = rest.strip_prefix('_').unwrap_or(rest);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

impl PageChecker {
    /// Whether a file of this name is an InnoDB tablespace by the rules of its default names: `*.ibd`, `ibdata*`,
    /// `undo001` (MariaDB) or `undo_001` (MySQL), `*.ibu` (MySQL undo tablespaces). Folders before the name do
    /// not matter. Names from `innodb_data_file_path` are known to the caller only.
    pub fn is_tablespace(path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let suffixed = |suffix| name.strip_suffix(suffix).is_some_and(|stem: &str| !stem.is_empty());
        suffixed(".ibd") || suffixed(".ibu") || name.starts_with("ibdata") || is_numbered_undo(name)
    }

    /// A checker for one file, before its first byte.
    pub fn new() -> Self {
        Self {
            stage: CheckStage::Learning(Learning::default()),
            pending: Vec::new(),
            report: PageReport::default(),
        }
    }

    /// Takes the next bytes of the file, any number of them.
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let wanted = match &mut self.stage {
                CheckStage::Learning(_) => LARGEST,
                CheckStage::Checking(tablespace) => tablespace.page_size(),
                CheckStage::Hopeless(learning) => return learning.skip(bytes.len()),
            };
            if self.pending.is_empty() && bytes.len() >= wanted {
                let (unit, rest) = bytes.split_at(wanted);
                self.take(unit);
                bytes = rest;
            } else {
                let (now, rest) = bytes.split_at(bytes.len().min(wanted - self.pending.len()));
                self.pending.extend_from_slice(now);
                bytes = rest;
                if self.pending.len() == wanted {
                    let mut unit = std::mem::take(&mut self.pending);
                    self.take(&unit);
                    unit.clear();
                    self.pending = unit;
                }
            }
        }
    }

    /// A checker for one file that the server writes to while it is read.
    pub fn live() -> Self {
        let mut checker = Self::new();
        checker.report.damaged.keep_places();
        checker
    }

    /// Ends a file that the server writes to.
    pub fn finish_live(mut self) -> LivePages {
        self.end();
        let space = match &self.stage {
            CheckStage::Checking(tablespace) => Some(tablespace.space()),
            CheckStage::Learning(_) | CheckStage::Hopeless(_) => None,
        };
        LivePages::new(space, self.report)
    }

    /// Ends the file.
    pub fn finish(mut self) -> PageReport {
        self.end();
        self.report
    }

    fn end(&mut self) {
        let rest = std::mem::take(&mut self.pending);
        let mut trailing = rest.len();
        if let CheckStage::Learning(_) = self.stage
            && !rest.is_empty()
        {
            trailing = self.take(&rest);
        }
        match &self.stage {
            CheckStage::Checking(tablespace) => tablespace.finish(trailing, &mut self.report),
            CheckStage::Learning(learning) | CheckStage::Hopeless(learning) => {
                learning.give_up(&mut self.report);
            }
        }
    }

    /// Takes a page, or a window while learning; returns how many bytes at its end are no whole page.
    fn take(&mut self, unit: &[u8]) -> usize {
        if let CheckStage::Learning(learning) = &mut self.stage {
            match learning.window(unit, &mut self.report) {
                Lesson::Learnt(tablespace) => self.stage = CheckStage::Checking(tablespace),
                Lesson::NotYet => return 0,
                Lesson::Hopeless => {
                    self.stage = CheckStage::Hopeless(std::mem::take(learning));
                    return 0;
                }
            }
        }
        let CheckStage::Checking(tablespace) = &mut self.stage else { return 0 };
        let pages = unit.chunks_exact(tablespace.page_size());
        let trailing = pages.remainder().len();
        for page in pages {
            tablespace.check(page, &mut self.report);
        }
        trailing
    }
}

impl Default for PageChecker {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tablespaces_are_known_by_name() {
        for name in
            ["ibdata1", "ibdata12", "undo001", "undo_002", "mysql.ibd", "db/t#P#p0.ibd", "x/undo_9.ibu"]
        {
            assert!(PageChecker::is_tablespace(name), "{name}");
        }
        for name in [
            "ib_logfile0",
            "ibtmp1",
            "db/t.frm",
            "db/undo.frm",
            "undo",
            "undo_",
            "undo001.bak",
            ".ibd",
            "db.ibd/t.MYD",
            "aria_log.00000001",
            "",
        ] {
            assert!(!PageChecker::is_tablespace(name), "{name}");
        }
    }
}
