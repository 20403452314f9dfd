//! What has become of the files that were copied while the server ran, now that it stands still.
//!
//! A pure function: no file is opened here but through the function that it is given, so that a model can try it.
//!
//! **A tablespace is its number.** InnoDB gives no number twice, and page 0 has it, unencrypted. So a file at the end continues an early one where both have the same number,
//! and are the same file to the system ([`FileIdentity`](super::facts::FileIdentity)). Everything else is stored as a whole:
//! - of which the redo log says that it was made or removed meanwhile: a table that is created, truncated, rebuilt, discarded, imported;
//! - whose page 0 has a newer LSN than the log can tell of: `IMPORT TABLESPACE` writes pages in place and without a log, and stamps them;
//! - that has another owner or other permissions: those of a patched file are the early copy's;
//! - that is shorter than its header says: it was cut off, and the check of a whole file says so;
//! - of which too many pages looked damaged in the early copy for all of them to be known.
//!
//! An early copy is made only of a table that the server lists, and of the tablespace that its file was before the server was asked (`spaces` in [`early`](super::early)): one that
//! takes a discarded tablespace by RENAME and IMPORT, of which the log need not say anything, is another one by then.
//!
//! **Pages.** What was written to a continued file since it was copied was written behind the checkpoint at which the follower began, so the log names it, and
//! no page can be missing in the set: all pages of the set are read again, whatever the times of the file say. Where the log could not be followed, every page with an LSN that is
//! not below that checkpoint is read again, or with none (a page of zeros): of files that may have been written to since, by their times.
//! In both cases come in addition: pages that looked damaged in the early copy (torn, while they were written; or really damaged, and then found again),
//! page 0, the doublewrite buffer, which is never logged, and everything behind the end of the early copy.
//!
//! One thing may differ: a page that was freed before that checkpoint, and is overwritten with zeros or punched later, which is not logged. The backup has it as it was, and it is free.
//!
//! **A later round** ([`rounds`](super::rounds)) reads the changes of all continued files once more and begins to follow the log anew; what was said of the early copy holds for both together, with
//! the checkpoint and the set of the last round.
//!
//! **Files of other engines** continue only if nothing at all has happened to them, by their times.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use roaring::RoaringBitmap;

use super::facts::FileFacts;
use super::runs::page_runs;
use crate::innodb::PageZero;
use crate::innodb::redo::{PageId, PageSet};
use crate::model::ArchivePath;

/// More pages than these that look damaged are not told one by one.
const MOST_DAMAGED: usize = 1000;

/// A file that was copied while the server ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AheadFile {
    /// Its member in the archive.
    pub(super) member: u64,
    /// Its usual path.
    pub(super) path: ArchivePath,
    /// It lies outside of the data directory.
    pub(super) is_external: bool,
    /// Before it was opened, nanoseconds since 1970.
    pub(super) opened: i64,
    /// When it was opened.
    pub(super) facts: FileFacts,
    /// What it is to InnoDB, if anything.
    pub(super) space: Option<SpacePart>,
    /// The table was not open, as far as the server tells: the copy counts only where nothing has happened to the file since.
    pub(super) was_closed: bool,
    /// Where pages of the copy look damaged, bytes; none where not all are known.
    pub(super) damaged: Option<Vec<u64>>,
    /// How much of it is in the archive.
    pub(super) extent: Extent,
    /// In a later round no file has continued it: none does any more.
    pub(super) is_lost: bool,
}

/// How much of a file is in the archive, bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    /// Up to here it was read the last time: everything behind is new.
    pub(super) read: u64,
    /// Up to here it was read at any time: zeros that are there now replace something.
    pub(super) ever: u64,
}

impl Extent {
    /// Of a file that was read once.
    pub(super) fn of(bytes: u64) -> Self {
        Self { read: bytes, ever: bytes }
    }

    /// Its changes were read once more, when it had so many bytes.
    pub(super) fn read_again(&mut self, bytes: u64) {
        *self = Self { read: bytes, ever: self.ever.max(bytes) };
    }
}

/// A file of a tablespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SpacePart {
    /// How the tablespace begins.
    pub(super) zero: PageZero,
    /// Pages of the tablespace that lie in files before this one.
    pub(super) base: u64,
    /// A file of the system tablespace: it never comes, goes, or gets another name while the server runs.
    pub(super) is_system: bool,
}

/// A file of the server that stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LateFile {
    /// Its usual path.
    pub(super) path: ArchivePath,
    /// It lies outside of the data directory.
    pub(super) is_external: bool,
    /// As it was listed.
    pub(super) facts: FileFacts,
    /// It may be one of InnoDB's.
    pub(super) is_tablespace: bool,
}

