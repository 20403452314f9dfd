//! Before the server stands still its changes are copied ahead once more, as long as that makes them fewer.
//!
//! ```text
//! follow the log anew ─> which files, which pages by now? ─> store them ─> what has changed meanwhile? ─> once more, or freeze
//! ```
//!
//! A round is the first pass over again, with a checkpoint of its own, only that of each file that was there nothing is read but the pages that the log has named so far. **Why
//! nothing is missed**: the log is followed anew, from its newest checkpoint on, before anything is looked at; and what it has named until then is taken when it is known to reach beyond that checkpoint
//! ([`Pursuit::confirmed`]). A page whose last change lies before that checkpoint is on the disk, and nobody writes it meanwhile: it is read now as it is. One whose last change lies behind is named
//! again, and read again later; so is one that is torn now. What holds of a file as a whole (replaced, imported, another one) is judged as it is when the server stands still
//! ([`compare`](super::compare)); a file that does not continue its copy is copied as a new one, where the server lists it, and its old copy counts no more.
//!
//! What the server has changed in memory only is named behind the newest checkpoint, and left by every round. So it is looked beforehand what a round would leave, and there is none where
//! that is more than half; nor where all that was read would be more than twice the data.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::super::entry::Entry;
use super::super::error::CaptureError;
use super::super::facts::Facts as ServerFacts;
use super::super::files::FileList;
use super::super::layout::ServerLayout;
use super::super::method::CaptureListener;
use super::super::redo_file::the_log;
use super::super::source::Opened;
use super::super::tablespaces::Tablespaces;
use super::super::walk::{ListOptions, list_files};
use super::super::watch::Watch;
use super::binary_logs::BinaryLogs;
use super::compare::{AheadFile, Comparison, FileFate, Known, LateFile};
use super::early::{EarlyPass, spaces};
use super::facts::{FileFacts, page_zero};
use super::foresee::{Foreseen, tablespaces};
use super::late::late_files;
use super::pursuit::Pursuit;
use super::runs::{LEAST_RUNS, MOST_RUNS, RunReader, without_zeros};
use crate::archive::ArchiveError;
use crate::innodb::redo::PageSet;
use crate::output::Archive;
use crate::sql::SqlSession;
use crate::throttle::Limiter;

/// Rounds at most.
const MOST_ROUNDS: u32 = 6;
/// Changes of fewer bytes are read in an instant, and wait in memory.
const FEW: u64 = 8 << 20;

/// A server that runs and is copied ahead.
pub(super) struct AheadServer<'a> {
    pub(super) layout: &'a ServerLayout,
    pub(super) options: &'a ListOptions,
    pub(super) watch: &'a Watch,
    pub(super) limiter: &'a Limiter,
    /// Nothing is written to files through memory.
    pub(super) no_mmap: bool,
    /// Every file stands under its usual path at once.
    pub(super) is_plain: bool,
}

/// How a pass over the files begins.
pub(super) struct PassBegin {
    /// Follows the log from before anything was looked at.
    pub(super) pursuit: Pursuit,
    pub(super) list: FileList,
    spaces: Vec<Option<u32>>,
    pub(super) tablespaces: Tablespaces,
}

/// What was copied ahead.
pub(super) struct Ahead {
    pub(super) files: Vec<AheadFile>,
    /// Says what has changed since.
    pub(super) pursuit: Pursuit,
    /// Those that the server had in use.
    pub(super) tablespaces: Tablespaces,
}

