//! What is read while the server stands still: as little as there is, and first of all into the spool.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use super::super::class::FileClass;
use super::super::copy::metadata;
use super::super::entry::{Entry, EntryKind, Look};
use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::source::{CopyFacts, FileSource, Opened};
use super::super::standstill;
use super::super::watch::Watch;
use super::by_lsn;
use super::compare::{AheadFile, Comparison, FileFate, Known, LateFile, Outcomes};
use super::early::{may_be_tablespace, system_number};
use super::facts::{FileFacts, page_zero};
use super::kept::{Asides, Slot};
use super::runs::{LEAST_RUNS, MOST_RUNS, Patch, without_zeros};
use super::spool::Spool;
use crate::archive::Segment;

/// What has become of every file.
pub(super) struct FileFates {
    /// Files that may continue an early one, and their numbers in the list.
    late: Vec<LateFile>,
    numbers: Vec<usize>,
    each: Vec<FileFate>,
    /// Entries of which nothing is stored any more but pages.
    pub(super) continued: BTreeSet<usize>,
    pub(super) told: Outcomes,
    pub(super) asides: Asides,
}

/// The files of a server that stands still.
pub(super) struct LatePass<'a> {
    pub(super) list: &'a FileList,
    pub(super) datadir: &'a Path,
    pub(super) watch: &'a Watch,
    pub(super) early: &'a [AheadFile],
    pub(super) known: Known<'a>,
    pub(super) checkpoint: u64,
    /// Changed files are stored as a whole, and nothing is set aside.
    pub(super) is_plain: bool,
}

