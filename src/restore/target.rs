//! The checks of the target before a byte is written.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::FsFlags;

use super::destinations::Destinations;
use super::error::RestoreError;
use super::start_file::is_unfinished;
use crate::archive::Index;
use crate::model::MemberKind;

/// Space that a file system may need beyond the data, per file.
const PER_FILE: u64 = 4096;

/// Refuses a target that is used, not empty, or too small, or that lies in the repository or among a server's files.
pub(super) fn check(places: &Destinations, index: &Index, repository: &str) -> Result<(), RestoreError> {
    let target = places.target();
    check_free_of_others(places, index, repository)?;
    if let Some(start) = places.start_file().filter(|start| is_unfinished(start)) {
        let also = if start.starts_with(target) { "" } else { ", and the directories outside of it," };
        return refused(format!(
            "'{}' holds a restore that was interrupted, or one that runs ('{}' stands for it); it cannot be started. \
             If none runs, empty the directory{also} and restore again",
            target.display(),
            start.display()
        ));
    }
    check_empty(target)?;
    check_absent(places, index)?;
    check_space(places, index)
}

/// Refuses places that a server uses, that lie in the repository, or among the files of another server.
pub(super) fn check_free_of_others(
    places: &Destinations,
    index: &Index,
    repository: &str,
) -> Result<(), RestoreError> {
    let target = places.target();
    let roots = places.external_roots();
    check_not_in_use(places)?;
    check_repository(places, index, Path::new(repository))?;
    check_alone_there(target, Path::new(""))?;
    roots.iter().try_for_each(|root| check_alone_there(root, target))
}

/// Refuses places that a server uses.
pub(super) fn check_not_in_use(places: &Destinations) -> Result<(), RestoreError> {
    let roots = places.external_roots();
    std::iter::once(places.target()).chain(roots.iter().map(PathBuf::as_path)).try_for_each(check_unused)
}

/// Refuses places on a file system that is mounted read-only, by what is there of the way to them.
pub(super) fn check_writable<'a>(places: impl IntoIterator<Item = &'a Path>) -> Result<(), RestoreError> {
    places.into_iter().try_for_each(|place| {
        let (device, existing) = device_of(place);
        let flags = nix::sys::statvfs::statvfs(&existing).map(|stat| stat.flags());
        // What cannot be told is left to the writing itself.
        if !flags.is_ok_and(|flags| flags.contains(FsFlags::ST_RDONLY)) {
            return Ok(());
        }
        let existing = fs::canonicalize(&existing).unwrap_or(existing);
        let same = |above: &&Path| fs::metadata(above).is_ok_and(|data| data.dev() == device);
        let mount = existing.ancestors().take_while(same).last().unwrap_or(&existing);
        refused(format!(
            "'{}' is on the file system '{mount}', which is mounted read-only: mount it read-write (mount -o remount,rw '{mount}'), or name \
             another directory",
            place.display(),
            mount = mount.display()
        ))
    })
}

/// The same for files that make no server: their places and sizes.
pub(super) fn check_alone(
    target: &Path,
    files: impl Iterator<Item = (PathBuf, u64)>,
) -> Result<(), RestoreError> {
    check_unused(target)?;
    check_empty(target)?;
    check_free(files)
}

fn refused<T>(why: String) -> Result<T, RestoreError> {
    Err(RestoreError::Refused(why))
}

fn check_empty(target: &Path) -> Result<(), RestoreError> {
    match is_empty(target) {
        Ok(true) => Ok(()),
        Ok(false) => refused(format!(
            "'{}' is not empty; a restore overwrites nothing. Move its content away, or name another directory",
            target.display()
        )),
        // It is made, with what is missing above it, as the places outside are.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => refused(format!(
            "'{}' is not a directory; name one that is empty, or a new one",
            target.display()
        )),
        Err(error) => refused(format!("cannot look into '{}': {error}", target.display())),
    }
}

/// Outside the data directory other files may be around; none of ours may be there already.
fn check_absent(places: &Destinations, index: &Index) -> Result<(), RestoreError> {
    let external = index.members.iter().filter(|m| m.origin.is_some() && m.kind != MemberKind::Directory);
    for place in external.filter_map(|member| places.of(member)) {
        if fs::symlink_metadata(&place).is_ok() {
            return refused(format!(
                "'{}' exists already; the backup has this file outside its data directory. Move it away, or give \
                 another place with --map",
                place.display()
            ));
        }
    }
    Ok(())
}

/// Files of a server have no place among backups: `prune` and `list` would meet them.
fn check_repository(places: &Destinations, index: &Index, repository: &Path) -> Result<(), RestoreError> {
    let Ok(repository) = fs::canonicalize(repository) else { return Ok(()) };
    let external = index.members.iter().filter(|member| member.origin.is_some());
    let mut all = external.filter_map(|member| places.of(member)).chain([places.target().to_path_buf()]);
    match all.find(|place| place.starts_with(&repository)) {
        Some(place) => refused(format!(
            "'{}' lies in the repository '{}'; name another directory",
            place.display(),
            repository.display()
        )),
        None => Ok(()),
    }
}