impl AheadServer<'_> {
    /// In this order: behind the begin of the pursuit, what the server discards or imports is in the log; and what the files are is looked at before it is asked.
    pub(super) fn begin(&self, facts: &mut ServerFacts) -> Result<PassBegin, CaptureError> {
        let datadir = &self.layout.datadir;
        if let Some(Err(why)) = facts.sql.as_mut().map(SqlSession::outlast_silence) {
            log::debug!("the server may close the session while it is silent: {why}");
        }
        let list = list_files(self.layout, self.options)?;
        let (_, path) = the_log(&list, datadir).map_err(CaptureError::NotFollowed)?;
        let pursuit = Pursuit::begin(&path)
            .map_err(|error| CaptureError::NotFollowed(format!("'{}': {error}", path.display())))?;
        let spaces = spaces(&list, datadir);
        let tablespaces = tablespaces(facts, &list, datadir)?;
        Ok(PassBegin { pursuit, list, spaces, tablespaces })
    }

    /// Copies those of these files that can be copied ahead.
    pub(super) fn copy(
        &self,
        begin: &PassBegin,
        archive: &mut Archive<'_>,
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<AheadFile>, CaptureError> {
        self.pass(begin).run(&mut archive.writer, wanted)
    }

    /// Bytes of the files that can be copied ahead, nearly.
    pub(super) fn bytes_ahead(&self, begin: &PassBegin) -> u64 {
        self.pass(begin).bytes()
    }

    fn pass<'p>(&'p self, begin: &'p PassBegin) -> EarlyPass<'p> {
        EarlyPass {
            layout: self.layout,
            list: &begin.list,
            watch: self.watch,
            limiter: self.limiter,
            tablespaces: &begin.tablespaces,
            spaces: &begin.spaces,
            no_mmap: self.no_mmap,
            logs: self.logs(&begin.list),
            is_plain: self.is_plain,
        }
    }

    /// What would be read if the server stood still now.
    pub(super) fn foresee<'f>(
        &self,
        list: &FileList,
        early: &'f [AheadFile],
        checkpoint: u64,
    ) -> Foreseen<'f> {
        let list = (list, self.layout.datadir.as_path(), self.logs(list));
        Foreseen::look(list, early, checkpoint, self.is_plain)
    }

    fn logs(&self, list: &FileList) -> BinaryLogs<'_> {
        BinaryLogs::of(list, self.layout, self.options.binlogs)
    }

    /// As many rounds as make the changes fewer. None for stock `tar` alone, which would get whole tables again.
    pub(super) fn rounds(
        &self,
        ahead: &mut Ahead,
        facts: &mut ServerFacts,
        archive: &mut Archive<'_>,
        listener: &dyn CaptureListener,
    ) -> Result<(), CaptureError> {
        if self.is_plain {
            return Ok(());
        }
        let (mut before, mut runs_left) = (u64::MAX, MOST_RUNS);
        for round in 1..=MOST_ROUNDS {
            let prepared = self.begin(facts).map_err(|error| error.to_string()).and_then(|mut begin| {
                let changed = self.worth(ahead, &mut begin, before, archive)?;
                let (_, log) = the_log(&begin.list, &self.layout.datadir)?;
                let named = ahead.pursuit.confirmed(&log)?;
                Ok((begin, changed, named))
            });
            // What cannot be listed, followed or asked once more is left to the freeze.
            let (begin, changed, named) = match prepared {
                Ok(prepared) => prepared,
                Err(why) => {
                    log::info!("what has changed since is read while the server stands still: {why}");
                    break;
                }
            };
            listener.ahead(self.watch.bytes() + changed);
            log::info!(
                "{} MiB have changed since: they are copied ahead, too (round {round})",
                changed >> 20
            );
            self.round(ahead, begin, &named, archive, &mut runs_left)?;
            before = changed;
        }
        Ok(())
    }

    /// Bytes that a round would copy, where it is worth it: it leaves few enough of them, and the archive does not become too large. Else why not.
    fn worth(
        &self,
        ahead: &mut Ahead,
        begin: &mut PassBegin,
        before: u64,
        archive: &Archive<'_>,
    ) -> Result<u64, String> {
        let foreseen = self.foresee(&begin.list, &ahead.files, ahead.pursuit.checkpoint);
        let unknown = || "the redo log does not tell how much that is".to_owned();
        let changed = ahead.pursuit.so_far(|set| foreseen.for_a_round(set)).ok_or_else(unknown)?;
        let left = begin.pursuit.so_far(|set| foreseen.left_by_a_round(set)).ok_or_else(unknown)?;
        let (mib, all) = (changed >> 20, self.bytes_ahead(begin));
        if changed <= FEW {
            Err(format!("{mib} MiB"))
        } else if changed >= before / 2 {
            Err(format!("{mib} MiB, which is not much less than before"))
        } else if left >= changed / 2 {
            Err(format!(
                "{mib} MiB, of which the server itself has not written {} to its files yet",
                left >> 20
            ))
        } else if self.watch.bytes().saturating_add(changed) > all.saturating_mul(2) {
            Err(format!("{mib} MiB, and the double of the data is in the archive already"))
        } else if archive.free_bytes().is_some_and(|free| free / 2 < changed) {
            Err(format!("{mib} MiB, for which the repository has too little room"))
        } else {
            Ok(changed)
        }
    }

    /// Copies the pages of this set, and new tables.
    fn round(
        &self,
        ahead: &mut Ahead,
        begin: PassBegin,
        set: &PageSet,
        archive: &mut Archive<'_>,
        runs_left: &mut usize,
    ) -> Result<(), CaptureError> {
        let (list, datadir) = (&begin.list, &self.layout.datadir);
        let (late, numbers) = late_files(list, datadir, true)?;
        let known = Known::Named(set);
        let comparison = Comparison { early: &ahead.files, known, checkpoint: ahead.pursuit.checkpoint };
        let mut look = |number: usize| {
            let disk = list.entries[numbers[number]].belongs(datadir);
            gone_is_none(Opened::live(&disk).and_then(|opened| page_zero(&opened.file)), &disk)
        };
        let fates = comparison.fates(&late, &mut look)?;
        let (mut continued, mut fresh) = (Vec::new(), BTreeSet::new());
        for ((file, number), fate) in late.iter().zip(&numbers).zip(&fates) {
            if let Some(abort) = self.watch.aborted() {
                return Err(abort.into());
            }
            let entry = &list.entries[*number];
            match fate.early() {
                Some(early) => {
                    if *fate == FileFate::Same(early)
                        || self.pages(&comparison, early, (entry, file), archive, runs_left)?
                    {
                        continued.push((early, file.facts.bytes));
                    }
                }
                None if entry.system_tablespace => {}
                None => {
                    fresh.insert(*number);
                }
            }
        }
        for file in &mut ahead.files {
            file.is_lost = true;
        }
        for (early, bytes) in continued {
            ahead.files[early].is_lost = false;
            ahead.files[early].extent.read_again(bytes);
        }
        // A file of which the copy stands under another name by then must not be unpacked over.
        let taken: BTreeSet<_> =
            ahead.files.iter().filter(|file| !file.is_lost).map(|file| file.path.clone()).collect();
        let wanted = |number: usize| fresh.contains(&number) && !taken.contains(&list.entries[number].path);
        let new = self.copy(&begin, archive, &wanted)?;
        ahead.files.extend(new);
        (ahead.pursuit, ahead.tablespaces) = (begin.pursuit, begin.tablespaces);
        Ok(())
    }

    /// Stores the changed pages of a file; false where it is not the same file any more, or becomes shorter meanwhile.
    fn pages(
        &self,
        comparison: &Comparison<'_>,
        early: usize,
        (entry, file): (&Entry, &LateFile),
        archive: &mut Archive<'_>,
        runs_left: &mut usize,
    ) -> Result<bool, CaptureError> {
        let before = &comparison.early[early];
        let Some(part) = &before.space else { return Ok(false) };
        let disk = entry.belongs(&self.layout.datadir);
        let Some(opened) = gone_is_none(Opened::live(&disk).map(Some), &disk)? else { return Ok(false) };
        if FileFacts::of(&opened.metadata).identity != file.facts.identity {
            return Ok(false);
        }
        let most = (*runs_left / 2).max(LEAST_RUNS);
        let runs = comparison.runs(early, file, None, &[], most);
        let page = u64::from(part.zero.page_size).max(1);
        let runs = match without_zeros(&opened.file, &runs, before.extent.ever, page, most) {
            Err(cause) if cause.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            runs => runs.map_err(|cause| CaptureError::Read { path: disk, cause })?,
        };
        *runs_left = runs_left.saturating_sub(runs.len());
        let count = |bytes| {
            self.watch.read(bytes)?;
            self.limiter.take(bytes);
            Ok(())
        };
        let mut source = RunReader { file: &opened.file, runs: &runs, taken: 0, count: &count };
        match archive.append_pages(before.member, &runs, &mut source) {
            Err(ArchiveError::Read { cause, .. }) if cause.kind() == io::ErrorKind::UnexpectedEof => {
                Ok(false)
            }
            // A read that the watch has stopped is no error of the file.
            Err(error) => Err(self.watch.aborted().map_or_else(|| error.into(), CaptureError::from)),
            Ok(()) => Ok(true),
        }
    }
}

/// What is gone in a server that runs is none.
fn gone_is_none<T>(read: io::Result<Option<T>>, disk: &Path) -> Result<Option<T>, CaptureError> {
    match read {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map_err(|cause| CaptureError::Read { path: disk.to_path_buf(), cause }),
    }
}
