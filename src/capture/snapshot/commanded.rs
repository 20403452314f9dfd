//! The administrator's own snapshot in the place of clones ([`crate::volume_snapshot`]).
//!
//! ```text
//! connect (what an earlier backup has left goes) ─> freeze ─> list, sync, snapshot-command, look again ─> thaw ─> read it, give it back
//! ```
//!
//! Under the freeze of a state transfer everything stands still, so directories may be in several snapshots, made one after the other. Every file in them
//! has to look as it was listed. Under a lock by SQL InnoDB goes on writing, so everything has to be in *one* atomic snapshot; then its redo log and data are of one moment, as after
//! a loss of power, and recovery needs nothing else: no checkpoint is pinned ([`pin`]). That the snapshot is of the moment is told by its redo log: one that is older than the lock does not reach
//! the LSN that was on the disk under it, one that is later goes beyond the LSN at which the server was let run. And nothing in a snapshot changes: each file is looked at before and behind its reading, the redo log once
//! more at the end of all.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use nix::sys::statfs::{BTRFS_SUPER_MAGIC, statfs};
use rustix::fs::syncfs;

use super::super::error::CaptureError;
use super::super::frozen_list::{FrozenServer, freeze_and_list};
use super::super::method::{Captured, Estimate, Prospect, Task};
use super::super::source::ZFS;
use super::super::standstill;
use super::super::walk::list_files;
use super::super::watch::Watch;
use super::ground::settle;
use super::mounted::{LiveRoots, Mounted};
use super::pin::RedoSpan;
use super::reading::Reading;
use super::{pin, room};
use crate::quiesce::Files;
use crate::volume_snapshot::{Reach, SnapshotCommands, SnapshotError, SnapshotLink, SnapshotRequest};

/// What it would cost; the text says why it cannot work.
pub(super) fn estimate(prospect: &Prospect<'_>, commands: &SnapshotCommands) -> Result<Estimate, String> {
    let (list, datadir) = (prospect.files, &prospect.layout.datadir);
    if prospect.worth == Files::Crashed {
        if let Some(why) = pin::objection(list, datadir) {
            return Err(why);
        }
        let roots = LiveRoots::of(list, datadir).map_err(|error| error.to_string())?.directories(datadir);
        let device = |path: &PathBuf| {
            std::fs::metadata(path).ok().map(|found| std::os::unix::fs::MetadataExt::dev(&found))
        };
        if let Some(other) = roots.iter().find(|root| device(root) != device(datadir)) {
            return Err(format!(
                "'{}' is on another volume than '{}', and what is not made to stand still as in a state transfer has to be in one snapshot: let garbd ask \
                 ('backup')",
                other.display(),
                datadir.display()
            ));
        }
    }
    match Reach::of(commands, datadir, None) {
        Reach::Child(_) => commands.objection().map_or(Ok(()), Err)?,
        socket @ Reach::Socket(_) => {
            SnapshotLink::open(socket, commands, datadir, &mut || true)
                .map(drop)
                .map_err(|error| error.to_string())?;
        }
    }
    Ok(Estimate::Commanded(commands.limit))
}

/// Captures the files from the snapshot.
pub(super) fn capture<'a>(
    task: Task<'a, '_>,
    commands: &SnapshotCommands,
) -> Result<Captured<'a>, CaptureError> {
    let Task { layout, facts, plan, output, watch, limiter, host, login, snapshot: (name, _), .. } = task;
    let datadir = &layout.datadir;
    let before = list_files(layout, &plan.options)?;
    settle(&before, datadir, watch);
    drop(before);
    let socket = Some(login.socket()).filter(|socket| socket.is_absolute());
    let reach = Reach::of(commands, datadir, socket.as_deref());
    let mut wanted = || watch.aborted().is_none();
    // What is held comes first, so that on any error the server runs before the snapshot is given back.
    let mut link =
        SnapshotLink::open(reach, commands, datadir, &mut wanted).map_err(|error| given_up(error, watch))?;

    let FrozenServer { quiet, identity, list } = freeze_and_list(host, layout, facts, plan, watch)?;
    let worth = quiet.files();
    let roots = LiveRoots::of(&list, datadir)?;
    let directories = roots.directories(datadir);
    let begun = Instant::now();
    sync(&directories)?;
    let request =
        SnapshotRequest { name, datadir: datadir.clone(), socket, directories: directories.clone() };
    let mounts = link.take(request, &mut wanted).map_err(|error| given_up(error, watch))?;
    mounts.admit(&directories, worth == Files::Crashed)?;
    let mounted = Mounted::new(&list, datadir, worth, roots, &mounts)?;
    mounted.admit(&layout.system_tablespaces)?;
    log::info!("snapshot-command took {} ms", begun.elapsed().as_millis());
    if worth == Files::Clean {
        standstill::stood_still(&list, datadir, watch)?;
    }
    quiet.complete(list.bytes);
    let redo_end = quiet.redo_end();
    // Under a lock by SQL its holder asks; in a state transfer the server answers such a question as well, where SQL is there.
    let asked = if worth == Files::Clean { facts.sql.as_mut() } else { None };
    let now = asked.and_then(|sql| sql.redo_position().ok()).map(|position| position.current);
    let resumed = host.resume(quiet)?;
    let span = RedoSpan { at_least: redo_end, at_most: resumed.redo_end.or(now) };
    pin::is_of_the_moment(&list, datadir, span, |number| mounted.redo_log(number))?;

    let is_read = Arc::new(());
    guard(&is_read, directories, watch, &link).map_err(CaptureError::Clone)?;
    let mut archive = output.begin(&identity)?;
    let reading = Reading { list: &list, datadir, watch, limiter };
    let copied = reading.copy(&mounted, &|_| true, &mut archive.writer);
    drop(is_read);
    let mut copied = copied.inspect_err(|_| watch.lift_rate())?;
    mounted.check_redo_log()?;
    if let Err(error) = link.release() {
        log::warn!("{error}");
        copied.warnings.push(error.to_string());
    }
    Ok(Captured::files(archive, identity, resumed, list, copied))
}

/// Why the backup is given up comes before what that has done to the snapshot.
fn given_up(error: SnapshotError, watch: &Watch) -> CaptureError {
    watch.aborted().map_or(CaptureError::Volume(error), CaptureError::from)
}

/// All that the server has written is on its volumes: a snapshot of a volume holds nothing of what is in memory only.
fn sync(directories: &[PathBuf]) -> Result<(), CaptureError> {
    for directory in directories {
        let failed = |cause| CaptureError::Read { path: directory.clone(), cause };
        let opened = File::open(directory).map_err(failed)?;
        syncfs(&opened).map_err(|errno| failed(errno.into()))?;
    }
    Ok(())
}

/// Where a snapshot takes its room from the file system of the server's files, it is given back before that is full.
fn guard(
    is_read: &Arc<()>,
    mut directories: Vec<PathBuf>,
    watch: &Watch,
    link: &SnapshotLink,
) -> io::Result<()> {
    directories.retain(|directory| shares_room(directory));
    if directories.is_empty() {
        return Ok(());
    }
    room::guard_snapshot(is_read, directories, watch, link.let_go()?)
}

fn shares_room(directory: &Path) -> bool {
    statfs(directory).is_ok_and(|found| [BTRFS_SUPER_MAGIC, ZFS].contains(&found.filesystem_type()))
}
