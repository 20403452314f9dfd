//! The method `snapshot`: the server stands still while its files are cloned, runs again, and the clones are read at leisure.
//!
//! ```text
//! try a clone in each mount ─> freeze ─> list, clone, look again ─> thaw ─> read the clones
//! ```
//!
//! A clone shares its blocks with the server's file until either is written to ([`reflink`]), so it costs by the extent and not by the byte.
//! What the clones hold is what stood still: each file is looked at behind its clone, as `freeze` looks behind its copy. What a file system
//! cannot clone is read, where it is little, while the server stands still. From then on nothing of the server's directories is looked at any more:
//! whatever it does to its files is no matter of this backup, but for the room that it takes ([`room`]).
//!
//! Where the administrator has a snapshot of their own ([`commanded`]), it takes the place of the clones.

mod clones;
mod cloning;
mod commanded;
mod ground;
mod mount;
mod mounted;
mod pin;
mod reading;
mod reflink;
mod room;

use std::sync::Arc;
use std::time::Instant;

use super::copy::{Copied, Live};
use super::error::CaptureError;
use super::frozen_list::{FrozenServer, freeze_and_list};
use super::method::{Captured, Estimate, Method, Prospect, Task};
use super::standstill;
use super::walk::list_files;
use crate::output::Output;
use crate::quiesce::Files;
use cloning::{Cloning, descriptors};
use ground::{Ground, settle};
use pin::Pin;
use reading::{Reading, Rest, rest_limit};

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
        if let Some(commands) = prospect.snapshot {
            return commanded::estimate(prospect, commands);
        }
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
        if let (_, Some(commands)) = &task.snapshot {
            let commands = commands.clone();
            return commanded::capture(task, &commands);
        }
        let Task { layout, facts, plan, output, watch, limiter, host, is_automatic, .. } = task;
        let datadir = &layout.datadir;
        let before = list_files(layout, &plan.options)?;
        let ground = Ground::find(&before, datadir);
        settle(&before, datadir, watch);
        drop(before);
        let descriptors = descriptors();

        let FrozenServer { quiet, identity, list } = freeze_and_list(host, layout, facts, plan, watch)?;
        let worth = quiet.files();
        let begun = Instant::now();
        let pin = quiet.redo_end().map(|end| Pin::before(&list, datadir, end)).transpose()?;
        let cloning = Cloning { list: &list, datadir, ground: &ground, watch, descriptors, worth };
        let clones = Arc::new(cloning.run()?);
        log::info!("{} files were cloned in {} ms", list.entries.len(), begun.elapsed().as_millis());
        let reading = Reading { list: &list, datadir, watch, limiter };
        let Rest { numbers: rest, warning } = reading.rest(&clones, worth, is_automatic)?;
        let begin = |output: Output<'a>| output.begin(&identity);
        let mut copied = Copied::nothing();
        let (archive, output) = if rest.is_empty() {
            (None, Some(output))
        } else {
            let mut archive = begin(output)?;
            let part = |number: usize| rest.contains(&number);
            let read = reading.copy(&Live { datadir }, &part, &mut archive.writer);
            copied = read.inspect_err(|_| watch.lift_rate())?;
            (Some(archive), None)
        };
        // What was cloned was compared then.
        if worth == Files::Clean && !rest.is_empty() {
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
        copied.warnings.extend(warning.into_iter().chain(read.warnings));
        Ok(Captured::files(archive, identity, resumed, list, copied))
    }
}