/// How changed pages are known.
#[derive(Debug, Clone, Copy)]
pub(super) enum Known<'a> {
    /// The redo log names them.
    Named(&'a PageSet),
    /// By their LSN.
    ByLsn,
}

/// What is to be stored of a file at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FileFate {
    /// All of it.
    Whole,
    /// Nothing: the early copy with this number is the file.
    Same(usize),
    /// Pages, over the early copy with this number.
    Patched(usize),
}

impl FileFate {
    /// The early copy that it needs.
    pub(super) fn early(&self) -> Option<usize> {
        match self {
            Self::Whole => None,
            Self::Same(early) | Self::Patched(early) => Some(*early),
        }
    }
}

/// What the server did since a checkpoint.
pub(super) struct Comparison<'a> {
    pub(super) early: &'a [AheadFile],
    pub(super) known: Known<'a>,
    /// Its LSN.
    pub(super) checkpoint: u64,
}

impl Comparison<'_> {
    /// The fate of each file; `look` reads how a tablespace begins now.
    pub(super) fn fates<E>(
        &self,
        late: &[LateFile],
        look: &mut dyn FnMut(usize) -> Result<Option<PageZero>, E>,
    ) -> Result<Vec<FileFate>, E> {
        let (by_path, by_space) = self.tables();
        let mut fates = Vec::with_capacity(late.len());
        for (number, file) in late.iter().enumerate() {
            let named = by_path.get(&file.path).copied();
            let fate = match named.map(|early| (early, &self.early[early])) {
                // Nothing has happened to it, so that it need not be opened.
                Some((early, before)) if before.facts.is_untouched(before.opened, &file.facts) => {
                    if before.space.is_none() || before.was_closed && !self.is_named(before) {
                        FileFate::Same(early)
                    } else {
                        self.tablespace(early, file, None)
                    }
                }
                Some((early, before)) if before.space.as_ref().is_some_and(|space| space.is_system) => {
                    self.tablespace(early, file, None)
                }
                _ if file.is_tablespace => match look(number)? {
                    Some(zero) => match by_space.get(&zero.space) {
                        Some(Some(early)) => self.tablespace(*early, file, Some(&zero)),
                        _ => FileFate::Whole,
                    },
                    None => FileFate::Whole,
                },
                _ => FileFate::Whole,
            };
            fates.push(fate);
        }
        Ok(only_once(fates))
    }

    /// Early files by their paths, and tablespaces by their numbers: none where two files have the same one.
    fn tables(&self) -> (BTreeMap<&ArchivePath, usize>, BTreeMap<u32, Option<usize>>) {
        let mut by_space = BTreeMap::new();
        let counting = || self.early.iter().enumerate().filter(|(_, early)| !early.is_lost);
        for (number, early) in counting() {
            if let Some(part) = early.space.as_ref().filter(|part| !part.is_system && !early.was_closed) {
                let is_first = !by_space.contains_key(&part.zero.space);
                by_space.insert(part.zero.space, is_first.then_some(number));
            }
        }
        (counting().map(|(number, early)| (&early.path, number)).collect(), by_space)
    }

    /// Whether the redo log says that something has happened to its tablespace.
    fn is_named(&self, before: &AheadFile) -> bool {
        let (Known::Named(set), Some(part)) = (self.known, &before.space) else { return false };
        set.is_replaced(part.zero.space) || set.of_space(part.zero.space).next().is_some()
    }

    /// Of a file of the tablespace of an early one; `zero` is how it begins now, where it was looked at.
    fn tablespace(&self, early: usize, now: &LateFile, zero: Option<&PageZero>) -> FileFate {
        let before = &self.early[early];
        let Some(part) = before.space.as_ref().filter(|_| !before.was_closed) else { return FileFate::Whole };
        let page = u64::from(part.zero.page_size);
        let is_same_file = before.facts.is_same_file(&now.facts)
            && zero.is_none_or(|zero| zero.page_size == part.zero.page_size);
        let all_damage_known = before.damaged.as_ref().is_some_and(|damaged| damaged.len() <= MOST_DAMAGED);
        let may_move = before.path == now.path || !(before.is_external || now.is_external);
        let is_cut_off =
            !part.is_system && zero.unwrap_or(&part.zero).pages.saturating_mul(page) > now.facts.bytes + 4095;
        if !is_same_file || !all_damage_known || !may_move || is_cut_off {
            return FileFate::Whole;
        }
        let space = part.zero.space;
        let is_told = match (self.known, zero) {
            (Known::Named(set), Some(zero)) => {
                !set.is_replaced(space)
                    && (zero.lsn <= self.checkpoint || set.contains(PageId { space, page: 0 }))
            }
            (Known::Named(set), None) => part.is_system || !set.is_replaced(space),
            // Without the log, only the time of birth tells a file from the next one with its inode.
            (Known::ByLsn, _) => part.is_system || now.facts.identity.born.is_some(),
        };
        if is_told { FileFate::Patched(early) } else { FileFate::Whole }
    }

    /// The pages of a file that are read again, as runs of bytes in it: in order, apart from each other, and `most` at most. `searched` are those that a search by LSN has
    /// found, `doublewrite` those of the doublewrite buffer, all as numbers in their tablespace.
    pub(super) fn runs(
        &self,
        early: usize,
        now: &LateFile,
        searched: Option<&RoaringBitmap>,
        doublewrite: &[Range<u64>],
        most: usize,
    ) -> Vec<(u64, u64)> {
        let before = &self.early[early];
        let Some(part) = &before.space else { return Vec::new() };
        let size = u64::from(part.zero.page_size).max(1);
        let pages = now.facts.bytes.div_ceil(size);
        let mut wanted = RoaringBitmap::new();
        let add = |wanted: &mut RoaringBitmap, range: Range<u64>| {
            let clip = |page: u64| u32::try_from(page.min(pages)).unwrap_or(u32::MAX);
            wanted.insert_range(clip(range.start)..clip(range.end));
        };
        // From a number in the tablespace to one in this file.
        let own =
            |range: &Range<u64>| range.start.saturating_sub(part.base)..range.end.saturating_sub(part.base);
        let one = |page: u32| u64::from(page)..u64::from(page) + 1;
        if let Known::Named(set) = self.known {
            for page in set.of_space(part.zero.space) {
                add(&mut wanted, own(&one(page)));
            }
            if let Some(from) = set.trimmed(part.zero.space) {
                add(&mut wanted, own(&(u64::from(from)..u64::MAX)));
            }
        }
        for page in searched.into_iter().flatten() {
            add(&mut wanted, own(&one(page)));
        }
        if part.is_system {
            for block in doublewrite {
                add(&mut wanted, own(block));
            }
        }
        for offset in before.damaged.iter().flatten() {
            add(&mut wanted, offset / size..offset / size + 1);
        }
        if !before.facts.is_untouched(before.opened, &now.facts) {
            add(&mut wanted, 0..1);
        }
        if now.facts.bytes > before.extent.read {
            add(&mut wanted, before.extent.read / size..pages);
        }
        page_runs(&wanted, size, now.facts.bytes, most)
    }
}