impl LatePass<'_> {
    fn comparison(&self) -> Comparison<'_> {
        Comparison { early: self.early, known: self.known, checkpoint: self.checkpoint }
    }

    /// Looks at every file that may continue an early one.
    pub(super) fn compare(&self) -> Result<FileFates, CaptureError> {
        let (late, numbers) = late_files(self.list, self.datadir, false)?;
        let mut look = |number: usize| {
            let disk = self.list.entries[numbers[number]].belongs(self.datadir);
            let read = Opened::live(&disk).and_then(|opened| page_zero(&opened.file));
            read.map_err(|cause| CaptureError::Read { path: disk, cause })
        };
        let mut fates = self.comparison().fates(&late, &mut look)?;
        if self.is_plain {
            plain(&mut fates, self.early, &late);
        }
        let told = Outcomes::of(self.early, &late, &fates);
        let asides = if self.is_plain { Asides::new() } else { self.asides(&told, &late, &numbers, &fates) };
        let continued = numbers.iter().zip(&fates).filter(|(_, fate)| fate.early().is_some());
        let continued = continued.map(|(number, _)| *number).collect();
        Ok(FileFates { late, numbers, each: fates, continued, told, asides })
    }

    /// Whole files that would be in the way: those of the system tablespace, which a server must not find before everything is in its place, and those that have the
    /// name of an early file that is still to be moved.
    fn asides(&self, told: &Outcomes, late: &[LateFile], numbers: &[usize], fates: &[FileFate]) -> Asides {
        let vacated = told.vacated(self.early);
        let mut asides = Asides::new();
        for ((file, number), fate) in late.iter().zip(numbers).zip(fates) {
            if *fate != FileFate::Whole {
                continue;
            }
            if self.list.entries[*number].system_tablespace {
                asides.insert(*number, ("system", system_number(self.list, &self.list.entries[*number])));
            } else if vacated.contains(&file.path) {
                asides.insert(*number, ("files", asides.len()));
            }
        }
        asides
    }

    /// The server's file itself, which is still the one that was listed.
    pub(super) fn opened(&self, number: usize) -> Result<Opened, CaptureError> {
        let entry = &self.list.entries[number];
        let disk = entry.belongs(self.datadir);
        let opened = Opened::live(&disk).map_err(|cause| CaptureError::Read { path: disk, cause })?;
        if let EntryKind::File(seen) = &entry.kind {
            standstill::compare(entry, seen, &Look::of(&opened.metadata), self.list, self.datadir)?;
        }
        Ok(opened)
    }

    /// Reads the pages of every file that has any; they are kept in the spool as far as they fit.
    pub(super) fn pages(&self, fates: &FileFates, spool: &mut Spool) -> Result<Vec<Patch>, CaptureError> {
        let (mut patches, mut left) = (Vec::new(), MOST_RUNS);
        for ((file, number), fate) in fates.late.iter().zip(&fates.numbers).zip(&fates.each) {
            let FileFate::Patched(early) = fate else { continue };
            if let Some(abort) = self.watch.aborted() {
                return Err(abort.into());
            }
            let path = self.list.entries[*number].belongs(self.datadir);
            let fail = |cause| self.failed(CaptureError::Read { path: path.clone(), cause });
            if let Some(patch) =
                self.patch((*early, *number), file, (left / 2).max(LEAST_RUNS), spool, &fail)?
            {
                left = left.saturating_sub(patch.runs.len());
                patches.push(patch);
            }
        }
        Ok(patches)
    }

    fn patch(
        &self,
        (early, number): (usize, usize),
        file: &LateFile,
        most: usize,
        spool: &mut Spool,
        fail: &dyn Fn(io::Error) -> CaptureError,
    ) -> Result<Option<Patch>, CaptureError> {
        let before = &self.early[early];
        let Some(part) = &before.space else { return Ok(None) };
        let comparison = self.comparison();
        let is_untouched = before.facts.is_untouched(before.opened, &file.facts);
        let count = |bytes| self.watch.read(bytes);
        let mut opened = None;
        let searched = if matches!(self.known, Known::ByLsn) && !is_untouched {
            let file = &*opened.insert(self.opened(number)?).file;
            let bytes = file.metadata().map_err(fail)?.len();
            Some(by_lsn::search(file, part, bytes, self.checkpoint, &count).map_err(fail)?)
        } else {
            None
        };
        let doublewrite =
            if part.is_system { self.doublewrite(number, part.base, &part.zero)? } else { Vec::new() };
        let runs = comparison.runs(early, file, searched.as_ref(), &doublewrite, most);
        if runs.is_empty() {
            return Ok(None);
        }
        let opened = match opened {
            Some(opened) => opened,
            None => self.opened(number)?,
        };
        let page = u64::from(part.zero.page_size).max(1);
        let runs = without_zeros(&opened.file, &runs, before.extent.ever, page, most).map_err(fail)?;
        let mut patch = Patch { early, number, runs, place: None };
        if patch.runs.is_empty() {
            return Ok(None);
        }
        patch.place = spool.place(patch.bytes(), patch.bytes());
        if let Some(place) = patch.place.clone() {
            let mut at = 0;
            for run in &patch.runs {
                if !spool.copy(&opened.file, *run, (&place, at), &count).map_err(fail)? {
                    patch.place = None;
                    break;
                }
                at += run.len;
            }
        }
        Ok(Some(patch))
    }

    /// The pages of the doublewrite buffer, as the system tablespace says.
    fn doublewrite(
        &self,
        number: usize,
        base: u64,
        zero: &crate::innodb::PageZero,
    ) -> Result<Vec<std::ops::Range<u64>>, CaptureError> {
        let mut page = vec![0; usize::try_from(zero.page_size).unwrap_or(0)];
        if base > 0 || self.opened(number)?.file.read_exact_at(&mut page, zero.system_page()).is_err() {
            page.clear();
        }
        Ok(zero.doublewrite(&page).to_vec())
    }

    /// Keeps everything else in the spool; the numbers of what has no room there. The redo log is not among it.
    pub(super) fn files(
        &self,
        fates: &FileFates,
        spool: &mut Spool,
    ) -> Result<(BTreeMap<usize, Slot>, BTreeSet<usize>), CaptureError> {
        let (mut slots, mut straight) = (BTreeMap::new(), BTreeSet::new());
        for (number, entry) in self.list.entries.iter().enumerate() {
            if fates.continued.contains(&number) || self.is_the_log(entry) {
                continue;
            }
            if let Some(abort) = self.watch.aborted() {
                return Err(abort.into());
            }
            if let Some(slot) = self.keep(entry, spool)? {
                slots.insert(number, slot);
            } else {
                straight.insert(number);
            }
        }
        Ok((slots, straight))
    }

    fn is_the_log(&self, entry: &Entry) -> bool {
        self.list.trims_redo && entry.is_redo_log()
    }

    /// None where there is no room.
    fn keep(&self, entry: &Entry, spool: &mut Spool) -> Result<Option<Slot>, CaptureError> {
        let EntryKind::File(seen) = &entry.kind else {
            return Ok(Some(metadata(entry, self.datadir).map_or_else(Slot::Failed, Slot::Seen)));
        };
        let disk = entry.belongs(self.datadir);
        let fail = |cause| self.failed(CaptureError::Read { path: disk.clone(), cause });
        let opened = match Opened::live(&disk) {
            Ok(opened) => opened,
            Err(error) => return Ok(Some(Slot::Failed(error))),
        };
        standstill::compare(entry, seen, &Look::of(&opened.metadata), self.list, self.datadir)?;
        let known = self.list.tablespaces.as_ref();
        let listed = known.and_then(|known| known.lists(entry, &disk, &opened.metadata));
        let bytes = opened.metadata.len();
        let count = |bytes| self.watch.read(bytes);
        let (file, metadata) = (Arc::clone(&opened.file), opened.metadata.clone());
        let source = FileSource::new(opened, &count).map_err(fail)?;
        let parts = source.segments().unwrap_or_else(|| vec![Segment { offset: 0, len: bytes }]);
        let Some(place) = spool.place(bytes, parts.iter().map(|part| part.len).sum()) else {
            return Ok(None);
        };
        for part in parts {
            match spool.copy(&file, part, (&place, part.offset), &count) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                // A log that is cut meanwhile.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && !entry.class.is_needed() => {}
                Err(error) => return Err(fail(error)),
            }
        }
        let end = place.offset + bytes;
        if place.file.metadata().map_err(fail)?.len() < end {
            place.file.set_len(end).map_err(fail)?;
        }
        let copy = Some(CopyFacts { listed, is_mounted: false });
        Ok(Some(Slot::File(Opened { file: place.file, offset: place.offset, metadata, copy })))
    }

    /// The number of the redo log of which only what a start reads is stored.
    pub(super) fn redo(&self) -> Option<usize> {
        self.list.entries.iter().position(|entry| self.is_the_log(entry))
    }

    /// A read that the watch has stopped is no error of the file.
    fn failed(&self, error: CaptureError) -> CaptureError {
        self.watch.aborted().map_or(error, CaptureError::from)
    }
}

