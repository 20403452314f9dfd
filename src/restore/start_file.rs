//! The file without which mysqld does not start comes last: until then a placeholder stands in its place.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

use super::destinations::Destinations;
use super::error::SystemError;
use super::no_follow;
use super::undo_log::UndoLog;

/// The system tablespace while the restore goes on.
pub(super) const HIDDEN_SUFFIX: &str = ".wsrep_sst_backup-restoring";

/// What stands in the place of the system tablespace until everything else is there. InnoDB refuses it:
/// it is shorter than a page.
const PLACEHOLDER: &str = "This data directory is being restored by wsrep_sst_backup and is not complete.\n\
    If no restore is running, it was interrupted: empty the directory and restore again.\n";

/// The same while a directory with files of an older state is restored; behind it stands the history of these files. It appears as a whole.
const DELTA_PLACEHOLDER: &str = "This data directory is being restored by wsrep_sst_backup restore --delta and is not complete.\n\
    If no restore is running, it was interrupted: run the same command again.\nhistory: ";
/// More than a placeholder has, bytes; less than any page.
const LONGEST_MARK: u64 = 1 << 10;
/// Where it is written before it appears.
const BEGUN_SUFFIX: &str = ".wsrep_sst_backup-begun";

/// The system tablespace under its hidden name.
pub(super) struct StartFileGuard {
    /// Hidden and final.
    place: Option<(PathBuf, PathBuf)>,
    /// The history that the text names, where files were there before.
    history: Option<String>,
}

impl StartFileGuard {
    /// Hides the start file behind the placeholder.
    pub(super) fn hide(created: &mut UndoLog, places: &Destinations) -> Result<Self, SystemError> {
        let Some(start) = places.start_file().map(Path::to_path_buf) else {
            return Ok(Self { place: None, history: None });
        };
        if let Some(parent) = start.parent() {
            created.directory(parent, places.owner(), None)?;
        }
        let mut file = created.create(&start, 0o640)?;
        let written = file.write_all(PLACEHOLDER.as_bytes()).and_then(|()| file.sync_all());
        written.map_err(SystemError::of("write", &start))?;
        Ok(Self { place: Some((hidden(&start), start)), history: None })
    }

    /// Hides a start file that is there, of this history, behind the placeholder: at no moment is there none, which a server
    /// might make anew. That is durable when this returns.
    pub(super) fn take_over(start: &Path, history: &str) -> Result<Self, SystemError> {
        let failed = SystemError::of("hide", start);
        let hidden = hidden(start);
        let (folder, name) = no_follow::parent(start).map_err(&failed)?;
        let hidden_name = hidden.file_name().unwrap_or_default();
        let is_file = fs::symlink_metadata(start).is_ok_and(|found| found.is_file());
        let is_linked = is_file && !is_placeholder(start);
        if is_linked {
            remove_if_there(&folder, hidden_name).map_err(&failed)?;
            linkat(&folder, name, &folder, hidden_name, AtFlags::empty())
                .map_err(|errno| failed(errno.into()))?;
        }
        let covered = cover(&folder, start, history);
        if covered.is_err() && is_linked && start_mark(start).is_none() {
            let _ = remove_if_there(&folder, hidden_name);
        }
        covered?;
        Ok(Self { place: Some((hidden, start.to_path_buf())), history: Some(history.to_owned()) })
    }

    /// Where this file is written for now.
    pub(super) fn hidden_place(&self, place: &Path) -> PathBuf {
        match &self.place {
            Some((hidden, start)) if start == place => hidden.clone(),
            _ => place.to_path_buf(),
        }
    }

    /// Puts the file into its place: from here on mysqld can start. Where files were there before, only over the text of this restore: what
    /// a server has made there meanwhile would be lost, and the rest of the files would be its own.
    pub(super) fn publish(&self, created: &mut UndoLog) -> Result<(), SystemError> {
        let Some((hidden, start)) = &self.place else { return Ok(()) };
        let failed = SystemError::of("put into place", start);
        let is_ours = |history: &String| {
            start_mark(start).is_some_and(|mark| mark == StartMark::Delta(history.clone()))
        };
        if !self.history.as_ref().is_none_or(is_ours) {
            let cause = "the text of this restore does not stand there any more: somebody else, a server perhaps, uses the directory";
            return Err(failed(io::Error::other(cause)));
        }
        let (folder, name) = no_follow::parent(start).map_err(&failed)?;
        renameat(&folder, hidden.file_name().unwrap_or_default(), &folder, name)
            .map_err(|errno| failed(errno.into()))?;
        created.has_moved(hidden);
        sync_folder_of(start)
    }
}

