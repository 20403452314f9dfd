//! What lies in a directory, looked at so that a freeze is short: a server may have a hundred thousand files.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// Threads that look at the entries of a directory with so many.
const LOOKERS: usize = 4;
const MANY: usize = 512;
/// So many are looked at in one go.
const PART: usize = 8192;
/// The paths of its entries, in their order.
pub(super) fn names_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<OsString>>>()?;
    // To compare whole paths takes ten times as long, under the freeze.
    names.sort_unstable();
    Ok(names.iter().map(|name| directory.join(name)).collect())
}

/// What is at these paths, in their order: a part of them is looked at when the one before it was taken.
pub(super) fn look_at(paths: &[PathBuf]) -> impl Iterator<Item = (&PathBuf, io::Result<Metadata>)> {
    paths.chunks(PART).flat_map(|part| part.iter().zip(looks(part)))
}

/// Where there are many, several threads look: under the freeze most of the time goes into that.
fn looks(paths: &[PathBuf]) -> Vec<io::Result<Metadata>> {
    let look = |paths: &[PathBuf]| paths.iter().map(fs::symlink_metadata).collect::<Vec<_>>();
    if paths.len() < MANY {
        return look(paths);
    }
    std::thread::scope(|scope| {
        let parts: Vec<_> = paths
            .chunks(paths.len().div_ceil(LOOKERS))
            .map(|part| (part, scope.spawn(move || look(part))))
            .collect();
        // A thread that has died is one whose part is looked at here.
        parts.into_iter().flat_map(|(part, thread)| thread.join().unwrap_or_else(|_| look(part))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_entries_are_seen_as_few_are_each_at_its_place() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MANY + 10 {
            fs::write(folder.path().join(format!("t{number}")), vec![0; number]).unwrap();
        }
        let mut paths = names_in(folder.path()).unwrap();
        assert!(paths.is_sorted() && paths.len() == MANY + 10);
        paths.insert(7, folder.path().join("gone"));
        for (number, (path, found)) in look_at(&paths).enumerate() {
            let size = path.file_name().unwrap().to_str().unwrap()[1..].parse::<u64>();
            assert_eq!(found.ok().map(|found| found.len()), size.ok(), "{number}");
        }
    }
}
