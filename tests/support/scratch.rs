//! The folder that a cluster lives in, and the promise that nothing in it outlives the test.
//!
//! A small shell, the guard, waits for the end of its standard input, which the test process holds open. The
//! kernel closes it when the test process ends, also after a panic in another thread, Ctrl-C or SIGKILL. Then
//! the guard kills every process of the server's user that has the folder in its command line (mysqld, the SST
//! scripts, rsync's daemon, garbd) and removes the folder. Dropping a [`Scratch`] takes the same way, so that
//! it is exercised by every test.
//!
//! The folder may be the root of an XFS in a file ([`Scratch::on_xfs`]), for what needs a file system that clones; the guard
//! takes that away, too.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use super::cli::disk;

/// Kills and removes; `DIR`, `SERVER_USER` and `KEEP` come in the environment, so that the guard's own command
/// line does not have the folder in it.
const GUARD: &str = r#"
cat >/dev/null
victims() {
    for p in $(find /proc -maxdepth 1 -name '[0-9]*' -user "$SERVER_USER" 2>/dev/null); do
        [ "$p" = "/proc/$$" ] || echo "$p/cmdline"
    done | { xargs -r grep -lsF -f "$DIR/.pattern" 2>/dev/null || :; }
}
for round in 1 2 3 4 5 6 7 8 9 10; do
    found=$(victims)
    [ -n "$found" ] || break
    for f in $found; do p=${f#/proc/}; kill -9 "${p%/cmdline}" 2>/dev/null; done
    sleep 0.1
done
[ -z "$KEEP" ] || exit 0
if [ -n "$IMAGE" ]; then
    umount "$DIR" 2>/dev/null || umount -l "$DIR"
    rm -f "$IMAGE"
fi
rm -rf "$DIR"
"#;

/// Makes a file system in a file, and mounts it.
type MakeDisk = fn(&Path, &Path, u64);

/// Of the file system; the image is a file of holes.
const DISK_BYTES: u64 = 32 << 30;

/// The account that servers run as: `mysql` when the tests run as root, else the user of the tests.
#[derive(Debug, Clone)]
pub struct ServerUser {
    /// Login name, as in `/etc/passwd`.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
}

impl ServerUser {
    /// Reads `/etc/passwd` itself: the test binaries are linked statically, where glibc's own look-up is unsafe.
    pub fn current() -> Self {
        let euid = nix::unistd::geteuid().as_raw();
        let passwd = fs::read_to_string("/etc/passwd").expect("cannot read /etc/passwd");
        passwd
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find_map(|f| {
                let (name, uid, gid) = (f.first()?, f.get(2)?.parse().ok()?, f.get(3)?.parse().ok()?);
                let wanted = if euid == 0 { *name == "mysql" } else { uid == euid };
                wanted.then(|| Self { name: (*name).to_owned(), uid, gid })
            })
            .expect("no user 'mysql' in /etc/passwd: run scripts/install-deps")
    }

    /// The account that has the same number everywhere.
    pub fn root() -> Self {
        Self { name: "root".into(), uid: 0, gid: 0 }
    }

    /// Gives one file or folder to the account; does nothing where the tests are not root.
    pub fn own(&self, path: &Path) {
        chown(path, Some(self.uid), Some(self.gid))
            .unwrap_or_else(|e| panic!("cannot chown '{}' to {}: {e}", path.display(), self.name));
    }

    /// Gives a whole tree to the account (an administrator's `chown -R` after a restore).
    pub fn own_tree(&self, path: &Path) {
        let owner = format!("{}:{}", self.uid, self.gid);
        let status = Command::new("chown").args(["-R", &owner]).arg(path).status();
        assert!(status.is_ok_and(|s| s.success()), "chown -R {owner} '{}' failed", path.display());
    }

    /// Makes `command` run as this account; without root it already does.
    pub fn run_as(&self, command: &mut Command) {
        if nix::unistd::geteuid().is_root() {
            command.uid(self.uid).gid(self.gid);
        }
    }
}

/// A folder under `/tmp` (unix socket paths are limited to 107 bytes) that the server's account owns.
#[derive(Debug)]
pub struct Scratch {
    dir: PathBuf,
    user: ServerUser,
    guard: Child,
    hold: Option<ChildStdin>,
}

impl Scratch {
    /// Makes the folder and starts its guard; on an XFS where all donors are to clone ([`super::method`]).
    pub fn new() -> Self {
        let file_system = super::method().filter(|method| method == "snapshot");
        Self::make(ServerUser::current(), file_system.map(|_| disk::make_xfs as MakeDisk))
    }

    /// The same on an XFS of its own; needs root, loop devices and `mkfs.xfs`.
    pub fn on_xfs() -> Self {
        Self::make(ServerUser::current(), Some(disk::make_xfs))
    }

    /// The same on a btrfs of its own; needs `mkfs.btrfs`.
    pub fn on_btrfs() -> Self {
        Self::make(ServerUser::current(), Some(disk::make_btrfs))
    }

    /// The same for servers that run as root.
    pub fn of_root() -> Self {
        Self::make(ServerUser::root(), None)
    }

    fn make(user: ServerUser, file_system: Option<MakeDisk>) -> Self {
        let dir = tempfile::Builder::new().prefix("wsb-").tempdir_in("/tmp");
        let dir = dir.expect("cannot make a folder in /tmp").keep();
        let image = file_system.map(|make| {
            let image = dir.with_extension("img");
            make(&image, &dir, DISK_BYTES);
            image
        });
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("cannot chmod");
        user.own(&dir);
        // With a slash, so that one folder's name is never the beginning of another's.
        fs::write(dir.join(".pattern"), format!("{}/", dir.display())).expect("cannot write .pattern");
        let mut guard = Command::new("sh")
            .args(["-c", GUARD])
            .env("DIR", &dir)
            .env("SERVER_USER", &user.name)
            .env("IMAGE", image.unwrap_or_default())
            .env("KEEP", std::env::var("KEEP").unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to the foreground process group; the guard has to live a little longer.
            .process_group(0)
            .spawn()
            .expect("cannot start the guard");
        let hold = guard.stdin.take();
        Self { dir, user, guard, hold }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The account that the servers run as.
    pub fn user(&self) -> &ServerUser {
        &self.user
    }

    /// Makes (if need be) a folder in the scratch folder that the server's account owns.
    pub fn make_dir(&self, relative: &str) -> PathBuf {
        let path = self.dir.join(relative);
        fs::create_dir_all(&path).unwrap_or_else(|e| panic!("cannot make '{}': {e}", path.display()));
        self.user.own(&path);
        path
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

/// Lines of each server's log that a failed test prints.
const LOG_END: usize = 25;

impl Scratch {
    /// Copies the logs of a failed test's servers to `$TEST_LOGS/<test>` and prints their ends: the folder is about to go.
    fn keep_logs(&self) {
        let Some(kept) = std::env::var_os("TEST_LOGS").filter(|folder| !folder.is_empty()) else { return };
        let test = std::thread::current().name().unwrap_or("test").replace("::", ".");
        let kept = Path::new(&kept).join(test).join(self.dir.file_name().unwrap_or_default());
        let found = Command::new("find")
            .arg(&self.dir)
            .args(["-name", "*.log", "-not", "-path", "*/data/*", "-type", "f"])
            .output();
        let found =
            found.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        for log in found.lines().map(Path::new) {
            let copy = kept.join(log.strip_prefix(&self.dir).unwrap_or(log));
            let copied = copy.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(log, &copy));
            if let Err(error) = copied {
                eprintln!("cannot keep '{}' as '{}': {error}", log.display(), copy.display());
            }
            let text =
                fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("--- the end of '{}'", copy.display());
            lines[lines.len().saturating_sub(LOG_END)..].iter().for_each(|line| eprintln!("{line}"));
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep_logs();
        }
        drop(self.hold.take());
        let ended = self.guard.wait();
        if std::env::var_os("KEEP").is_some_and(|v| !v.is_empty()) {
            eprintln!("kept: {} ({ended:?})", self.dir.display());
        }
    }
}
