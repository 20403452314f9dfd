//! What we do.
//!
//! The donor role is measured as mysqld runs it: garbd asks, and the program is watched from its first to its last moment.
//! What garbd takes to join and to leave the group (about 3 s, whatever the size of the data) is not in the time.

use std::num::TryFromIntError;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::common::{Measured, Observer};
use crate::peers::START;
use crate::report::{Group, Row, Run};
use crate::stage::Stage;
use crate::support::Garbd;
use crate::support::cnf::CLUSTER_NAME;
use crate::support::program::{number, text};

/// A donor may take this long.
const LIMIT: Duration = Duration::from_secs(3600);

/// The rows of the first table. The default comes last, so that its archive is what is restored.
pub(crate) fn backups() -> Vec<Row> {
    let row = |name, compression: &'static str, method: &'static str| {
        Row::new(name, Group::Backup, move |stage| back_up(stage, compression, method))
    };
    vec![
        row("wsrep_sst_backup, none", "none", "auto"),
        row("wsrep_sst_backup, none, freeze", "none", "freeze"),
        row("wsrep_sst_backup, gzip", "gzip", "auto"),
        row("wsrep_sst_backup, freeze", "zstd", "freeze"),
        row("wsrep_sst_backup, mariadb-backup", "zstd", "mariadb-backup"),
        row("wsrep_sst_backup, zstd (the default)", "zstd", "auto").marked(),
    ]
}

/// Replaces the backup; garbd asks for it.
pub(crate) fn back_up(stage: &Stage, compression: &str, method: &str) -> Result<Run> {
    remove_backups(stage)?;
    stage.configure(&format!("compression={compression}\nmethod={method}"))?;
    let server = stage.cluster.n(1);
    let observer = Observer::start(server.pid().context("the server does not run")?);
    let outcome = Garbd::backup_and_wait(&stage.cluster, 1, None, LIMIT);
    let seen = observer.finish()?;
    let log = server.log_since(outcome.donor_mark);
    let manifests = stage.program.manifests();
    let [manifest] = manifests.as_slice() else {
        anyhow::bail!("there is no backup:\n{log}");
    };
    ensure!(text(manifest, "/archive/compression") == compression, "it is not compressed by {compression}");
    let measured = Measured { wall: seen.wall, cpu: seen.cpu, peak: seen.peak, status: Some(0) };
    let stored = number(manifest, "/archive/bytes") + number(manifest, "/index/bytes");
    let time =
        |pointer| Ok::<_, TryFromIntError>(Duration::from_millis(number(manifest, pointer).try_into()?));
    let frozen = time("/frozen_ms")?;
    let beyond = if manifest.get("paused_ms").is_some() {
        time("/paused_ms")?
    } else {
        frozen.saturating_sub(time("/flush_ms")?)
    };
    Ok(Run { measured, stored: Some(u64::try_from(stored)?), frozen: Some(frozen), beyond: Some(beyond) })
}

/// One backup at a time: room is short, and the newest is the one that is meant.
fn remove_backups(stage: &Stage) -> Result<()> {
    for manifest in stage.program.manifests() {
        let folder = folder(stage, &manifest);
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove '{}'", folder.display()))?;
    }
    Ok(())
}

fn folder(stage: &Stage, manifest: &Value) -> PathBuf {
    stage.program.repository().join(CLUSTER_NAME).join(text(manifest, "/id"))
}

/// The rows of the second table.
pub(crate) fn restores() -> Vec<Row> {
    vec![
        Row::new("wsrep_sst_backup verify", Group::Restore, |stage| command(stage, &["verify", "latest"])),
        Row::new("wsrep_sst_backup restore", Group::Restore, |stage| {
            let target = stage.target.to_str().context("the path is not UTF-8")?;
            command(stage, &["restore", "latest", "--to", target])
        })
        .marked(),
        Row::new("wsrep_sst_backup restore; start", Group::Restore, |stage| {
            let restore = "\"$P\" restore latest --to \"$T\" --repository \"$R\" 2>\"$A/log\" || { tail -n 20 \"$A/log\" >&2; exit 1; }";
            Ok(stage.script(&format!("{restore}; {START}"))?.into())
        }),
    ]
}

/// Runs the program on the repository.
pub(crate) fn command(stage: &Stage, words: &[&str]) -> Result<Run> {
    let repository = stage.program.repository().to_str().context("the path is not UTF-8")?;
    let words = [words, &["--repository", repository]].concat();
    let (measured, said) = stage.helper.program(&stage.cluster.program(), &words)?;
    ensure!(measured.status == Some(0), "{words:?} failed:\n{said}");
    Ok(measured.into())
}
