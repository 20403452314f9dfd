//! On what the figures were measured.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

/// The machine in general terms.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Machine {
    /// Cores that this process may use.
    pub(crate) cores: usize,
    /// Memory, in bytes.
    pub(crate) memory: u64,
    /// Kernel release.
    pub(crate) kernel: String,
    /// Type of the file system that data, archives and restored files are on.
    pub(crate) file_system: String,
    /// Load average of the last minute at the start: what else was running.
    pub(crate) load: f64,
}

impl Machine {
    /// Looks at the machine and the file system of `dir`.
    pub(crate) fn look(dir: &Path) -> Result<Self> {
        let meminfo = fs::read_to_string("/proc/meminfo").context("cannot read /proc/meminfo")?;
        let kib = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:")?.split_whitespace().next());
        let load = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
        Ok(Self {
            cores: cores(),
            memory: kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() << 10,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            file_system: last_line(&output(Command::new("df").arg("--output=fstype").arg(dir))?),
            load: load.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default(),
        })
    }

    /// One line for people, and a warning when somebody else is at work.
    pub(crate) fn tell(&self) {
        super::say(&format!(
            "{} cores, {} of memory, Linux {}, {}; load {:.2}",
            self.cores,
            super::gib(self.memory),
            self.kernel,
            self.file_system,
            self.load
        ));
        if self.load > 0.5 {
            super::say("SOMETHING ELSE IS RUNNING: times below are too long, for us and for the others");
        }
    }
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Fails unless the file system of `dir` has room for `bytes`.
pub(crate) fn ensure_room(dir: &Path, bytes: u64) -> Result<()> {
    let free = output(Command::new("df").args(["--output=avail", "-B1"]).arg(dir))?;
    let free: u64 = last_line(&free).parse().context("df tells no number")?;
    let (have, need) = (super::gib(free), super::gib(bytes));
    ensure!(free >= bytes, "'{}' has {have} free, {need} are needed: ask for a smaller size", dir.display());
    Ok(())
}

/// Writes what is dirty in the file system of `dir`, so that no measurement pays for what was before it.
pub(crate) fn settle(dir: &Path) -> Result<()> {
    output(Command::new("sync").arg("-f").arg(dir)).map(|_| ())
}

/// Bytes of all files below `dir`.
pub(crate) fn bytes_below(dir: &Path) -> Result<u64> {
    let sizes = output(Command::new("find").arg(dir).args(["-type", "f", "-printf", "%s\\n"]))?;
    Ok(sizes.lines().filter_map(|line| line.parse::<u64>().ok()).sum())
}

/// df has a heading above what it tells.
fn last_line(text: &str) -> String {
    text.lines().last().unwrap_or_default().trim().to_owned()
}

/// What a command prints.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {errors}");
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
