//! Whether the repository has room for this backup: asked while the server still runs.
//!
//! How small data gets is known only behind its compression. So what is expected is told, with a warning where it may not fit, and
//! refused is only what cannot end well: less than half of what the newest backup makes likely, or of data that is not
//! compressed at all; without anything to go by, a thousandth of the data. A repository that does not tell its room (a bucket) is not judged.
//!
//! Statements take no room by the size of the files: a dump is expected to take what the last one of the same class took, and without one it is
//! not judged.

use super::{Job, JobError};
use crate::capture::{EntryKind, FileList};
use crate::catalog::read_manifest;
use crate::model::{BackupClass, BackupId, Compression, Manifest};
use crate::ui::bytes;

/// How many folders are looked into for a backup to learn from.
const LOOKED_AT: usize = 8;
/// Data of a server does not get smaller than this part of it.
const SMALLEST: u64 = 1000;

/// What a backup is expected to take.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expected {
    /// So much, and how that is known.
    About(u64, String),
    /// Nothing tells; the bytes of the data.
    Unknown(u64),
}

/// Refuses what cannot fit.
pub fn check_room(job: &Job, list: &FileList) -> Result<(), JobError> {
    let free = match job.destination.storage.free_bytes() {
        Ok(Some(free)) => free,
        Ok(None) => return Ok(()),
        Err(error) => {
            log::warn!("{error}; so whether there is room for this backup is not known");
            return Ok(());
        }
    };
    let class = job.settings.backup_class();
    let is_dump = class != BackupClass::Physical;
    let by_earlier = is_dump || job.settings.compression != Compression::None;
    let newest = by_earlier.then(|| newest(job, &class)).flatten();
    // Of the redo log only what is needed is stored.
    let redo = list.entries.iter().filter(|entry| entry.is_redo_log()).map(|entry| match entry.kind {
        EntryKind::File(look) => look.bytes,
        _ => 0,
    });
    let data = list.stored.saturating_sub(redo.sum());
    let expected = match (is_dump, &newest) {
        (true, None) => return Ok(()),
        (true, Some(newest)) => as_last(newest),
        (false, newest) => expect(list.bytes, data, job.settings.compression, newest.as_ref()),
    };
    let (is_refused, text) = judge(free, &expected);
    let Some(text) = text else { return Ok(()) };
    let text = format!("'{}' has {text}", job.destination.storage.location());
    if is_refused && !job.is_forced() {
        return Err(JobError::NoRoom(text));
    }
    log::warn!("{text}");
    Ok(())
}

/// Whether it is refused, and what is said; nothing where there is room.
fn judge(free: u64, expected: &Expected) -> (bool, Option<String>) {
    let (least, wanted, what) = match expected {
        Expected::About(wanted, why) => {
            (wanted / 2, *wanted, format!("this backup takes about {}{why}", bytes(*wanted)))
        }
        Expected::Unknown(data) => {
            let what = format!("the data is {}, and no earlier backup tells how small it gets", bytes(*data));
            (data / SMALLEST, *data, what)
        }
    };
    let fits = if free < least { "it does not fit" } else { "it may not fit" };
    (free < least, (free < wanted).then(|| format!("{} free; {what}: {fits}", bytes(free))))
}

/// Of a dump, whatever the server's files are.
fn as_last(newest: &Manifest) -> Expected {
    let stored = newest.archive.bytes.saturating_add(newest.index.bytes);
    Expected::About(stored, format!(" ({} took so much)", newest.id))
}

/// Of a list of this many bytes, `data` without holes and the redo log.
fn expect(listed: u64, data: u64, compression: Compression, newest: Option<&Manifest>) -> Expected {
    match newest {
        _ if compression == Compression::None => Expected::About(data, ", as it is not compressed".into()),
        Some(newest) => {
            let stored = newest.archive.bytes.saturating_add(newest.index.bytes);
            let scaled = u128::from(listed) * u128::from(stored) / u128::from(newest.data_bytes.max(1));
            let why = format!(" ({} took {} for {})", newest.id, bytes(stored), bytes(newest.data_bytes));
            Expected::About(u64::try_from(scaled).unwrap_or(u64::MAX), why)
        }
        None => Expected::Unknown(data),
    }
}

/// The newest backup of this cluster and of this class that was compressed in the same way. What cannot be read tells nothing.
fn newest(job: &Job, class: &BackupClass) -> Option<Manifest> {
    let folders = job.destination.storage.folders(&job.destination.folder).ok()?;
    let mut ids: Vec<BackupId> = folders.iter().filter_map(|folder| folder.parse().ok()).collect();
    ids.sort();
    let read =
        |id: &BackupId| read_manifest(job.destination.storage.as_ref(), &job.destination.folder, id).ok();
    let is_alike = |manifest: &Manifest| {
        let is_compressed_so = manifest.archive.compression == job.settings.compression;
        manifest.data_bytes > 0 && is_compressed_so && manifest.class() == *class
    };
    ids.iter().rev().filter(|id| **id != job.destination.id).take(LOOKED_AT).filter_map(read).find(is_alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_fit_is_refused_and_what_may_not_is_told() {
        const MIB: u64 = 1 << 20;
        let about = Expected::About(100 * MIB, " (x took 1 for 2)".into());
        let unknown = Expected::Unknown(2000 * MIB);
        for (free, expected, is_refused, text) in [
            (100, &about, false, None),
            (
                99,
                &about,
                false,
                Some("99.0 MiB free; this backup takes about 100 MiB (x took 1 for 2): it may not fit"),
            ),
            (50, &about, false, Some("it may not fit")),
            (49, &about, true, Some("it does not fit")),
            (2000, &unknown, false, None),
            (2, &unknown, false, Some("no earlier backup tells how small it gets: it may not fit")),
            (1, &unknown, true, Some("1.00 MiB free; the data is 1.95 GiB")),
        ] {
            let (refused, said) = judge(free * MIB, expected);
            assert_eq!((refused, said.is_some()), (is_refused, text.is_some()), "{free} {said:?}");
            assert!(text.is_none_or(|text| said.as_deref().unwrap_or_default().contains(text)), "{said:?}");
        }
    }

    #[test]
    fn what_is_not_compressed_is_known() {
        assert!(matches!(expect(300, 200, Compression::None, None), Expected::About(200, _)));
        assert_eq!(expect(300, 200, Compression::Zstd, None), Expected::Unknown(200));
    }
}
