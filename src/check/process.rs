//! The server's process: as whom it runs, with which environment and arguments, and in which mount namespace.
//!
//! All of it is in `/proc/<pid>` (`man 5 proc`). A server that root has started with `--user` hides its
//! environment and its working directory from everybody but root, also from its own user.

use std::fs;
use std::path::{Path, PathBuf};

use crate::config::DefaultsArgs;
use crate::regular_file;

/// Names of a server's process.
const SERVERS: [&str; 2] = ["mariadbd", "mysqld"];
/// More bytes than a pid file has.
const LONGEST_PID: u64 = 32;
/// What a systemd unit of a database has in its name. Others are those of a shell or a supervisor.
const UNITS: [&str; 4] = ["maria", "mysql", "percona", "galera"];

/// A server that runs on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServerProcess {
    pub(super) pid: i32,
    /// The user that it acts as.
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    /// Its arguments without its name.
    pub(super) args: Vec<String>,
    /// Its environment as it was started; the text says why it cannot be read.
    pub(super) environment: Result<Vec<(String, String)>, String>,
    /// The systemd unit.
    pub(super) unit: Option<String>,
    /// Whether it has a mount namespace of its own; not known without the right to look.
    pub(super) own_mounts: Option<bool>,
    /// Its root directory, as it is called here, where that is not the root of this process.
    pub(super) root: Option<PathBuf>,
    /// `/proc/<pid>/mountinfo`, maybe empty.
    pub(super) mounts: String,
}

impl ServerProcess {
    /// The server with this pid file, else the one that works in this data directory, else the only one there is.
    pub(super) fn find(pid_file: Option<&Path>, datadir: &Path) -> Option<Self> {
        if let Some(pid) = pid_file.and_then(written_pid).filter(|pid| is_server(*pid)) {
            return Self::read(pid);
        }
        let pids = servers();
        let real = fs::canonicalize(datadir).unwrap_or_else(|_| datadir.to_path_buf());
        let works_there = |pid: &&i32| {
            fs::read_link(proc_file(**pid, "cwd")).is_ok_and(|cwd| cwd == real) || works_in(**pid, datadir)
        };
        let hides = |pid: &&i32| fs::read_link(proc_file(**pid, "cwd")).is_err();
        let pid = pids.iter().find(works_there).or_else(|| match pids.as_slice() {
            [only] => Some(only).filter(hides),
            _ => None,
        })?;
        Self::read(*pid)
    }

    /// Every server that runs here, with its first flag where that names its option file.
    pub(super) fn all() -> Vec<(i32, Option<PathBuf>)> {
        let file = |pid| Self::read(pid).and_then(|server| server.defaults().defaults_file);
        servers().into_iter().map(|pid| (pid, file(pid))).collect()
    }

    fn read(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(proc_file(pid, "status")).ok()?;
        let (uid, gid, groups) = identity(&status)?;
        let environment = fs::read(proc_file(pid, "environ"))
            .map(|bytes| environment(&bytes))
            .map_err(|error| error.to_string());
        let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
        let own_mounts = namespace(&pid.to_string()).zip(namespace("self")).map(|(its, ours)| its != ours);
        let args = fs::read(proc_file(pid, "cmdline")).ok()?;
        let text = |name| fs::read_to_string(proc_file(pid, name)).unwrap_or_default();
        Some(Self {
            pid,
            uid,
            gid,
            groups,
            args: words(&args).skip(1).collect(),
            environment,
            unit: unit_of(&text("cgroup")),
            own_mounts,
            root: own_root(pid),
            mounts: text("mountinfo"),
        })
    }

    /// Its own `--defaults-…` flags, which it passes to the donor program.
    pub(super) fn defaults(&self) -> DefaultsArgs {
        defaults(&self.args)
    }

    /// A variable of its environment.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let all = self.environment.as_deref().unwrap_or_default();
        all.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The unit for a command line, or words for it.
    pub(super) fn unit_name(&self) -> &str {
        self.unit.as_deref().unwrap_or("mariadb")
    }
}

