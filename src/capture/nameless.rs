//! An empty file that nobody finds: it goes with the process that has it, however that ends.

use std::fs::File;
use std::io;

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

/// The name of one, for the moment in which it is made.
pub(super) const NAMELESS_FILE: &str = ".wsrep_sst_backup.nameless";
/// What is tried where another process has made one in the same moment.
const TRIES: usize = 16;

/// An empty file in the file system of this directory, readable and writable.
///
/// Where that has none without a name (`O_TMPFILE`; NFS, CIFS, FUSE), it has one for a moment, [`NAMELESS_FILE`]: no server takes a *file* for a database, a name with a dot in it is no table's, and a backup leaves it out. The same
/// goes for what NFS calls it until it is closed (`.nfs…`).
pub(super) fn nameless_file(directory: &File) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    match openat(directory, c".", flags, Mode::RUSR | Mode::WUSR) {
        // A kernel that does not know it opens the directory itself.
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => named_for_a_moment(directory),
        opened => Ok(opened?.into()),
    }
}

/// One that has had a name. What is left of another one, or is being made, is not opened: only its name goes.
fn named_for_a_moment(directory: &File) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC;
    let unlink = || match unlinkat(directory, NAMELESS_FILE, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome,
    };
    for _ in 0..TRIES {
        match openat(directory, NAMELESS_FILE, flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::EXIST) => unlink()?,
            opened => {
                let file = opened?;
                unlink()?;
                return Ok(file.into());
            }
        }
    }
    Err(Errno::EXIST.into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::FileExt;
    use std::path::Path;

    use super::*;

    #[test]
    fn a_file_that_had_a_name_for_a_moment_is_as_good_and_takes_nothing_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let directory = File::open(folder.path()).unwrap();
        // Of a process that was killed in that moment.
        fs::write(folder.path().join(NAMELESS_FILE), "left").unwrap();
        let files =
            [named_for_a_moment, named_for_a_moment, nameless_file].map(|make| make(&directory).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "none has a name");
        for (number, file) in (0..).zip(&files) {
            file.write_all_at(&[number], 0).unwrap();
        }
        for (number, file) in (0..).zip(&files) {
            let mut content = [9];
            file.read_exact_at(&mut content, 0).unwrap();
            assert_eq!((content[0], file.metadata().unwrap().len()), (number, 1));
        }
        let nowhere = File::open(Path::new("/proc")).unwrap();
        assert!(nameless_file(&nowhere).is_err());
    }
}
