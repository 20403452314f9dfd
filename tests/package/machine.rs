//! A root in which systemd runs as process 1: units, their sandboxes, timers and sockets are the real ones.
//!
//! It has namespaces of its own for processes, mounts and control groups beside those of its [`Root`]; when process 1 is
//! killed the kernel ends everything in them.

use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::package::ok;
use crate::package::root::Root;
use crate::support::wait_until;

const PATIENCE: Duration = Duration::from_secs(120);
/// Makes the root that of its namespace, so that the sandboxes of units can be mounted, and becomes systemd.
const BOOT: &str = r#"
cd "$1"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/tty c 5 0
mkdir dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
hostname machine
mkdir -p outside
pivot_root . outside
umount -l /outside
# As systemd itself has it where it is not told that this is a container.
mount --make-rshared /
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
"#;

/// A machine that runs. Dropping it switches it off.
pub(crate) struct Machine {
    boot: Child,
    init: Pid,
    /// Goes when nothing runs in it any more.
    _root: Root,
}

impl Machine {
    /// Starts systemd, and waits until everything has been started that is enabled.
    #[track_caller]
    pub(crate) fn boot(root: Root) -> Self {
        let boot = Command::new("unshare")
            .args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"])
            .args(["--propagation", "private", "bash", "-ec", BOOT, "boot"])
            .arg(root.place())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("cannot run unshare");
        let child = || {
            let listed = Command::new("pgrep").args(["-P", &boot.id().to_string()]).output().ok()?;
            String::from_utf8_lossy(&listed.stdout).trim().parse().ok()
        };
        assert!(wait_until(PATIENCE, || child().is_some()), "no process 1");
        let init = Pid::from_raw(child().expect("it was there"));
        let machine = Self { boot, init, _root: root };
        let state = || machine.attempt("systemctl is-system-running");
        let is_up = || ["running", "degraded"].contains(&String::from_utf8_lossy(&state().stdout).trim());
        assert!(wait_until(PATIENCE, is_up), "systemd: {:?}", state());
        machine
    }

    fn command(&self, lines: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args(["--target", &self.init.to_string()])
            .args(["--mount", "--pid", "--uts", "--ipc", "--cgroup", "env", "-i"])
            .args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"])
            .args(["DEBIAN_FRONTEND=noninteractive", "sh", "-ec", lines])
            .stdin(Stdio::null());
        command
    }

    /// Lines for its shell, as root, and how they ended.
    pub(crate) fn attempt(&self, lines: &str) -> Output {
        self.command(lines).output().expect("cannot run nsenter")
    }

    /// Lines for its shell, which have to succeed; what they print.
    #[track_caller]
    pub(crate) fn sh(&self, lines: &str) -> String {
        ok(&self.attempt(lines)).trim_end().to_owned()
    }

    /// A property of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> String {
        self.sh(&format!("systemctl show --value --property {name} {unit}"))
    }

    /// What a unit has said.
    pub(crate) fn journal(&self, unit: &str) -> String {
        self.sh(&format!("journalctl --no-pager --output cat --unit {unit}"))
    }

    /// Lines for a unit beside those of its package.
    #[track_caller]
    pub(crate) fn drop_in(&self, unit: &str, lines: &str) {
        let folder = format!("/etc/systemd/system/{unit}.d");
        self.sh(&format!("mkdir -p {folder}; printf '{lines}' >{folder}/test.conf; systemctl daemon-reload"));
    }

    /// Starts a unit, which has to succeed; what it has said since.
    #[track_caller]
    pub(crate) fn start(&self, unit: &str) -> String {
        let before = self.journal(unit).len();
        let started = self.attempt(&format!("systemctl start {unit}"));
        let said = self.journal(unit).get(before..).unwrap_or_default().to_owned();
        assert!(started.status.success(), "{unit}: {said}");
        said
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = kill(self.init, Signal::SIGKILL);
        let _ = self.boot.wait();
    }
}
