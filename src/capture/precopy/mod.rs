//! The method `precopy`: everything is read while the server runs, and what has changed since is read again while it stands still.
//!
//! ```text
//! follow the redo log ─> copy every table ─> freeze ─> which files, which pages? ─> spool them ─> thaw ─> store them
//! ```
//!
//! The server stands still for as long as it takes to read again what changed, on any file system. Which pages these are the redo log says, without a look at the others
//! ([`pursuit`]); where it cannot be followed their LSN says it ([`by_lsn`]). [`compare`] has the argument why nothing is missed; [`early`] says what is copied
//! ahead at all. A slow repository holds up nobody: what is read under the freeze waits in a [`spool`].
//!
//! In the archive an early copy stands as it was read, maybe torn; pages and changes behind it make it right. So an unpacked archive is no data directory yet: under the name of
//! the system tablespace stands a short text, on which no server starts, and the script in the archive puts everything in its place, the system tablespace last.

mod by_lsn;
mod compare;
#[cfg(test)]
mod dice;
mod early;
mod facts;
mod foresee;
mod kept;
mod late;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_file;
mod pursuit;
mod runs;
mod spool;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use super::copy::{Copied, Copier, Live, OwnerNames, member};
use super::error::CaptureError;
use super::facts::Facts as ServerFacts;
use super::files::FileList;
use super::frozen_list::{FrozenServer, freeze_and_list};
use super::identify::identify_early;
use super::method::{Captured, Estimate, Host, Method, Prospect, Task};
use super::objection::shown;
use super::redo_file::{head, the_log};
use super::standstill;
use super::walk::list_files;
use crate::archive::{NewMember, STAND_IN};
use crate::model::EarlyChange;
use crate::output::Archive;
use crate::quiesce::{Files, Quiet, Resumed};
use crate::throttle::time_for;
use crate::ui::bytes;
use compare::{AheadFile, Known};
use early::{EarlyPass, may_be_tablespace, spaces};
use foresee::Foreseen;
use kept::{Asides, Kept, Slot, Straight};
use late::{FileFates, LatePass};
use pursuit::{Found, Pursuit};
use runs::{Patch, RunReader};
use spool::Spool;

/// What a freeze takes by itself: two looks at all files, and the end of the redo log.
const AT_LEAST: Duration = Duration::from_millis(60);
/// Of less data than this `freeze` makes the server stand still for about a second or less, bytes: see doc/methods.md.
const SMALL: u64 = 256 << 20;
/// The same where `limit-rate` says how fast it is read.
const QUICK: Duration = Duration::from_secs(1);
/// For each file of a server: it is listed, looked at twice, and the small ones are read.
const PER_FILE: Duration = Duration::from_micros(60);

/// Reads everything while the server runs, and again what has changed.
pub(super) struct Precopy;