/// What a pid file says. It lies in a directory of the server's user.
fn written_pid(file: &Path) -> Option<i32> {
    let text = regular_file::read(file, LONGEST_PID).ok()?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

fn proc_file(pid: i32, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/{name}"))
}

/// Whether it works in this directory of its own root. The links of `/proc` tell it; nobody's file system is touched.
fn works_in(pid: i32, datadir: &Path) -> bool {
    let below = datadir.strip_prefix("/").unwrap_or(datadir);
    let place = own_root(pid).map(|root| root.join(below));
    place.is_some() && fs::read_link(proc_file(pid, "cwd")).ok() == place
}

/// A root directory that is not that of its mount namespace; none where it may not be seen.
fn own_root(pid: i32) -> Option<PathBuf> {
    fs::read_link(proc_file(pid, "root")).ok().filter(|root| root != Path::new("/"))
}

/// The processes of servers, the oldest number first.
fn servers() -> Vec<i32> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<i32> = numbers
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_server(*pid))
        .collect();
    pids.sort_unstable();
    pids
}

fn is_server(pid: i32) -> bool {
    let text = |name| fs::read_to_string(proc_file(pid, name)).unwrap_or_default();
    let runs = fs::read_link(proc_file(pid, "exe")).unwrap_or_default();
    looks_like_server(&text("comm"), &text("status"), &runs)
}

/// Who may start programs may give them any name here: a set-uid program by a link that has a server's name. What becomes root
/// by that, wholly or in part, is no server; one that root runs as root has the program of a server.
fn looks_like_server(comm: &str, status: &str, runs: &Path) -> bool {
    let named = |name: &str| SERVERS.contains(&name.trim().trim_end_matches(" (deleted)"));
    let is_program = || runs.file_name().and_then(|name| name.to_str()).is_some_and(named);
    named(comm) && identity(status).is_some_and(|(uid, ..)| uid != 0 || is_program())
}

/// User, effective group, supplementary groups. None where the real user, the effective one, the saved one and that of the file
/// system are not the same: a server has given up the others (`my_setuid`), and such a process is on its way from one user to
/// another.
fn identity(status: &str) -> Option<(u32, u32, Vec<u32>)> {
    let numbers = |name: &str| -> Option<Vec<u32>> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().map(|number| number.parse().ok()).collect()
    };
    let uids = numbers("Uid:")?;
    let uid = *uids.first()?;
    let is_one = uids.iter().all(|other| *other == uid);
    is_one.then_some((uid, *numbers("Gid:")?.get(1)?, numbers("Groups:").unwrap_or_default()))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(bytes).into_owned();
    let parts: Vec<String> = text.trim_end_matches('\0').split('\0').map(str::to_owned).collect();
    parts.into_iter()
}

fn environment(bytes: &[u8]) -> Vec<(String, String)> {
    let pair = |word: String| word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    words(bytes).filter_map(pair).collect()
}

/// The database's unit in `/proc/<pid>/cgroup`.
fn unit_of(cgroup: &str) -> Option<String> {
    let parts =
        cgroup.lines().filter(|line| line.contains("/system.slice/")).flat_map(|line| line.rsplit('/'));
    let mut units = parts.filter_map(|part| part.strip_suffix(".service"));
    units.find(|unit| UNITS.iter().any(|name| unit.to_ascii_lowercase().contains(name))).map(str::to_owned)
}

/// The flags that come before all others (`mysys/my_default.c`).
fn defaults(args: &[String]) -> DefaultsArgs {
    let mut found = DefaultsArgs::default();
    for arg in args {
        match arg.split_once('=') {
            Some(("--defaults-file", file)) => found.defaults_file = Some(file.into()),
            Some(("--defaults-extra-file", file)) => found.defaults_extra_file = Some(file.into()),
            Some(("--defaults-group-suffix", suffix)) => found.group_suffix = Some(suffix.to_owned()),
            // It is not passed on: the donor program reads the global files all the same.
            _ if arg == "--no-defaults" || arg == "--print-defaults" => {}
            _ => break,
        }
    }
    found
}

/// The mount that a path is on, and whether it is read-only, by the text of `mountinfo`.
pub(super) fn mount_of(mountinfo: &str, path: &Path) -> Option<(PathBuf, bool)> {
    let mounts = mountinfo.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let (point, options) = (fields.get(4)?, fields.get(5)?);
        Some((PathBuf::from(unescape(point)), options.split(',').any(|option| option == "ro")))
    });
    // Of several mounts on one point the last one is seen; `max_by_key` gives the last of equals.
    mounts.filter(|(point, _)| path.starts_with(point)).max_by_key(|(point, _)| point.components().count())
}