/// The files of a list that may continue early ones, and their numbers in it. Of a server that runs one may be gone since it was listed.
pub(super) fn late_files(
    list: &FileList,
    datadir: &Path,
    is_running: bool,
) -> Result<(Vec<LateFile>, Vec<usize>), CaptureError> {
    let (mut late, mut numbers) = (Vec::new(), Vec::new());
    for (number, entry) in list.entries.iter().enumerate() {
        if !matches!(entry.kind, EntryKind::File(_)) || entry.class == FileClass::Moving {
            continue;
        }
        let disk = entry.belongs(datadir);
        let found = match std::fs::symlink_metadata(&disk) {
            Ok(found) => found,
            // What is not needed may go at any time, and what becomes of it is told where it is read.
            Err(_) if !entry.class.is_needed() => continue,
            Err(cause) if is_running && cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => return Err(CaptureError::Read { path: disk, cause }),
        };
        late.push(LateFile {
            path: entry.path.clone(),
            is_external: entry.origin.is_some(),
            facts: FileFacts::of(&found),
            is_tablespace: may_be_tablespace(entry) && !entry.system_tablespace,
        });
        numbers.push(number);
    }
    Ok((late, numbers))
}

/// For stock `tar` alone: what is not as it was is stored once more, whole and under its name.
fn plain(fates: &mut [FileFate], early: &[AheadFile], late: &[LateFile]) {
    for (fate, file) in fates.iter_mut().zip(late) {
        let is_same = fate.early().is_some_and(|number| {
            let before = &early[number];
            before.path == file.path
                && before.facts.is_untouched(before.opened, &file.facts)
                && before.damaged.as_ref().is_some_and(Vec::is_empty)
        });
        *fate = match fate.early() {
            Some(number) if is_same => FileFate::Same(number),
            _ => FileFate::Whole,
        };
    }
}
