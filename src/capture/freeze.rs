//! The method `freeze`: the server stands still, its files are read, it runs again.

use std::cell::Cell;
use std::path::Path;

use super::copy::{Copied, Copier, Live};
use super::error::CaptureError;
use super::files::FileList;
use super::frozen_list::{FrozenServer, freeze_and_list};
use super::method::{Captured, Estimate, Host, Method, Prospect, Task};
use super::standstill;
use super::watch::Watch;
use crate::output::Writer;
use crate::quiesce::{Files, Quiet, Resumed};
use crate::throttle::{Limiter, time_for};

/// Bytes between two `complete` lines, where mysqld wants them.
const COMPLETE_EVERY: u64 = 64 << 20;

/// Reads everything while the server stands still: it works on every file system, and takes as long as the reading.
pub(super) struct Freeze;

impl Method for Freeze {
    fn name(&self) -> &'static str {
        "freeze"
    }

    fn accepts(&self, files: Files) -> bool {
        files == Files::Clean
    }

    /// How fast this machine reads, and its repository stores, is not known; what `limit-rate` does is. Holes are not read, nor
    /// is most of the redo log.
    fn estimate(&self, prospect: &Prospect<'_>) -> Result<Estimate, String> {
        let at_rate = |bytes| prospect.rate.map(|rate| time_for(bytes, rate));
        Ok(Estimate::WhileRead {
            least: at_rate(prospect.bytes_to_read()),
            most: at_rate(prospect.files.bytes),
        })
    }

    fn capture<'a>(&self, task: Task<'a, '_>) -> Result<Captured<'a>, CaptureError> {
        let Task { layout, facts, plan, output, watch, limiter, host, .. } = task;
        let FrozenServer { quiet, identity, list } = freeze_and_list(host, layout, facts, plan, watch)?;
        let mut archive = output.begin(&identity)?;
        let copy = Copy { list: &list, datadir: &layout.datadir, watch, limiter };
        // What is written so far is taken back at once: the limit of the rate does not hold for it.
        let copied = copy.run(quiet, host, &mut archive.writer).inspect_err(|_| watch.lift_rate());
        let (mut copied, resumed) = copied?;
        copied.store_rest(&mut archive.writer).inspect_err(|_| watch.lift_rate())?;
        Ok(Captured::files(archive, identity, resumed, list, copied))
    }
}

struct Copy<'a> {
    list: &'a FileList,
    datadir: &'a Path,
    watch: &'a Watch,
    limiter: &'a Limiter,
}

impl Copy<'_> {
    /// Takes the frozen server, so that on an error it runs before the caller takes back what was written.
    fn run(
        &self,
        quiet: Box<dyn Quiet>,
        host: &mut dyn Host,
        writer: &mut Writer,
    ) -> Result<(Copied, Resumed), CaptureError> {
        let Self { list, datadir, watch, limiter } = *self;
        let told = Cell::new(0);
        // Also within a file: a server may have its data in one.
        let count = |bytes| {
            watch.read(bytes)?;
            limiter.take(bytes);
            if watch.bytes() >= told.get() + COMPLETE_EVERY {
                told.set(watch.bytes());
                quiet.complete(watch.bytes().min(list.bytes));
            }
            Ok(())
        };
        let contents = Live { datadir };
        let copier = Copier { list, datadir, contents: &contents, count: &count, watch, part: &|_| true };
        let copied = copier.copy(writer)?;
        // Also those that were read early: only now it is certain that nothing has written to them meanwhile.
        standstill::stood_still(list, datadir, watch)?;
        quiet.complete(list.bytes);
        Ok((copied, host.resume(quiet)?))
    }
}
