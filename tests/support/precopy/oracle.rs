//! The pages that the redo log names and those that are found by their LSN, over the same early copies of one backup: each is the other's oracle.
//!
//! There are the early copies, the runs of pages that the program has stored over them by the log, and the files of the server itself, which tell what has really changed and what
//! the LSN of each page is. So on one and the same backup three things are asserted: what has changed the log names; what has changed has an LSN that is not below the checkpoint's, or none
//! (which is what the program goes by where it cannot follow the log); and what has an LSN behind the checkpoint the log names.

use std::fs;
use std::path::{Path, PathBuf};

use super::apply::Unpacked;
use crate::support::ScriptedMysqld;

/// Numbers of pages of all files that were copied early and go on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Compared {
    /// All of them.
    pub pages: u64,
    /// Those in which the early copy differs from the server's file.
    pub changed: u64,
    /// Those that were stored once more.
    pub stored: u64,
    /// Those with an LSN that is not below the checkpoint's. Pages of zeros, which have none and are looked at as well, are not counted.
    pub by_lsn: u64,
}

/// Compares them; only counts them where the log was not followed.
pub(super) fn compare(unpacked: &Unpacked<'_>, mysqld: &ScriptedMysqld, said: &str, seed: u64) -> Compared {
    let is_by_log = said.contains("the redo log names");
    // What has changed before the checkpoint of a round was stored by that round.
    let has_rounds = said.contains("(round 1)");
    let since = said.split_once("since LSN ").map(|(_, rest)| rest);
    let digits = since.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
    let checkpoint: u64 = digits.and_then(|digits| digits.parse().ok()).expect("the checkpoint is told");
    let mut compared = Compared::default();
    for (early, place, runs) in unpacked.early_files() {
        let Some(server) = tablespace(mysqld, &place) else { continue };
        let (early, now) = (fs::read(early).unwrap(), fs::read(&server).unwrap());
        let what = format!("PRECOPY_SEED={seed}: '{}'", place.display());
        assert_eq!(early.len(), now.len(), "{what}");
        let size = page_size(&now);
        let doublewrite = doublewrite(&place, &now, size);
        for (number, (before, page)) in early.chunks(size).zip(now.chunks(size)).enumerate() {
            let at = (number * size) as u64;
            let is_stored = runs.iter().any(|(offset, length)| (*offset..offset + length).contains(&at));
            let lsn = u64::from_be_bytes(page[16..24].try_into().unwrap());
            let is_changed = before != page;
            compared.pages += 1;
            compared.changed += u64::from(is_changed);
            compared.stored += u64::from(is_stored);
            compared.by_lsn += u64::from(lsn >= checkpoint);
            assert!(is_stored || !is_changed, "{what}: page {number} has changed and was not stored");
            // Pages of the doublewrite buffer are those of other places.
            if is_by_log && !doublewrite.contains(&number) {
                assert!(
                    has_rounds || lsn == 0 || lsn >= checkpoint || !is_changed,
                    "{what}: page {number} has changed behind {checkpoint}, and bears the LSN {lsn}"
                );
                assert!(
                    lsn <= checkpoint || is_stored,
                    "{what}: page {number} bears the LSN {lsn}, and the log does not name it behind {checkpoint}"
                );
            }
        }
    }
    compared
}

/// The file of the server, where it is one of InnoDB's.
fn tablespace(mysqld: &ScriptedMysqld, place: &Path) -> Option<PathBuf> {
    let name = place.file_name()?.to_str()?;
    let is_table = place.extension().is_some_and(|ending| ending == "ibd");
    let is_one = is_table || name.starts_with("undo0") || name == "ibdata1";
    let outside = place.strip_prefix(".wsrep_sst_backup/innodb_undo_directory").ok();
    let server = outside.map_or_else(|| mysqld.datadir().join(place), |name| mysqld.path("undo").join(name));
    is_one.then_some(server)
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// As `FSP_SPACE_FLAGS` of page 0 has it (`fsp0types.h`), bytes.
fn page_size(file: &[u8]) -> usize {
    let flags = number(file, 54);
    let shift = match flags {
        flags if flags & 16 != 0 => flags & 15,
        flags if flags >> 1 & 15 != 0 => flags >> 1 & 15,
        flags if flags >> 6 & 15 != 0 => flags >> 6 & 15,
        _ => 5,
    };
    512 << shift
}

/// The pages of the doublewrite buffer, two extents, as page 5 of the system tablespace has it (`trx0sys.h`).
fn doublewrite(place: &Path, file: &[u8], size: usize) -> Vec<usize> {
    if place != Path::new("ibdata1") {
        return Vec::new();
    }
    let extent = ((1 << 20) / size).max(64);
    let at = 5 * size + size - 200;
    let blocks = [number(file, at + 14), number(file, at + 18)];
    blocks.iter().flat_map(|first| *first as usize..*first as usize + extent).collect()
}