impl Method for Precopy {
    fn name(&self) -> &'static str {
        "precopy"
    }

    fn accepts(&self, files: Files) -> bool {
        files == Files::Clean
    }

    fn needless(&self, prospect: &Prospect<'_>) -> Option<String> {
        let data = prospect.bytes_to_read();
        let is_quick = prospect.rate.is_none_or(|rate| time_for(data, rate) < QUICK);
        (data < SMALL && is_quick).then(|| {
            format!("{} of data are read within about a second while the server stands still", bytes(data))
        })
    }

    /// What is written meanwhile is not known; it comes in addition.
    fn estimate(&self, prospect: &Prospect<'_>) -> Result<Estimate, String> {
        let (list, datadir) = (prospect.files, &prospect.layout.datadir);
        let (_, path) = the_log(list, datadir)?;
        head(&path).map_err(|error| format!("its redo log '{}' cannot be used: {error}", shown(&path)))?;
        let needed = |why| format!("{why}, and only the server knows which tables it has in use");
        let known = prospect.tablespaces.map_err(|why| needed(why.to_owned()))?;
        foresee::answered(known, list, datadir).map_err(needed)?;
        let files = u32::try_from(list.entries.len()).unwrap_or(u32::MAX);
        Ok(Estimate::About(AT_LEAST + PER_FILE.saturating_mul(files)))
    }

    fn most_stored(&self, bytes: u64) -> u64 {
        bytes.saturating_mul(2)
    }

    fn capture<'a>(&self, task: Task<'a, '_>) -> Result<Captured<'a>, CaptureError> {
        let Task { layout, facts, mut plan, output, watch, limiter, host, precopy, .. } = task;
        let datadir = &layout.datadir;
        let before = list_files(layout, &plan.options)?;
        let mut pursuit = pursue(&before, datadir)?;
        // Behind the begin of the pursuit: what the server discards or imports from here on is in the log. What the files are is looked at before it is asked.
        let spaces = spaces(&before, datadir);
        let tablespaces = foresee::tablespaces(facts, &before, datadir)?;
        host.listener().ahead(bytes_ahead(&before));
        let mut archive = output.begin_early(&identify_early(facts, layout))?;
        let (begun, read) = (Instant::now(), watch.bytes());
        let pass = EarlyPass {
            layout,
            list: &before,
            watch,
            limiter,
            tablespaces: &tablespaces,
            spaces: &spaces,
            no_mmap: writes_by_calls(facts),
            is_plain: precopy.is_plain,
        };
        let early = pass.run(&mut archive.writer).inspect_err(|_| watch.lift_rate())?;
        log::info!(
            "{} files ({} MiB) were copied ahead in {} s, while the server ran",
            early.len(),
            (watch.bytes() - read) >> 20,
            begun.elapsed().as_secs()
        );
        drop(before);
        plan.tablespaces = Ok(tablespaces);
        let mut spool = Spool::new(datadir, precopy.spool_limit);
        let is_plain = precopy.is_plain;
        // What cannot be listed now is told when the server stands still.
        if let Ok(list) = list_files(layout, &plan.options) {
            let foreseen = Foreseen::look((&list, datadir), &early, pursuit.checkpoint, is_plain);
            let changed =
                pursuit.so_far(|set| foreseen.bytes(Some(set))).unwrap_or_else(|| foreseen.bytes(None));
            let room = spool.room();
            if changed > room && !precopy.may_wait {
                watch.lift_rate();
                return Err(CaptureError::TooMuchChanged { bytes: changed, room });
            }
            if changed > room {
                facts.warnings.push(format!(
                    "{changed} bytes or more had changed while the server was copied, and {room} could wait until it ran again (spool-limit, \
                     and what is free beside the data directory): it stood still until the repository had the rest"
                ));
            }
        }

        let FrozenServer { quiet, identity, list } = freeze_and_list(host, layout, facts, plan, watch)?;
        let checkpoint = pursuit.checkpoint;
        let found = end(pursuit, &list, datadir);
        let known = match &found {
            Found::Named(set) => Known::Named(set),
            Found::ByLsn(_) => Known::ByLsn,
        };
        let late = LatePass { list: &list, datadir, watch, early: &early, known, checkpoint, is_plain };
        let frozen = FrozenWork { late: &late };
        let outcome = frozen.run(quiet, host, &mut archive, &mut spool).inspect_err(|_| watch.lift_rate());
        let (kept, resumed) = outcome?;
        let stored = frozen.store(kept, &mut archive).inspect_err(|_| watch.lift_rate())?;
        archive.settle(&identity)?;
        Ok(Captured::files(archive, identity, resumed, list, stored))
    }
}

/// Follows the log of a server that runs.
fn pursue(list: &FileList, datadir: &Path) -> Result<Pursuit, CaptureError> {
    let (_, path) = the_log(list, datadir).map_err(CaptureError::NotFollowed)?;
    Pursuit::begin(&path).map_err(|error| CaptureError::NotFollowed(format!("'{}': {error}", shown(&path))))
}

/// What has changed since.
fn end(pursuit: Pursuit, list: &FileList, datadir: &Path) -> Found {
    let checkpoint = pursuit.checkpoint;
    let found = pursuit.finish(the_log(list, datadir).map(|(_, path)| path));
    match &found {
        Found::Named(set) => {
            log::info!("the redo log names {} pages that have changed since LSN {checkpoint}", set.len());
        }
        Found::ByLsn(why) => log::info!(
            "the redo log does not name the pages that have changed since LSN {checkpoint} ({why}): they are found by their LSN, which takes longer"
        ),
    }
    found
}

/// Bytes of the files that are copied ahead, nearly.
fn bytes_ahead(list: &FileList) -> u64 {
    let tables = list.entries.iter().filter(|entry| may_be_tablespace(entry));
    tables
        .map(|entry| match &entry.kind {
            super::entry::EntryKind::File(look) => look.bytes,
            _ => 0,
        })
        .sum()
}

/// Whether the server is known to write to its files by system calls only.
fn writes_by_calls(facts: &mut ServerFacts) -> bool {
    const NAME: &str = "myisam_use_mmap";
    let answer = facts.sql.as_mut().and_then(|sql| sql.variables(&[NAME]).ok());
    answer.is_some_and(|variables| variables.get(NAME).is_some_and(|value| value == "OFF"))
}

/// What was read while the server stood still.
struct HeldFiles {
    fates: FileFates,
    patches: Vec<Patch>,
    slots: std::collections::BTreeMap<usize, Slot>,
    /// What is in the archive already.
    straight: BTreeSet<usize>,
    /// What of the redo log is in memory, and what was told of files that are in the archive.
    copied: Copied,
}

/// The work while the server stands still, and what follows from it.
struct FrozenWork<'a> {
    late: &'a LatePass<'a>,
}

impl FrozenWork<'_> {
    /// Reads what has changed, and lets the server run.
    fn run(
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
    fn store(&self, held: HeldFiles, archive: &mut Archive<'_>) -> Result<Copied, CaptureError> {
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
            let kept = [crate::archive::Segment { offset: place.offset, len: patch.bytes() }];
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
