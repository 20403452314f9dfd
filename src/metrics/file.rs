//! The file: read, changed, replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};

use super::exposition::MARK;
use super::{Exposition, MetricsError};
use crate::storage::{Mode, StorageError, replace_file};

/// node_exporter reads it as a user of its own.
const MODE: u32 = 0o644;
/// Larger than that it is none of ours.
const LARGEST: u64 = 1 << 20;
/// How long another process may be at it: it reads and writes one small file.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

/// Changes the numbers in the file, which is made where there is none; its folder must be there. `change` should know
/// already what it wants to say: others wait meanwhile.
pub fn update(path: &Path, change: impl FnOnce(&mut Exposition)) -> Result<(), MetricsError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let _lock = lock(folder, path)?;
    let mut exposition = read(path)?;
    change(&mut exposition);
    Ok(replace_file(path, exposition.render().as_bytes(), Mode::Exactly(MODE))?)
}

/// Holds off other processes of this program that would change a file in this folder. Nothing where the file system has no locks.
fn lock(folder: &Path, path: &Path) -> Result<Option<Flock<File>>, MetricsError> {
    let failed = |cause| StorageError::new("open", folder.display().to_string(), cause);
    let mut handle =
        OpenOptions::new().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(folder).map_err(failed)?;
    let begun = Instant::now();
    loop {
        match Flock::lock(handle, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(Some(lock)),
            Err((_, Errno::EWOULDBLOCK)) if begun.elapsed() >= PATIENCE => {
                return Err(MetricsError::Busy(path.display().to_string()));
            }
            Err((unlocked, Errno::EWOULDBLOCK)) => handle = unlocked,
            Err(_) => return Ok(None),
        }
        std::thread::sleep(POLL);
    }
}

/// What is in the file; nothing where it is empty or not there.
fn read(path: &Path) -> Result<Exposition, MetricsError> {
    let foreign = || MetricsError::Foreign(path.display().to_string());
    let failed = |cause: io::Error| StorageError::new("read", path.display().to_string(), cause);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Exposition::default()),
        Err(cause) => return Err(failed(cause).into()),
        Ok(data) if !data.is_file() => return Err(foreign()),
        Ok(_) => {}
    }
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| foreign())?;
    let is_ours = text.is_empty() || text.starts_with(MARK);
    if !is_ours || text.len() as u64 > LARGEST {
        return Err(foreign());
    }
    Ok(Exposition::parse(&text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_not_ours_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        for content in
            ["root:x:0:0:root:/root:/bin/sh\n", "# HELP other_metric of somebody\nother_metric 1\n"]
        {
            fs::write(&path, content).unwrap();
            let error = update(&path, |_| {}).unwrap_err();
            assert!(matches!(error, MetricsError::Foreign(_)), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        fs::write(&path, vec![b'#'; 3 << 20]).unwrap();
        assert!(matches!(update(&path, |_| {}), Err(MetricsError::Foreign(_))));
        let link = folder.path().join("link.prom");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for other in [&*link, folder.path(), Path::new("/dev/null")] {
            assert!(matches!(update(other, |_| {}), Err(MetricsError::Foreign(_))), "{}", other.display());
        }
    }

    #[test]
    fn an_empty_file_is_filled_and_everybody_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        update(&path, |_| {}).unwrap();
        assert!(fs::read_to_string(&path).unwrap().starts_with(MARK));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_at_once_lose_nothing_and_one_that_hangs_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.prom");
        std::thread::scope(|scope| {
            for number in 0..4 {
                let path = &path;
                scope.spawn(move || {
                    update(path, |all| all.set_unreadable(Some(&format!("c{number}")))).unwrap();
                });
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("repository_readable{").count(), 4, "{text}");
        let held = Flock::lock(File::open(folder.path()).unwrap(), FlockArg::LockExclusive).unwrap();
        assert!(matches!(update(&path, |_| {}), Err(MetricsError::Busy(_))));
        drop(held);
        update(&path, |_| {}).unwrap();
    }
}
