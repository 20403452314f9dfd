//! The work while the server stands still: what has changed is read, the server runs again, and what was read is stored.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use super::super::copy::{Copied, Copier, Live, OwnerNames, member};
use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::method::Host;
use super::super::objection::shown;
use super::super::standstill;
use super::compare::AheadFile;
use super::kept::{Asides, Kept, Slot, Straight};
use super::late::{FileFates, LatePass};
use super::runs::{Patch, RunReader};
use super::spool::Spool;
use crate::archive::{NewMember, STAND_IN, Segment};
use crate::model::EarlyChange;
use crate::output::Archive;
use crate::quiesce::{Quiet, Resumed};

/// What was read while the server stood still.
pub(super) struct HeldFiles {
    fates: FileFates,
    patches: Vec<Patch>,
    slots: BTreeMap<usize, Slot>,
    /// What is in the archive already.
    straight: BTreeSet<usize>,
    /// What of the redo log is in memory, and what was told of files that are in the archive.
    copied: Copied,
}

/// The work while the server stands still, and what follows from it.
pub(super) struct FrozenWork<'a> {
    pub(super) late: &'a LatePass<'a>,
}

impl FrozenWork<'_> {
    /// Reads what has changed, and lets the server run.
    pub(super) fn run(
        &self,
        quiet: Box<dyn Quiet>,
        host: &mut dyn Host,
        archive: &mut Archive<'_>,
        spool: &mut Spool,
    ) -> Result<(HeldFiles, Resumed), CaptureError> {
        let late = self.late;
        let begun = Instant::now();
        let fates = late.compare()?;
        let patches = late.pages(&fates, spool)?;
        let (slots, mut straight) = late.files(&fates, spool)?;
        let first = self.straight(&patches, &straight, &fates.asides, archive)?;
        // The redo log is read behind every page; what a start needs of it waits in memory.
        let log: BTreeSet<usize> = late.redo().into_iter().collect();
        let mut copied = self.straight(&[], &log, &fates.asides, archive)?;
        copied.vanished += first.vanished;
        copied.warnings.extend(first.warnings);
        straight.extend(log);
        standstill::stood_still(late.list, late.datadir, late.watch)?;
        quiet.complete(late.list.bytes);
        let resumed = host.resume(quiet)?;
        let pages: u64 = patches.iter().map(Patch::bytes).sum();
        let (memory, disk) = spool.used();
        log::info!(
            "{} files were read again as a whole and {} KiB of pages in {} others, in {} ms: {} KiB wait in memory, {} on the disk",
            slots.values().filter(|slot| matches!(slot, Slot::File(_))).count() + straight.len(),
            pages >> 10,
            patches.len(),
            begun.elapsed().as_millis(),
            memory >> 10,
            disk >> 10
        );
        Ok((HeldFiles { fates, patches, slots, straight, copied }, resumed))
    }

    /// What has no room in the spool goes into the archive at once.
    fn straight(
        &self,
        patches: &[Patch],
        files: &BTreeSet<usize>,
        asides: &Asides,
        archive: &mut Archive<'_>,
    ) -> Result<Copied, CaptureError> {
        let LatePass { list, datadir, watch, .. } = *self.late;
        let count = |bytes| watch.read(bytes);
        for patch in patches.iter().filter(|patch| patch.place.is_none()) {
            let opened = self.late.opened(patch.number)?;
            let mut source = RunReader { file: &opened.file, runs: &patch.runs, taken: 0, count: &count };
            archive.append_pages(self.late.early[patch.early].member, &patch.runs, &mut source)?;
        }
        if files.is_empty() {
            return Ok(Copied::nothing());
        }
        let contents = Straight { live: Live { datadir }, asides };
        let part = |number: usize| files.contains(&number);
        let copier = Copier { list, datadir, contents: &contents, count: &count, watch, part: &part };
        copier.copy(&mut archive.writer)
    }

    /// Stores what was kept, and tells what has become of the early copies.
    pub(super) fn store(&self, held: HeldFiles, archive: &mut Archive<'_>) -> Result<Copied, CaptureError> {
        let HeldFiles { fates, patches, slots, straight, mut copied } = held;
        let LatePass { list, datadir, watch, early, is_plain, .. } = *self.late;
        let given_up = |_| watch.read(0);
        let contents = Kept { slots: RefCell::new(slots), asides: &fates.asides };
        let part = |number: usize| !straight.contains(&number) && !fates.continued.contains(&number);
        let copier = Copier { list, datadir, contents: &contents, count: &given_up, watch, part: &part };
        let more = copier.copy(&mut archive.writer)?;
        copied.vanished += more.vanished;
        copied.warnings.extend(more.warnings);
        copied.store_rest(&mut archive.writer)?;
        for patch in &patches {
            let Some(place) = &patch.place else { continue };
            let kept = [Segment { offset: place.offset, len: patch.bytes() }];
            let mut source = RunReader { file: &place.file, runs: &kept, taken: 0, count: &given_up };
            archive.append_pages(early[patch.early].member, &patch.runs, &mut source)?;
        }
        if !is_plain {
            texts(list, datadir, archive)?;
        }
        tell(&fates, early, archive)?;
        if is_plain {
            let left = fates.told.removed.iter().map(|number| {
                format!(
                    "'{}' was dropped, or given another name, while the server was copied: stock tar leaves it in the data directory, where it is to be removed",
                    shown(early[*number].path.as_path())
                )
            });
            copied.warnings.extend(left);
        }
        Ok(copied)
    }
}

/// The texts that keep a server from starting before everything is in its place.
fn texts(list: &FileList, datadir: &Path, archive: &mut Archive<'_>) -> Result<(), CaptureError> {
    let mut names = OwnerNames::default();
    for entry in list.entries.iter().filter(|entry| entry.system_tablespace) {
        let disk = entry.belongs(datadir);
        let found = std::fs::metadata(&disk).map_err(|cause| CaptureError::Read { path: disk, cause })?;
        let text = NewMember { system_tablespace: false, ..member(entry, &found, &mut names) };
        archive.writer.append_generated(text, STAND_IN.as_bytes())?;
    }
    Ok(())
}

/// What has become of the early copies.
fn tell(fates: &FileFates, early: &[AheadFile], archive: &mut Archive<'_>) -> Result<(), CaptureError> {
    let told = &fates.told;
    let member = |number: usize| early[number].member;
    let removed = told.removed.iter().map(|number| EarlyChange::Removed(member(*number)));
    let moved =
        told.moved.iter().map(|(number, to)| EarlyChange::Moved { member: member(*number), to: to.clone() });
    let resized = told
        .resized
        .iter()
        .map(|(number, size)| EarlyChange::Resized { member: member(*number), size: *size });
    for change in removed.chain(moved).chain(resized) {
        archive.writer.change(change)?;
    }
    Ok(())
}
