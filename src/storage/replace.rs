//! One file outside of any repository, replaced in one step: who reads it sees the old one or the new one.

use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::local_writer::{LocalWriter, named_by};
use super::{ObjectWriter, StorageError};

/// A temporary file that has not changed for so long is nobody's work in progress.
const STALE: Duration = Duration::from_secs(24 * 3600);

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
    let name = path.display().to_string();
    match fs::symlink_metadata(path) {
        Ok(data) if !data.is_file() => {
            let cause = io::Error::other("it is not a regular file");
            return Err(StorageError::new("replace", name, cause));
        }
        _ => {}
    }
    let mut writer = LocalWriter::begin(path, 0o666)?;
    writer.write_all(bytes).map_err(|cause| StorageError::new("write", &name, cause))?;
    if let Mode::Exactly(bits) = mode {
        let outcome = writer.file.set_permissions(Permissions::from_mode(bits));
        outcome.map_err(|cause| StorageError::new("set the mode of", &name, cause))?;
    }
    Box::new(writer).commit()?;
    sweep(path);
    Ok(())
}

/// Removes what writers of this file that were killed have left beside it, when it is a day old: no `prune` looks here.
fn sweep(path: &Path) {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return;
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let is_stale = |entry: &fs::DirEntry| {
        let is_ours = entry.file_name().to_str().and_then(named_by) == Some(name);
        let data = entry.metadata().ok().filter(|data| is_ours && data.is_file());
        let age = data.and_then(|data| data.modified().ok()?.elapsed().ok());
        age.is_some_and(|age| age > STALE)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten().filter(is_stale) {
        if let Err(error) = fs::remove_file(entry.path()) {
            log::debug!("cannot remove '{}': {error}", entry.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
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
        let old = std::time::SystemTime::now() - STALE - Duration::from_secs(60);
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