/// What only the data directory of a server, or another directory of its files, has.
const OF_A_SERVER: [&str; 5] =
    ["ibdata1", "aria_log_control", "mysql/global_priv.frm", "mysql/user.frm", "mysql/db.frm"];

/// What a server finds below its data directory it takes for a database of its own. `apart` is the directory of this
/// restore, below which there is no other server.
fn check_alone_there(place: &Path, apart: &Path) -> Result<(), RestoreError> {
    for above in place.ancestors().skip(1).take_while(|above| *above != apart) {
        let sign = OF_A_SERVER.iter().find(|name| fs::symlink_metadata(above.join(name)).is_ok());
        if let Some(sign) = sign {
            return refused(format!(
                "'{}' lies below '{}', which holds the files of a server ('{sign}'); name another directory",
                place.display(),
                above.display()
            ));
        }
    }
    Ok(())
}

/// A server works in its data directory and holds files open in it.
fn check_unused(directory: &Path) -> Result<(), RestoreError> {
    let directory = &fs::canonicalize(directory).unwrap_or_else(|_| directory.to_path_buf());
    let Ok(processes) = fs::read_dir("/proc") else { return Ok(()) };
    for process in processes.flatten().map(|entry| entry.path()) {
        let Ok(name) = fs::read_to_string(process.join("comm")) else { continue };
        let name = name.trim();
        if !matches!(name, "mysqld" | "mariadbd" | "mysqld_safe" | "mariadbd-safe") {
            continue;
        }
        // The wrappers work anywhere.
        let above =
            |cwd: &Path| !name.ends_with("safe") && cwd != Path::new("/") && directory.starts_with(cwd);
        let works_here = fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == *directory || above(&cwd));
        if works_here || holds_open(&process, directory) {
            let pid = process.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return refused(format!(
                "'{}' is in use by {name} (pid {pid}); stop that server first",
                directory.display()
            ));
        }
    }
    Ok(())
}

fn holds_open(process: &Path, directory: &Path) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|file| file.starts_with(directory)))
}

/// Sums up the bytes for each file system and compares them with what is free there.
fn check_space(places: &Destinations, index: &Index) -> Result<(), RestoreError> {
    let files = index.members.iter().filter(|member| member.sha256.is_some());
    check_free(files.filter_map(|member| Some((places.of(member)?, member.room()))))
}

/// Compares the bytes of these files with what is free where they go.
pub(super) fn check_free(files: impl Iterator<Item = (PathBuf, u64)>) -> Result<(), RestoreError> {
    check_free_with(files, &BTreeMap::new())
}

/// The same where these bytes of these file systems (by their device numbers) will be free, too.
pub(super) fn check_free_with(
    files: impl Iterator<Item = (PathBuf, u64)>,
    freed: &BTreeMap<u64, u64>,
) -> Result<(), RestoreError> {
    let mut needed: BTreeMap<u64, (u64, PathBuf)> = BTreeMap::new();
    let mut cache: BTreeMap<PathBuf, (u64, PathBuf)> = BTreeMap::new();
    for (place, stored) in files {
        let parent = place.parent().unwrap_or(Path::new("/")).to_path_buf();
        let (device, existing) = cache.entry(parent.clone()).or_insert_with(|| device_of(&parent)).clone();
        let sum = needed.entry(device).or_insert((0, existing));
        sum.0 = sum.0.saturating_add(stored.next_multiple_of(PER_FILE));
    }
    for (device, (bytes, place)) in needed {
        let free = free_bytes(&place)?.saturating_add(freed.get(&device).copied().unwrap_or(0));
        if bytes > free {
            return refused(format!(
                "'{}' has {} MiB free, the restore needs {} MiB there; nothing was written",
                place.display(),
                free >> 20,
                bytes.div_ceil(1 << 20)
            ));
        }
    }
    Ok(())
}

/// Bytes that are free where this directory is.
pub(super) fn free_bytes(place: &Path) -> Result<u64, RestoreError> {
    let stat = nix::sys::statvfs::statvfs(place)
        .map_err(|errno| RestoreError::Refused(format!("cannot look at '{}': {errno}", place.display())))?;
    Ok(stat.blocks_available().saturating_mul(stat.fragment_size()))
}

/// The file system that a path will be on: that of its nearest existing ancestor.
fn device_of(path: &Path) -> (u64, PathBuf) {
    path.ancestors()
        .find_map(|ancestor| fs::metadata(ancestor).ok().map(|data| (data.dev(), ancestor.to_path_buf())))
        .unwrap_or((0, PathBuf::from("/")))
}

/// Whether a directory has no entries but those that a fresh file system has.
fn is_empty(directory: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(directory)? {
        if entry?.file_name() != "lost+found" {
            return Ok(false);
        }
    }
    Ok(true)
}
