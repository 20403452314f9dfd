//! `restore --delta`: into the data directory of a stopped node, of which only what differs is replaced.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use serde_json::{Value, json};

use crate::catalog::BackupReader;
use crate::restore::{Control, DeltaNode, DeltaReport, RestoreError, RestoreRequest, Restored, plan_delta};
use crate::throttle::Limiter;
use crate::ui::{ByteBar, TextPage, bytes, grouped};

/// How many names are shown of those that go, and of those that stay; all are in the JSON.
const SHOWN: usize = 20;

/// Compares, and unless it `is_dry` carries out. Nothing is restored by a dry run.
pub(super) fn restore_delta(
    source: &BackupReader,
    request: &RestoreRequest,
    node: &DeltaNode,
    is_dry: bool,
    interrupted: &AtomicBool,
    limiter: &Limiter,
) -> Result<(Option<Restored>, DeltaReport), RestoreError> {
    let bar = ByteBar::new("comparing", source.manifest().data_bytes);
    let plan = plan_delta(
        source,
        request,
        node,
        &Control { progress: &|done| bar.set(done), interrupted, limiter },
    )?;
    drop(bar);
    let report = plan.report().clone();
    if is_dry {
        return Ok((None, report));
    }
    if let Some(ahead) = report.ahead {
        log::warn!("{}", newer(ahead, request));
    }
    for warning in warnings(&report) {
        log::warn!("{warning}");
    }
    let checking = ByteBar::new("checking the archive", report.stream_bytes);
    let restoring = ByteBar::new("restoring", report.stream_bytes);
    let restored = plan.carry_out(
        &Control { progress: &|done| checking.set(done), interrupted, limiter },
        &Control { progress: &|done| restoring.set(done), interrupted, limiter },
    )?;
    Ok((Some(restored), report))
}

/// What only this node may have, and will not have any more.
fn warnings(report: &DeltaReport) -> Vec<String> {
    let names = |paths: &[PathBuf]| {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let newer = (!report.newer_logs.is_empty())
        .then(|| format!("binary logs that are newer than the backup go: {}", names(&report.newer_logs)));
    let state = (!report.replication.is_empty())
        .then(|| format!("logs and the state of replication go: {}", names(&report.replication)));
    let left = (!report.newer_logs_left.is_empty()).then(|| {
        format!(
            "binary logs that are newer than the backup stay, but no index names them any more, so that the server does not purge them: {}",
            names(&report.newer_logs_left)
        )
    });
    newer.into_iter().chain(left).chain(state).collect()
}

fn newer(ahead: u64, request: &RestoreRequest) -> String {
    format!(
        "the files in '{}' are {} write sets newer than the backup: the node gets these again from its cluster, where a member still has them",
        request.target.display(),
        grouped(ahead)
    )
}

/// What a dry run says.
pub(super) fn would_be(source: &BackupReader, request: &RestoreRequest, report: &DeltaReport) -> TextPage {
    let mut page = TextPage::of(format!(
        "Nothing was changed. With backup {} 'restore --delta' would do this in {}:",
        source.manifest().id,
        request.target.display()
    ));
    tell(&mut page, report);
    if let Some(ahead) = report.ahead {
        page.blank();
        page.line(format!("Note: {}.", newer(ahead, request)));
    }
    for warning in warnings(report) {
        page.blank();
        page.line(format!("Note: {}.", warning.escape_debug()));
    }
    page
}

/// What was done, or would be.
pub(super) fn tell(page: &mut TextPage, report: &DeltaReport) {
    let DeltaReport { kept, changed, anew, read_bytes, .. } = report;
    let rows = [
        ("files that were there already", *kept),
        ("files with blocks that differ", *changed),
        ("files written as a whole", *anew),
    ];
    for (what, (files, size)) in rows {
        page.line(format!("  {:>9}  {what}: {}", grouped(files), bytes(size)));
    }
    page.line(format!("  {:>9}  read from the archive", bytes(*read_bytes)));
    for (what, paths) in [
        ("removed, since the backup has not got it", &report.removed),
        ("left, since no server has made it", &report.left),
    ] {
        page.line(format!("  {:>9}  {what}", grouped(paths.len() as u64)));
        for path in paths.iter().take(SHOWN) {
            page.line(format!("               {}", path.display().to_string().escape_debug()));
        }
        if let Some(more) = paths.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            page.line(format!("               and {} more (--json has them all)", grouped(more as u64)));
        }
    }
}

/// The same for programs.
pub(super) fn as_json(report: &DeltaReport) -> Value {
    let pair = |(files, size): (u64, u64)| json!({ "files": files, "bytes": size });
    let texts = |paths: &[PathBuf]| paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
    json!({
        "kept": pair(report.kept),
        "changed": pair(report.changed),
        "anew": pair(report.anew),
        "read_bytes": report.read_bytes,
        "removed": texts(&report.removed),
        "left": texts(&report.left),
        "newer_logs": texts(&report.newer_logs),
        "newer_logs_left": texts(&report.newer_logs_left),
        "replication": texts(&report.replication),
        "write_sets_ahead": report.ahead,
    })
}
