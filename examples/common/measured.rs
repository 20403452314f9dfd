//! A command, or a whole pipeline, measured by the kernel's own accounts.
//!
//! `getrusage(RUSAGE_CHILDREN)` sums over every child that a process ever had, and its peak memory is the largest of all
//! of them. So each command gets a parent of its own: this very program, started anew with [`FLAG`], which starts the
//! command, waits for it, and tells what it took.
//!
//! Commands run under the account of the servers, like the donor program: what the account may not read is not measured,
//! and the guard of the scratch folder ends what is left of them, whatever ends this program.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::support::Scratch;
use crate::support::scratch::ServerUser;

/// Makes this program the parent of a measured command.
const FLAG: &str = "--measured";

/// What a command took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// From its start to its end.
    pub(crate) wall: Duration,
    /// User and system time of all its processes.
    pub(crate) cpu: Duration,
    /// Peak memory of its largest process, in bytes.
    pub(crate) peak: u64,
    /// Exit status; none after a signal.
    pub(crate) status: Option<i32>,
}

/// A copy of this program that the servers' account can run.
#[derive(Debug)]
pub(crate) struct Helper {
    program: PathBuf,
    user: ServerUser,
}

impl Helper {
    /// Puts the copy into the scratch folder.
    pub(crate) fn install(scratch: &Scratch) -> Result<Self> {
        let program = scratch.make_dir("bin").join("measured");
        let own = std::env::current_exe().context("this program does not know its own path")?;
        fs::copy(own, &program).context("cannot copy this program")?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(Self { program, user: scratch.user().clone() })
    }

    /// Runs a script of bash that must succeed, with `variables` for its paths.
    pub(crate) fn script(&self, script: &str, variables: &[(&str, &Path)]) -> Result<Measured> {
        let mut command = self.command();
        command.args(["bash", "-c", &format!("set -euo pipefail; {script}")]);
        command.envs(variables.iter().copied());
        let measured = run(&mut command).with_context(|| format!("in: {script}"))?;
        Ok(measured.0)
    }

    /// Runs a program, whatever its exit status; also what it said.
    pub(crate) fn program(&self, program: &Path, words: &[&str]) -> Result<(Measured, String)> {
        run(self.command().arg(program).args(words))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg(FLAG)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
            .env("LC_ALL", "C.UTF-8")
            .current_dir("/")
            .stdin(Stdio::null());
        self.user.run_as(&mut command);
        command
    }
}

fn run(command: &mut Command) -> Result<(Measured, String)> {
    let output = command.output().context("cannot start the measuring parent")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "the command failed:\n{said}");
    let measured = serde_json::from_slice(&output.stdout).context("no measurement came back")?;
    Ok((measured, said))
}

/// Plays the parent when this program was started as one: to be called first in `main`.
pub(crate) fn as_parent() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    words.next().filter(|first| first == FLAG)?;
    let command: Vec<_> = words.collect();
    let is_script = command.first().is_some_and(|program| program == "bash");
    match measure(&command, is_script) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(error) => {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{error:#}\n").as_bytes());
            Some(ExitCode::FAILURE)
        }
    }
}

/// The command's stdout goes where its stderr goes, as ours has the figures.
fn measure(command: &[std::ffi::OsString], must_succeed: bool) -> Result<()> {
    let [program, arguments @ ..] = command else { bail!("no command to measure") };
    let begun = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot start '{}'", program.display()))?;
    let wall = begun.elapsed();
    ensure!(status.success() || !must_succeed, "it ended with {status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let time = |value: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(value.tv_sec() * 1_000_000 + value.tv_usec()).unwrap_or_default())
    };
    let measured = Measured {
        wall,
        cpu: time(usage.user_time()) + time(usage.system_time()),
        // ru_maxrss counts KiB on Linux.
        peak: u64::try_from(usage.max_rss()).unwrap_or_default() << 10,
        status: status.code(),
    };
    serde_json::to_writer(std::io::stdout(), &measured)?;
    Ok(())
}
