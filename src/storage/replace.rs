//! One file outside of any repository, replaced in one step: who reads it sees the old one or the new one.

use std::ffi::OsStr;
use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::StorageError;
use super::local_writer::{Belongs, LocalWriter, named_by, temporary_name};
use super::open_folder::{ListedEntry, OpenFolder};

/// A temporary file that has not changed for so long is no work in progress.
const STALE: SignedDuration = SignedDuration::from_hours(24);

/// Who may read the new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As any new file of this process: 0666 without the bits of the umask.
    Usual,
    /// These bits, whatever the umask says.
    Exactly(u32),
}

/// Writes a temporary file beside `path`, makes it durable, and renames it. What stands there and is no regular file
/// (a device, a pipe, a symbolic link) is refused. The folder must be there.
pub fn replace_file(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), StorageError> {
    let place = path.display().to_string();
    let failed = |action| move |cause| StorageError::new(action, path.display().to_string(), cause);
    let Some(name) = path.file_name() else {
        return Err(StorageError::new("replace", place, io::Error::other("it is not a regular file")));
    };
    let above = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let folder = OpenFolder::open(above).map_err(|cause| {
        StorageError::new("create", above.join(temporary_name(name)).display().to_string(), cause)
    })?;
    if folder.look(name).is_ok_and(|entry| !entry.is_file) {
        return Err(StorageError::new("replace", place, io::Error::other("it is not a regular file")));
    }
    let mut writer = LocalWriter::begin(folder, name, 0o666, Belongs::ToWriter)?;
    writer.write_all(bytes).map_err(failed("write"))?;
    if let Mode::Exactly(bits) = mode {
        writer.file.set_permissions(Permissions::from_mode(bits)).map_err(failed("set the mode of"))?;
    }
    writer.publish()?;
    sweep(writer.folder(), name);
    Ok(())
}

/// Removes what writers of this file that were killed have left beside it, when it is a day old: no `prune` looks here.
fn sweep(folder: &OpenFolder, name: &OsStr) {
    let now = Timestamp::now();
    let is_stale = |(temporary, entry): &ListedEntry| {
        let Ok(entry) = entry else { return false };
        let is_ours = named_by(temporary).is_some_and(|named| OsStr::new(named) == name);
        let age = entry.written.map(|written| now.duration_since(written));
        is_ours && entry.is_file && age.is_some_and(|age| age > STALE)
    };
    for (temporary, _) in folder.entries().unwrap_or_default().into_iter().filter(is_stale) {
        let temporary = OsStr::new(&temporary);
        if let Err(error) = folder.remove(temporary) {
            log::debug!("cannot remove '{}': {error}", folder.path_of(temporary).display());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("page.html");
        replace_file(&path, b"one", Mode::Usual).unwrap();
        replace_file(&path, b"two", Mode::Exactly(0o604)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o604);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
        // What the killed have left goes when it is old, whatever process ids they had; what is none of ours stays.
        let left = ["1.0", "1.17446744073709551615", "4711.3"].map(|tail| format!(".page.html.{tail}.tmp"));
        let others = [".other.html.1.0.tmp", ".page.html.tmp", ".page.html.1.x.tmp"].map(str::to_owned);
        let old = std::time::SystemTime::now() - STALE.unsigned_abs() - Duration::from_secs(60);
        for name in left.iter().chain(&others) {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_times(fs::FileTimes::new().set_modified(old)).unwrap();
        }
        let young = folder.path().join(".page.html.1.7.tmp");
        fs::write(&young, "somebody is at it").unwrap();
        replace_file(&path, b"two", Mode::Exactly(0o604)).unwrap();
        let stays = |name: &String| folder.path().join(name).exists();
        assert!(young.exists() && others.iter().all(stays) && !left.iter().any(stays));
        std::os::unix::fs::symlink("page.html", folder.path().join("link")).unwrap();
        for other in [folder.path().join("link"), folder.path().to_owned(), "/dev/null".into()] {
            let error = replace_file(&other, b"three", Mode::Usual).unwrap_err().to_string();
            assert_eq!(error, format!("cannot replace '{}': it is not a regular file", other.display()));
        }
        let nowhere = folder.path().join("none/page.html");
        let error = replace_file(&nowhere, b"", Mode::Usual).unwrap_err().to_string();
        let place = folder.path().join("none");
        assert!(error.starts_with(&format!("cannot create '{}/.page.html.", place.display())), "{error}");
        assert!(error.ends_with(": No such file or directory (os error 2)"), "{error}");
    }
}
