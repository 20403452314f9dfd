//! The method `precopy`: everything is read while the server runs, and what has changed since is read again while it stands still.
//!
//! ```text
//! follow the redo log ─> copy every table ─> rounds ─> freeze ─> which files, which pages? ─> spool them ─> thaw ─> store them
//! ```
//!
//! The server stands still for as long as it takes to read again what changed, on any file system. Which pages these are the redo log says, without a look at the others
//! ([`pursuit`]); where it cannot be followed their LSN says it ([`by_lsn`]). Where much has changed it is copied ahead once more ([`rounds`]). [`compare`] has the argument why nothing is missed; [`early`] says what is copied
//! ahead at all. A slow repository holds up nobody: what is read under the freeze waits in a [`spool`].
//!
//! In the archive an early copy stands as it was read, maybe torn; pages and changes behind it make it right. So an unpacked archive is no data directory yet: under the name of
//! the system tablespace stands a short text, on which no server starts, and the script in the archive puts everything in its place, the system tablespace last.

mod binary_logs;
mod by_lsn;
mod compare;
#[cfg(test)]
mod dice;
mod early;
mod facts;
mod foresee;
mod frozen;
mod kept;
mod late;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_file;
#[cfg(test)]
mod model_round;
mod pursuit;
mod rounds;
mod runs;
mod spool;

use std::path::Path;
use std::time::{Duration, Instant};

use super::error::CaptureError;
use super::facts::Facts as ServerFacts;
use super::files::FileList;
use super::frozen_list::{FrozenServer, freeze_and_list};
use super::identify::identify_early;
use super::method::{Captured, Estimate, Host, Method, PER_FILE, Prospect, READ_IN_A_SECOND, Task};
use super::objection::shown;
use super::redo_file::{head, the_log};
use super::walk::list_files;
use crate::output::Archive;
use crate::quiesce::Files;
use crate::throttle::time_for;
use crate::ui::bytes;
use compare::Known;
use frozen::FrozenWork;
use late::LatePass;
use pursuit::{Found, Pursuit};
use rounds::{Ahead, AheadServer, PassBegin};
use spool::Spool;

/// What a freeze takes by itself: two looks at all files, and the end of the redo log.
const AT_LEAST: Duration = Duration::from_millis(60);
/// Where `limit-rate` says how fast data is read, `freeze` may take less than this.
const QUICK: Duration = Duration::from_secs(1);
/// What changes while the way to the freeze is cleared for longer than this is copied ahead, too.
const LONG: Duration = Duration::from_secs(2);

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
        if prospect.is_plain {
            return Some(
                "with plain-tar what has changed is read again as whole files, which takes as long".into(),
            );
        }
        let log = the_log(prospect.files, &prospect.layout.datadir).ok();
        if log.and_then(|(_, path)| head(&path).ok()).is_some_and(|(_, head)| head.names_no_pages()) {
            return Some(
                "its redo log is encrypted and names no pages: to find those that have changed every page is looked at while the server stands still"
                    .into(),
            );
        }
        let data = prospect.bytes_to_read();
        let is_quick = prospect.rate.is_none_or(|rate| time_for(data, rate) < QUICK);
        (data < READ_IN_A_SECOND && is_quick).then(|| {
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

    fn capture<'a>(&self, task: Task<'a, '_>) -> Result<Captured<'a>, CaptureError> {
        let Task { layout, facts, mut plan, output, watch, limiter, host, precopy, is_automatic, .. } = task;
        let datadir = &layout.datadir;
        let is_plain = precopy.is_plain;
        let no_mmap = writes_by_calls(facts);
        let running = AheadServer { layout, options: &plan.options, watch, limiter, no_mmap, is_plain };
        let begin = running.begin(facts)?;
        host.listener().ahead(running.bytes_ahead(&begin));
        let mut archive = output.begin_early(&identify_early(facts, layout))?;
        let ahead =
            copy_ahead(&running, begin, facts, &mut archive, host).inspect_err(|_| watch.lift_rate())?;
        let Ahead { files: early, mut pursuit, tablespaces } = ahead;
        let mut spool = Spool::new(datadir, precopy.spool_limit);
        // What cannot be listed now is told when the server stands still.
        if let Ok(list) = list_files(layout, &plan.options) {
            let foreseen = running.foresee(&list, &early, pursuit.checkpoint);
            let bytes =
                pursuit.so_far(|set| foreseen.bytes(Some(set))).unwrap_or_else(|| foreseen.bytes(None));
            let wait = waiting(bytes, &spool, is_automatic).inspect_err(|_| watch.lift_rate())?;
            facts.warnings.extend(wait);
        }

        plan.tablespaces = Ok(tablespaces);
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

/// Copies everything while the server runs, and what changes meanwhile.
fn copy_ahead(
    running: &AheadServer<'_>,
    begin: PassBegin,
    facts: &mut ServerFacts,
    archive: &mut Archive<'_>,
    host: &mut dyn Host,
) -> Result<Ahead, CaptureError> {
    let (begun, read) = (Instant::now(), running.watch.bytes());
    let files = running.copy(&begin, archive, &|_| true)?;
    log::info!(
        "{} files ({} MiB) were copied ahead in {} s, while the server ran",
        files.len(),
        (running.watch.bytes() - read) >> 20,
        begun.elapsed().as_secs()
    );
    let PassBegin { pursuit, tablespaces, .. } = begin;
    let mut ahead = Ahead { files, pursuit, tablespaces };
    running.rounds(&mut ahead, facts, archive, host.listener())?;
    let begun = Instant::now();
    host.clear_way()?;
    if begun.elapsed() > LONG {
        running.rounds(&mut ahead, facts, archive, host.listener())?;
    }
    Ok(ahead)
}

/// What is to be told where so many bytes would be read while the server stands still, and have no room until it runs again; an error where it may not wait for
/// the repository.
///
/// Where nobody asked for this method by its name the server may wait: the other choice would be to have it wait with everything.
fn waiting(bytes: u64, spool: &Spool, may_wait: bool) -> Result<Option<String>, CaptureError> {
    let room = spool.room();
    if bytes <= room {
        return Ok(None);
    }
    if !may_wait {
        let no_file = spool.why_no_room().map(str::to_owned);
        return Err(CaptureError::TooMuchChanged { bytes, room, no_file });
    }
    let limited_by = spool.why_no_room().map_or_else(
        || "spool-limit, and what is free beside the data directory".to_owned(),
        |why| format!("no file can be made beside the data directory: {why}"),
    );
    Ok(Some(format!(
        "{bytes} bytes or more had changed while the server was copied, and {room} could wait until it ran again ({limited_by}): it stood \
         still until the repository had the rest"
    )))
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

/// Whether the server is known to write to its files by system calls only.
fn writes_by_calls(facts: &mut ServerFacts) -> bool {
    const NAME: &str = "myisam_use_mmap";
    let answer = facts.sql.as_mut().and_then(|sql| sql.variables(&[NAME]).ok());
    answer.is_some_and(|variables| variables.get(NAME).is_some_and(|value| value == "OFF"))
}
