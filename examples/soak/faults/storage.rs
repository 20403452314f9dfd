//! The N-th operation on files fails, N stepping over a whole backup.
//!
//! In the place of the donor program stands a script that runs it under `strace`, which lets the N-th call of one kind fail
//! in each thread (strace counts so). `write` is not only one to the repository: also mysqld may not hear a line.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::stage::Stage;
use crate::common::{heading, say};
use crate::promises::Promises;
use crate::support::copy_program;

pub(super) const TIDY: &str = "a failed backup leaves no temporary file";

/// What fails.
const CALLS: [&str; 5] = ["write", "fsync", "renameat", "mkdirat", "unlinkat"];
/// How it fails, in turns.
const ERRORS: [&str; 2] = ["ENOSPC", "EIO"];

/// The donor program's place while it is another's.
struct Replaced {
    place: PathBuf,
    real: PathBuf,
}

impl Replaced {
    fn new(stage: &Stage) -> Self {
        let real = stage.cluster.make_dir("real").join("wsrep_sst_backup");
        let place = stage.cluster.program();
        copy_program(&place, &real);
        Self { place, real }
    }

    /// Has the program run under strace with these arguments.
    fn under(&self, arguments: &str) -> Result<()> {
        let script = self.real.with_file_name("script");
        fs::write(
            &script,
            format!("#!/bin/sh\nexec strace -qq -f {arguments} {} \"$@\"\n", self.real.display()),
        )?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        self.put(&script)
    }

    fn put(&self, program: &Path) -> Result<()> {
        fs::remove_file(&self.place)?;
        copy_program(program, &self.place);
        Ok(fs::set_permissions(&self.place, fs::Permissions::from_mode(0o755))?)
    }
}

/// Runs the rounds.
pub(super) fn fail_each(stage: &mut Stage, rounds: u32, promises: &mut Promises) -> Result<()> {
    let replaced = Replaced::new(stage);
    let moments = moments(stage, &replaced, promises)?;
    heading(&format!("{rounds} times an operation on files fails, of {} that a backup has", moments.len()));
    let mut with_a_backup = 0;
    for round in 0..usize::try_from(rounds)? {
        // Evenly over all of them; a second time with the other error.
        let turn = round * moments.len().max(usize::try_from(rounds)?) / usize::try_from(rounds)?;
        let (call, when) = &moments[turn % moments.len()];
        let error = ERRORS[(round + turn / moments.len()) % ERRORS.len()];
        replaced
            .under(&format!("-o /dev/null -e trace={call} -e inject={call}:error={error}:when={when}"))?;
        let before = stage.hidden_files();
        let told = stage.ask().finish();
        let after = stage.hidden_files();
        replaced.put(&replaced.real)?;
        // What failed may have been the removal itself: then the log of the server says so.
        let more: Vec<_> = after.iter().filter(|file| !before.contains(file)).collect();
        let said = more.iter().all(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            stage.donor().log().contains(&format!("{name}': "))
        });
        promises.check(TIDY, said, || format!("{error} at {call} {when}: {more:?}"));
        with_a_backup += u32::from(told.text("outcome") == "complete");
        stage.judge(&format!("{:>4}  {error} at {call} {when}", round + 1), &told, promises)?;
    }
    promises.figures(TIDY, format!("{with_a_backup} of {rounds} were complete all the same"));
    Ok(())
}

/// The calls of a backup without a fault: of each kind as many as the busiest thread makes.
fn moments(stage: &mut Stage, replaced: &Replaced, promises: &mut Promises) -> Result<Vec<(String, u32)>> {
    let trace = stage.cluster.make_dir("trace").join("calls");
    replaced.under(&format!("-o {} -e trace={}", trace.display(), CALLS.join(",")))?;
    let told = stage.ask().finish();
    replaced.put(&replaced.real)?;
    stage.judge("      under strace, without a fault", &told, promises)?;
    ensure!(told.text("outcome") == "complete", "no backup under strace: {told}");
    let text = String::from_utf8_lossy(&fs::read(&trace)?).into_owned();
    // "1234  write(5, …": the thread, the call.
    let mut counts: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for (thread, rest) in text.lines().filter_map(|line| line.split_once(' ')) {
        if let Some(call) = CALLS.iter().find(|call| rest.trim_start().starts_with(&format!("{call}("))) {
            *counts.entry((call, thread)).or_default() += 1;
        }
    }
    let mut moments = Vec::new();
    for call in CALLS {
        let of_call = counts.iter().filter(|((name, _), _)| *name == call).map(|(_, count)| *count);
        let busiest = of_call.max().unwrap_or_default();
        say(&format!("{call}: at most {busiest} in one thread"));
        moments.extend((1..=busiest).map(|when| (call.to_owned(), when)));
    }
    ensure!(!moments.is_empty(), "strace has seen nothing");
    Ok(moments)
}
