//! The method `snapshot`: the server stands still while its files are cloned, runs again, and the clones are read at leisure.
//!
//! ```text
//! try a clone on each file system ─> freeze ─> list, clone, look again ─> thaw ─> read the clones
//! ```
//!
//! A clone shares its blocks with the server's file until either is written to ([`reflink`]), so it costs by the extent and not by the byte.
//! What the clones hold is what stood still: the look behind them is the same as that of `freeze` behind its copy. What a file system
//! cannot clone is read, where it is little, while the server stands still. From then on nothing of the server's directories is looked at any more:
//! whatever it does to its files is no matter of this backup, but for the room that it takes ([`room`]).

mod clones;
mod cloning;
mod ground;
mod pin;
mod reflink;
mod room;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use super::copy::{Contents, Copied, Copier, Live};
use super::entry::EntryKind;
use super::error::CaptureError;
use super::files::FileList;
use super::frozen_list::list_frozen;
use super::identify::identify;
use super::method::{Captured, Estimate, Method, Prospect, Task};
use super::redo_log::choose_redo;
use super::standstill;
use super::walk::list_files;
use super::watch::Watch;
use crate::output::{Captive, Output, Writer};
use crate::quiesce::Files;
use crate::throttle::Limiter;
use clones::Clones;
use cloning::{Cloning, descriptors};
use ground::{Ground, REST_LIMIT, settle};
use pin::Pin;

/// Clones everything while the server stands still: for milliseconds, at any size of the data.
pub(super) struct Snapshot;

impl Method for Snapshot {
    fn name(&self) -> &'static str {
        "snapshot"
    }

    fn accepts(&self, files: Files) -> bool {
        files != Files::Changing
    }

    fn estimate(&self, prospect: &Prospect<'_>) -> Result<Estimate, String> {
        let (list, datadir) = (prospect.files, &prospect.layout.datadir);
        let ground = Ground::find(list, datadir);
        let is_crashed = prospect.worth == Files::Crashed;
        if let Some(why) = is_crashed.then(|| pin::objection(list, datadir)).flatten() {
            return Err(why);
        }
        ground
            .objection(rest_limit(prospect.worth))
            .map_or_else(|| Ok(Estimate::About(Ground::time(list, datadir))), Err)
    }

    fn capture<'a>(&self, task: Task<'a, '_>) -> Result<Captured<'a>, CaptureError> {
        let Task { layout, facts, plan, output, watch, limiter, host, .. } = task;
        let datadir = &layout.datadir;
        let before = list_files(layout, &plan.options)?;
        let ground = Ground::find(&before, datadir);
        settle(&before, datadir, watch);
        drop(before);
        let descriptors = descriptors();

        let quiet = host.quiesce()?;
        let worth = quiet.files();
        let identity = identify(quiet.as_ref(), facts, layout)?;
        let mut list = list_frozen(layout, facts, plan, watch, worth)?;
        choose_redo(&mut list, worth);
        host.total(list.bytes);
        quiet.total(list.bytes);
        let begun = Instant::now();
        let pin = quiet.redo_end().map(|end| Pin::before(&list, datadir, end)).transpose()?;
        let cloning = Cloning { list: &list, datadir, ground: &ground, watch, descriptors, worth };
        let clones = Arc::new(cloning.run()?);
        log::info!("{} files were cloned in {} ms", list.entries.len(), begun.elapsed().as_millis());
        let reading = Reading { list: &list, datadir, watch, limiter };
        let rest = reading.rest(&clones, worth)?;
        let begin = |output: Output<'a>| output.begin(&identity);
        let mut copied = Copied { vanished: 0, warnings: Vec::new() };
        let (archive, output) = if rest.is_empty() {
            (None, Some(output))
        } else {
            let mut archive = begin(output)?;
            let part = |number: usize| rest.contains(&number);
            let read = reading.copy(&Live { datadir }, &part, &mut archive.writer);
            copied = read.inspect_err(|_| watch.lift_rate())?;
            (Some(archive), None)
        };
        if worth == Files::Clean {
            standstill::stood_still(&list, datadir, watch)?;
        }
        quiet.complete(list.bytes);
        let resumed = host.resume(quiet)?;
        let directories = ground.places().map(|place| place.path.clone()).collect();
        room::guard(&clones, directories, watch).map_err(CaptureError::Clone)?;
        // A log that is parsed keeps nobody waiting any more.
        if let Some(pin) = pin {
            pin.after(&clones)?;
        }

        let mut archive = match (archive, output) {
            (Some(archive), _) => archive,
            (None, Some(output)) => begin(output)?,
            (None, None) => return Err(CaptureError::NoPosition),
        };
        let part = |number: usize| !rest.contains(&number);
        let read = reading.copy(clones.as_ref(), &part, &mut archive.writer);
        let read = read.inspect_err(|_| watch.lift_rate())?;
        copied.vanished += read.vanished;
        copied.warnings.extend(read.warnings);
        list.warnings.extend(copied.warnings);
        Ok(Captured {
            archive: Captive::Files(archive),
            identity,
            resumed,
            paused: None,
            vanished: copied.vanished,
            warnings: list.warnings,
        })
    }
}

/// Bytes that may be read while the server stands still. A server that only holds its statements back changes what is read: nothing.
fn rest_limit(worth: Files) -> u64 {
    if worth == Files::Clean { REST_LIMIT } else { 0 }
}

struct Reading<'a> {
    list: &'a FileList,
    datadir: &'a Path,
    watch: &'a Watch,
    limiter: &'a Limiter,
}

impl Reading<'_> {
    /// What is to be read while the server stands still: what cannot be cloned, and, so that its members do not come before their
    /// directories, these.
    fn rest(&self, clones: &Clones, worth: Files) -> Result<HashSet<usize>, CaptureError> {
        let (files, bytes) = clones.rest();
        if bytes > rest_limit(worth) {
            let path = files.first().map(|number| self.list.entries[*number].belongs(self.datadir));
            return Err(CaptureError::Uncloned { path: path.unwrap_or_default(), bytes });
        }
        if files.is_empty() {
            return Ok(HashSet::new());
        }
        log::info!("{} files ({} KiB) cannot be cloned: they are read now", files.len(), bytes >> 10);
        let is_directory = |number: &usize| self.list.entries[*number].kind == EntryKind::Directory;
        let directories = (0..self.list.entries.len()).filter(is_directory);
        Ok(files.into_iter().chain(directories).collect())
    }

    fn copy(
        &self,
        contents: &dyn Contents,
        part: &dyn Fn(usize) -> bool,
        writer: &mut Writer,
    ) -> Result<Copied, CaptureError> {
        let Self { list, datadir, watch, limiter } = *self;
        let count = |bytes| {
            watch.read(bytes)?;
            limiter.take(bytes);
            Ok(())
        };
        Copier { list, datadir, contents, count: &count, watch, part }.copy(writer)
    }
}
