//! A root of its own for one test: a small Debian with MariaDB, as a fresh machine has it.
//!
//! It is an overlay over one folder that `scripts/debian-root` makes once, so it is there at once, and nothing of it
//! stays. Mounts and network are in namespaces of the test's thread and of what it starts: the kernel takes them away,
//! however the test ends, and a server in it has all its usual ports for itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sched::{CloneFlags, unshare};

use super::{ok, run};

/// What systemd sets for services.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A root. Whoever is started in it must have ended before it is dropped.
pub(crate) struct Root {
    /// Where it is mounted; never removed with what is in it.
    place: PathBuf,
    /// What is written to it.
    _changes: tempfile::TempDir,
}

impl Root {
    pub(crate) fn new() -> Self {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/debian-root");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/debian-root");
        ok(&Command::new(script).arg(&base).output().expect("cannot run scripts/debian-root"));
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET)
            .expect("cannot make namespaces: needs root");
        run("mount", &["--make-rprivate", "/"]);
        run("ip", &["link", "set", "lo", "up"]);

        let changes = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder for changes");
        let folder = |name: &str| {
            let path = changes.path().join(name);
            fs::create_dir(&path).expect("a folder for the overlay");
            path.display().to_string()
        };
        let layers =
            format!("lowerdir={},upperdir={},workdir={}", base.display(), folder("upper"), folder("work"));
        let place = PathBuf::from(folder("root"));
        let at = |name: &str| place.join(name).display().to_string();
        run("mount", &["-t", "overlay", "overlay", "-o", &layers, &at("")]);
        run("mount", &["-t", "proc", "proc", &at("proc")]);
        run("mount", &["-t", "tmpfs", "-o", "mode=1777", "tmpfs", &at("tmp")]);
        run("mount", &["-t", "tmpfs", "-o", "mode=755", "tmpfs", &at("dev")]);
        for (name, minor) in [("null", "3"), ("zero", "5"), ("random", "8"), ("urandom", "9")] {
            run("mknod", &["-m", "666", &at(&format!("dev/{name}")), "c", "1", minor]);
        }
        run("mkdir", &["-m", "1777", &at("dev/shm")]);
        Self { place, _changes: changes }
    }

    /// A path in it, seen from here.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.place.join(inside.trim_start_matches('/'))
    }

    /// Where it is mounted.
    pub(crate) fn place(&self) -> &Path {
        &self.place
    }

    /// Puts a file into its /tmp; where it lies inside.
    pub(crate) fn bring(&self, file: &Path) -> String {
        let inside = format!("/tmp/{}", file.file_name().expect("a file").to_string_lossy());
        fs::copy(file, self.path(&inside)).expect("cannot copy a file into the root");
        inside
    }

    /// A command in it, with the environment of a service.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg(&self.place)
            .arg(program)
            .env_clear()
            .env("PATH", PATH)
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    /// Lines for its shell, and how they ended.
    pub(crate) fn attempt(&self, lines: &str) -> Output {
        self.command("sh").args(["-c", lines]).output().expect("cannot run chroot")
    }

    /// Lines for its shell, which have to succeed; what they print.
    #[track_caller]
    pub(crate) fn sh(&self, lines: &str) -> String {
        let output = self.command("sh").args(["-e", "-c", lines]).output().expect("cannot run chroot");
        ok(&output)
    }

    /// `mode owner:group kind` of a path, as `stat` prints it; empty where there is nothing.
    pub(crate) fn stat(&self, path: &str) -> String {
        let output =
            self.command("stat").args(["-c", "%a %U:%G %F", path]).output().expect("cannot run stat");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // What is still in use goes with the namespace; only then its folder may be removed.
        let _ = Command::new("umount").arg("--recursive").arg(&self.place).status();
        let is_mounted = fs::read_dir(&self.place).is_ok_and(|mut entries| entries.next().is_some());
        if is_mounted {
            let _ = Command::new("umount").args(["--recursive", "--lazy"]).arg(&self.place).status();
        }
    }
}
