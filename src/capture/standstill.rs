//! Whether the files of a frozen server stand still: looked at before the first is read and after the last.
//!
//! A file that is written to between these looks is not of the moment that the manifest names, and the backup is given
//! up. MariaDB 10.5 and older say that they are frozen before InnoDB has come to rest ([`Stillness`]): a freeze begins when
//! two looks agree. A look costs one `stat` for each file.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::class::FileClass;
use super::entry::{Entry, EntryKind, Look};
use super::error::CaptureError;
use super::files::FileList;
use super::layout::ServerLayout;
use super::objection::shown;
use super::page_lsns::PageLsns;
use super::resolve::is_same_entry;
use super::stillness::Stillness;
use super::watch::Watch;
use crate::output::millis;

/// Between two looks; longer than the clock of file times is coarse (a tick of the kernel, at most 10 ms).
const BETWEEN: Duration = Duration::from_millis(20);
/// The same for a server that says too early that it is frozen, or may be one: its flushing may pause for a moment.
const BETWEEN_OLD: Duration = Duration::from_millis(200);
/// The same where such a server's file system counts in whole seconds (ext4 with inodes of 128 bytes, some NFS): what is written in the second of the first look has
/// the time that was seen then, and what is written behind the second one must have another.
const BETWEEN_SECONDS: Duration = Duration::from_millis(2100);
/// Whether it does is told by files that were written to of late, nanoseconds.
const OF_LATE: i64 = 60_000_000_000;
/// Threads that look at files.
const LOOKERS: usize = 4;
/// How long a server may take until it has come to rest.
const REST_LIMIT: Duration = Duration::from_secs(30);

/// What is seen of a file.
pub(super) fn look(path: &Path) -> io::Result<Look> {
    fs::symlink_metadata(path).map(|metadata| Look::of(&metadata))
}