/// Puts the text in the place of the start file, all of it at once.
fn cover(folder: &OwnedFd, start: &Path, history: &str) -> Result<(), SystemError> {
    let begun = suffixed(start, BEGUN_SUFFIX);
    let begun_name = begun.file_name().unwrap_or_default();
    let failed = SystemError::of("write", &begun);
    remove_if_there(folder, begun_name).map_err(&failed)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let file = openat(folder, begun_name, flags, Mode::from_bits_truncate(0o640));
    let mut file = fs::File::from(file.map_err(|errno| failed(errno.into()))?);
    let text = format!("{DELTA_PLACEHOLDER}{history}\n");
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| Ok(renameat(folder, begun_name, folder, start.file_name().unwrap_or_default())?));
    if written.is_err() {
        let _ = remove_if_there(folder, begun_name);
    }
    written.map_err(&failed)?;
    sync_folder_of(start)
}

fn remove_if_there(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    match unlinkat(folder, name, UnlinkatFlags::NoRemoveDir) {
        Err(Errno::ENOENT) | Ok(()) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// The names in the folder of this file are durable after this.
pub(super) fn sync_folder_of(start: &Path) -> Result<(), SystemError> {
    let folder = start.parent().unwrap_or(Path::new("/"));
    let synced = no_follow::readable_directory(folder).and_then(|handle| handle.sync_all());
    synced.map_err(SystemError::of("sync the folder of", start))
}

fn suffixed(start: &Path, suffix: &str) -> PathBuf {
    let mut path = start.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// The name that a file has until it is put into its place.
pub(super) fn hidden(start: &Path) -> PathBuf {
    suffixed(start, HIDDEN_SUFFIX)
}

/// Where the system tablespace of this place is, if it is there: under its hidden name while an interrupted restore stands for it.
pub(super) fn real_place(start: &Path) -> Option<PathBuf> {
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    let place = if is_placeholder(start) || !is_there(start) { hidden(start) } else { start.to_path_buf() };
    is_there(&place).then_some(place)
}

/// The names that a restore takes beside the system tablespace.
pub(super) fn own_names(start: &Path) -> [PathBuf; 3] {
    [start.to_path_buf(), hidden(start), suffixed(start, BEGUN_SUFFIX)]
}

/// What an interrupted restore has left in the place of the system tablespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StartMark {
    /// All that is there comes from a backup: the directory was empty.
    Restored,
    /// Files of this history were there, and are partly replaced.
    Delta(String),
}

/// The mark of an interrupted restore, where it is whole.
pub(super) fn start_mark(start: &Path) -> Option<StartMark> {
    let text = no_follow::read_file(start, LONGEST_MARK).ok()?;
    let text = std::str::from_utf8(&text).ok()?;
    if text == PLACEHOLDER {
        return Some(StartMark::Restored);
    }
    let history = text.strip_prefix(DELTA_PLACEHOLDER)?.strip_suffix('\n')?;
    Some(StartMark::Delta(history.to_owned()))
}

/// Whether an unfinished restore has left its mark in the place of this system tablespace.
pub(super) fn is_unfinished(start: &Path) -> bool {
    is_placeholder(start) || fs::symlink_metadata(hidden(start)).is_ok()
}

/// The placeholder is there before anything hidden is. It is cut short where the restore ended within its first
/// write.
fn is_placeholder(start: &Path) -> bool {
    // One byte more than it has, so that what is longer is seen to be.
    let read = no_follow::read_file(start, PLACEHOLDER.len() as u64 + 1);
    read.is_ok_and(|content| PLACEHOLDER.as_bytes().starts_with(&content)) || start_mark(start).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tablespace_is_put_only_over_the_text_of_its_own_restore() {
        let folder = tempfile::tempdir().unwrap();
        let start = folder.path().canonicalize().unwrap().join("ibdata1");
        fs::write(&start, "old").unwrap();
        let guard = StartFileGuard::take_over(&start, "history").unwrap();
        fs::write(&start, "of a server").unwrap();
        let error = guard.publish(&mut UndoLog::default()).unwrap_err();
        assert!(error.cause.to_string().contains("does not stand there any more"), "{error:?}");
        assert_eq!(fs::read(&start).unwrap(), b"of a server");
        fs::write(&start, format!("{DELTA_PLACEHOLDER}history\n")).unwrap();
        guard.publish(&mut UndoLog::default()).unwrap();
        assert_eq!(fs::read(&start).unwrap(), b"old");
    }

    #[test]
    fn the_placeholder_is_known_however_much_of_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ibdata1");
        for (content, known) in [
            (PLACEHOLDER, true),
            (&PLACEHOLDER[..20], true),
            ("", true),
            ("x", false),
            (&format!("{PLACEHOLDER}x"), false),
        ] {
            fs::write(&file, content).unwrap();
            assert_eq!(is_placeholder(&file), known, "{content:?}");
        }
        assert!(!is_placeholder(folder.path()) && !is_placeholder(&folder.path().join("missing")));
    }
}