/// Two files at the end cannot continue the same early one: both are stored as a whole.
fn only_once(mut fates: Vec<FileFate>) -> Vec<FileFate> {
    let (mut seen, mut twice) = (BTreeSet::new(), BTreeSet::new());
    for early in fates.iter().filter_map(FileFate::early) {
        if !seen.insert(early) {
            twice.insert(early);
        }
    }
    for fate in &mut fates {
        if fate.early().is_some_and(|early| twice.contains(&early)) {
            *fate = FileFate::Whole;
        }
    }
    fates
}

/// What is told of early copies at the end, by their numbers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outcomes {
    /// Those that no file at the end continues, and whose name nothing has that is stored as a whole: that replaces them.
    pub(super) removed: Vec<usize>,
    /// Those that have another name now.
    pub(super) moved: Vec<(usize, ArchivePath)>,
    /// Those whose length is another one, bytes.
    pub(super) resized: Vec<(usize, u64)>,
}

impl Outcomes {
    /// By the fates of all files.
    pub(super) fn of(early: &[AheadFile], late: &[LateFile], fates: &[FileFate]) -> Self {
        let mut told = Self::default();
        let continued: BTreeSet<usize> = fates.iter().filter_map(FileFate::early).collect();
        let is_whole = |(_, fate): &(&LateFile, &FileFate)| **fate == FileFate::Whole;
        let whole: BTreeSet<&ArchivePath> =
            late.iter().zip(fates).filter(is_whole).map(|(file, _)| &file.path).collect();
        let is_gone = |number: &usize| !continued.contains(number) && !whole.contains(&early[*number].path);
        told.removed = (0..early.len()).filter(is_gone).collect();
        for (file, fate) in late.iter().zip(fates) {
            let Some(number) = fate.early() else { continue };
            if early[number].path != file.path {
                told.moved.push((number, file.path.clone()));
            }
            // Pages of a round may lie behind the end that it has now.
            let before = &early[number];
            if before.facts.bytes != file.facts.bytes || before.extent.ever > file.facts.bytes {
                told.resized.push((number, file.facts.bytes));
            }
        }
        told
    }

    /// Paths of early files that are moved away: nothing else may be unpacked under them.
    pub(super) fn vacated<'e>(&self, early: &'e [AheadFile]) -> BTreeSet<&'e ArchivePath> {
        self.moved.iter().map(|(number, _)| &early[*number].path).collect()
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