/// Waits until two looks at the server's files agree; the list then says what the last one saw. What DDL dropped in its
/// last moments is taken from the list. A server that was not at rest when it said so is told of in the list's warnings.
pub(super) fn come_to_rest(
    list: &mut FileList,
    layout: &ServerLayout,
    watch: &Watch,
) -> Result<(), CaptureError> {
    let stillness = Stillness::of(layout.version.as_deref());
    let between = if stillness != Stillness::InTime && has_whole_seconds(list, now() - OF_LATE) {
        log::info!(
            "the times of the server's files are whole seconds: that it stands still is looked at twice within {} ms",
            millis(BETWEEN_SECONDS)
        );
        BETWEEN_SECONDS
    } else if stillness == Stillness::Early {
        BETWEEN_OLD
    } else {
        BETWEEN
    };
    let pause = || {
        std::thread::sleep(between);
        watch.aborted().map_or(Ok(()), |abort| Err(abort.into()))
    };
    let begun = Instant::now();
    if let Some(moved) = until_two_looks_agree(list, &layout.datadir, &pause)? {
        list.warnings.push(format!(
            "'{}' was still written to when the server had said that it stands still (MDEV-32115): it came to rest within {} ms, and the backup is of that moment",
            shown(&moved),
            millis(begun.elapsed())
        ));
    }
    Ok(())
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether there is a place in which files were written to since then, and none of their times has nanoseconds.
fn has_whole_seconds(list: &FileList, since: i64) -> bool {
    let mut is_fine: BTreeMap<Option<&Path>, bool> = BTreeMap::new();
    for entry in list.entries.iter().filter(|entry| entry.class == FileClass::Data) {
        if let EntryKind::File(seen) = &entry.kind
            && seen.modified() >= since
        {
            let place = entry.origin.as_ref().map(|origin| origin.root.as_path());
            *is_fine.entry(place).or_default() |= seen.modified() % 1_000_000_000 != 0;
        }
    }
    is_fine.into_values().any(|is_fine| !is_fine)
}

/// The last file that was seen to be written to meanwhile.
fn until_two_looks_agree(
    list: &mut FileList,
    datadir: &Path,
    pause: &dyn Fn() -> Result<(), CaptureError>,
) -> Result<Option<PathBuf>, CaptureError> {
    let begun = Instant::now();
    let mut last = None;
    loop {
        pause()?;
        let Some(moved) = look_again(list, datadir)? else { return Ok(last) };
        log::info!("'{}' was still written to when the server said that it is frozen", shown(&moved));
        if begun.elapsed() >= REST_LIMIT {
            return Err(CaptureError::NotStill { path: moved, how: "was written to again and again" });
        }
        last = Some(moved);
    }
}

/// Notes what the pages of the first system tablespace file are like. Where that cannot be read, the copy says so.
pub(super) fn note_pages(list: &mut FileList, layout: &ServerLayout) {
    let Some(page_size) = layout.page_size else { return };
    let first = layout.system_tablespaces.first();
    let entry = list.entries.iter().find(|entry| {
        let disk = entry.belongs(&layout.datadir);
        entry.system_tablespace && first.is_some_and(|first| is_same_entry(first, &disk))
    });
    list.at_rest = entry.and_then(|entry| {
        let pages = PageLsns::read(&entry.belongs(&layout.datadir), page_size).ok()??;
        Some((entry.path.clone(), pages))
    });
}

/// How the files look now, by their numbers in the list: none of what is no data. Several threads look, of which some wait for the file system.
fn looks(entries: &[Entry], datadir: &Path) -> Vec<Option<io::Result<Look>>> {
    let one = |entry: &Entry| {
        let is_data = matches!(entry.kind, EntryKind::File(_)) && entry.class == FileClass::Data;
        is_data.then(|| look(&entry.belongs(datadir)))
    };
    let part = entries.len().div_ceil(LOOKERS).max(1);
    std::thread::scope(|scope| {
        let parts: Vec<_> = entries
            .chunks(part)
            .map(|part| (part, scope.spawn(move || part.iter().map(one).collect::<Vec<_>>())))
            .collect();
        // A thread that has died is one whose part is looked at here.
        parts
            .into_iter()
            .flat_map(|(part, thread)| thread.join().unwrap_or_else(|_| part.iter().map(one).collect()))
            .collect()
    })
}

/// One look; the first file that differs from the last one.
fn look_again(list: &mut FileList, datadir: &Path) -> Result<Option<PathBuf>, CaptureError> {
    let mut moved = None;
    let mut gone = Vec::new();
    let looks = looks(&list.entries, datadir);
    for ((number, entry), found) in list.entries.iter_mut().enumerate().zip(looks) {
        let disk = entry.belongs(datadir);
        let (EntryKind::File(seen), Some(found)) = (&mut entry.kind, found) else { continue };
        match found {
            Ok(now) if now == *seen => continue,
            Ok(now) => {
                list.bytes = list.bytes.saturating_sub(seen.bytes).saturating_add(now.bytes);
                *seen = now;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => gone.push(number),
            Err(cause) => return Err(CaptureError::Read { path: disk, cause }),
        }
        moved.get_or_insert(disk);
    }
    for number in gone.into_iter().rev() {
        let entry = list.entries.remove(number);
        if let EntryKind::File(seen) = entry.kind {
            log::info!("'{}' was dropped while the server came to rest", shown(entry.path.as_path()));
            list.bytes = list.bytes.saturating_sub(seen.bytes);
        }
    }
    Ok(moved)
}

/// An error where a file of the server is not what the list says. Asked before the server runs again.
pub(super) fn stood_still(list: &FileList, datadir: &Path, watch: &Watch) -> Result<(), CaptureError> {
    for entry in &list.entries {
        let EntryKind::File(seen) = &entry.kind else { continue };
        if entry.class != FileClass::Data {
            continue;
        }
        if let Some(abort) = watch.aborted() {
            return Err(abort.into());
        }
        let disk = entry.belongs(datadir);
        match look(&disk) {
            Ok(now) => compare(entry, seen, &now, list, datadir)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(vanished(entry, datadir)),
            Err(cause) => return Err(CaptureError::Read { path: disk, cause }),
        }
    }
    Ok(())
}

/// An error where a file that must stand still does not look as before.
pub(super) fn compare(
    entry: &Entry,
    before: &Look,
    now: &Look,
    list: &FileList,
    datadir: &Path,
) -> Result<(), CaptureError> {
    if looks_alike(entry, before, now, list, &entry.belongs(datadir)) {
        return Ok(());
    }
    let how = match now.bytes.cmp(&before.bytes) {
        std::cmp::Ordering::Less => "has become shorter",
        std::cmp::Ordering::Greater => "has grown",
        std::cmp::Ordering::Equal => "was written to",
    };
    Err(CaptureError::NotStill { path: entry.belongs(datadir), how })
}

/// Whether a file that must stand still looks as before; it, or a copy of it, is at `disk`.
pub(super) fn looks_alike(entry: &Entry, before: &Look, now: &Look, list: &FileList, disk: &Path) -> bool {
    entry.class != FileClass::Data || before == now || only_header_moved(entry, before, now, list, disk)
}

/// What temporary tables do to the system tablespace of a frozen server: see [`super::page_lsns`].
fn only_header_moved(entry: &Entry, before: &Look, now: &Look, list: &FileList, disk: &Path) -> bool {
    let Some((path, pages)) = &list.at_rest else { return false };
    let moved = path == &entry.path
        && before.bytes == now.bytes
        && pages.only_header_moved(disk).is_ok_and(|moved| moved);
    if moved {
        log::info!(
            "'{}': the next table id was written under the freeze: a client makes temporary tables",
            entry.path
        );
    }
    moved
}

/// A file that must be there is gone.
pub(super) fn vanished(entry: &Entry, datadir: &Path) -> CaptureError {
    CaptureError::NotStill { path: entry.belongs(datadir), how: "has vanished" }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs::File;

    use super::*;
    use crate::model::ArchivePath;

    /// Two tables, as they were listed.
    fn list(datadir: &Path) -> FileList {
        let mut list = FileList::default();
        for name in ["late.ibd", "dropped.ibd", "note.txt"] {
            fs::write(datadir.join(name), "x").unwrap();
            list.bytes += 1;
            list.entries.push(Entry {
                path: ArchivePath::new(name),
                kind: EntryKind::File(look(&datadir.join(name)).unwrap()),
                origin: None,
                system_tablespace: false,
                class: FileClass::of(Path::new(name)),
            });
        }
        list
    }

    #[test]
    fn whole_seconds_are_known_by_what_was_written_of_late() {
        let folder = tempfile::tempdir().unwrap();
        let judge = |times: [(u64, u32); 2]| {
            let mut list = list(folder.path());
            for (entry, (seconds, nanos)) in list.entries.iter_mut().zip(times) {
                let path = entry.belongs(folder.path());
                let file = File::options().write(true).open(&path).unwrap();
                file.set_modified(UNIX_EPOCH + Duration::new(seconds, nanos)).unwrap();
                entry.kind = EntryKind::File(look(&path).unwrap());
            }
            has_whole_seconds(&list, 1_000_000_000_000)
        };
        assert!(judge([(1000, 0), (2000, 0)]) && judge([(1000, 0), (900, 7)]));
        assert!(!judge([(1000, 0), (2000, 4_000_000)]), "one of them has more");
        assert!(!judge([(999, 0), (900, 0)]), "nothing was written to");
    }

    #[test]
    fn a_server_that_comes_to_rest_late_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let datadir = folder.path();
        let mut list = list(datadir);
        let pauses = Cell::new(0_u8);
        let pause = || {
            pauses.set(pauses.get() + 1);
            match pauses.get() {
                1 => fs::write(datadir.join("late.ibd"), "longer").unwrap(),
                2 => {
                    // As long as before, at another time.
                    let file = File::options().write(true).open(datadir.join("late.ibd")).unwrap();
                    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
                }
                3 => fs::remove_file(datadir.join("dropped.ibd")).unwrap(),
                _ => fs::write(datadir.join("note.txt"), "of somebody else").unwrap(),
            }
            Ok(())
        };
        let last = until_two_looks_agree(&mut list, datadir, &pause).unwrap();
        assert_eq!(last, Some(datadir.join("dropped.ibd")));
        assert_eq!((pauses.get(), list.entries.len(), list.bytes), (4, 2, 7));
        let late = look(&datadir.join("late.ibd")).unwrap();
        assert_eq!(list.entries[0].kind, EntryKind::File(late));
        assert_eq!(until_two_looks_agree(&mut list, datadir, &|| Ok(())).unwrap(), None);
    }
}