/// Blanks, tabs, newlines and backslashes are octal in `mountinfo`.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_a_file_with_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("pid"), "4711\n").unwrap();
        fs::write(at("long"), format!("{}1\n", " ".repeat(100))).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("zeros")).unwrap();
        std::os::unix::fs::symlink("pid", at("link")).unwrap();
        assert_eq!((written_pid(&at("pid")), written_pid(&at("link"))), (Some(4711), Some(4711)));
        for name in ["long", "pipe", "zeros", ".", "none"] {
            assert_eq!(written_pid(&at(name)), None, "{name}");
        }
    }

    #[test]
    fn who_a_process_is() {
        let of = |uids: &str| {
            let uids = uids.replace(' ', "\t");
            format!("Name:\tmariadbd\nUid:\t{uids}\nGid:\t110\t110\t110\t110\nGroups:\t110 4 \n")
        };
        assert_eq!(identity(&of("103 103 103 103")), Some((103, 110, vec![110, 4])));
        // A set-uid program, and what others make of themselves.
        for uids in ["103 0 0 0", "0 103 103 103", "103 103 0 103", "103 103 103 0"] {
            assert_eq!(identity(&of(uids)), None, "{uids}");
        }
        let is_server = |comm, uids, runs| looks_like_server(comm, &of(uids), Path::new(runs));
        assert!(is_server("mariadbd\n", "103 103 103 103", "/usr/sbin/mariadbd"));
        assert!(is_server("mysqld\n", "103 103 103 103", "/opt/wrapper"));
        assert!(is_server("mariadbd\n", "0 0 0 0", "/usr/sbin/mariadbd (deleted)"));
        assert!(!is_server("mariadbd\n", "103 0 0 0", "/usr/sbin/mariadbd"));
        assert!(!is_server("mariadbd\n", "0 0 0 0", "/usr/bin/sudo"));
        assert!(!is_server("bash\n", "103 103 103 103", "/usr/sbin/mariadbd"));
        assert_eq!(identity("Name:\tx\n"), None);
    }

    #[test]
    fn what_a_process_was_started_with() {
        assert_eq!(
            environment(b"PATH=/a:/b\0EMPTY=\0odd\0X=a=b\0"),
            [("PATH", "/a:/b"), ("EMPTY", ""), ("X", "a=b")].map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let found = defaults(&args("--defaults-file=/x/my.cnf --defaults-group-suffix=1 --datadir=/d"));
        assert_eq!(found.defaults_file, Some("/x/my.cnf".into()));
        assert_eq!(found.group_suffix.as_deref(), Some("1"));
        assert_eq!(defaults(&args("--datadir=/d --defaults-file=/x")), DefaultsArgs::default());
    }

    #[test]
    fn only_a_unit_of_a_database_is_named() {
        let of = |path: &str| unit_of(&format!("0::{path}\n"));
        assert_eq!(of("/system.slice/mariadb.service").as_deref(), Some("mariadb"));
        assert_eq!(of("/system.slice/system-mariadb.slice/mariadb@a.service").as_deref(), Some("mariadb@a"));
        assert_eq!(of("/system.slice/ssh.service"), None);
        assert_eq!(of("/user.slice/user-0.slice/mysql.scope"), None);
        assert_eq!(of("/"), None);
    }

    #[test]
    fn the_innermost_and_last_mount_counts() {
        let info = "1 0 8:1 / / rw,relatime shared:1 - ext4 /dev/a rw\n\
                    2 1 8:2 / /srv rw - ext4 /dev/b rw\n\
                    3 1 8:1 /usr /usr ro,relatime - ext4 /dev/a rw\n\
                    4 2 8:2 /x /srv/a\\040b ro - ext4 /dev/b rw\n\
                    5 1 0:9 / /srv ro - tmpfs none rw\n";
        let of = |path: &str| mount_of(info, Path::new(path));
        assert_eq!(of("/srvx"), Some(("/".into(), false)));
        assert_eq!(of("/srv/backup"), Some(("/srv".into(), true)));
        assert_eq!(of("/usr/local"), Some(("/usr".into(), true)));
        assert_eq!(of("/srv/a b/c"), Some(("/srv/a b".into(), true)));
        assert_eq!(of("relative"), None);
    }

    #[test]
    fn this_process_is_no_server() {
        let me = i32::try_from(std::process::id()).unwrap();
        assert!(!is_server(me));
        let read = ServerProcess::read(me).unwrap();
        assert_eq!((read.uid, read.own_mounts), (nix::unistd::geteuid().as_raw(), Some(false)));
        assert_eq!(read.root, None);
    }
}
