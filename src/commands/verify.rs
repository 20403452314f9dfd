//! `verify`: reads the whole archive back, and leaves the outcome beside the backup for `list`, `report` and metrics.

use std::sync::atomic::Ordering;
use std::time::Instant;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::id_args::IdArgs;
use super::reading_args::ReadingArgs;
use super::{
    CommandError, CommonArgs, Context, interruption, print, print_json, refresh_metrics, removed, who,
};
use crate::catalog::{BackupReader, record_verified};
use crate::metrics::Scope;
use crate::model::{Manifest, ToolIdentity, Verification, VerifyOutcome};
use crate::priority;
use crate::ui::{ByteBar, TextPage, bytes, duration_ms, grouped};
use crate::verify::{Defect, VerifyError, VerifyReport, verify, verify_stored};

/// So many files that one cause has cost have a line each; of more these are named.
const NAMED_ALONE: usize = 3;

/// Arguments of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    id: IdArgs,
    /// Compare only the sizes and SHA-256 of the stored objects, and do not look into them: needs no key
    #[arg(long)]
    objects_only: bool,
    /// Do not leave the outcome in the repository
    #[arg(long)]
    no_record: bool,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs `verify`.
pub fn run(args: &VerifyArgs) -> Result<(), CommandError> {
    let selector = args.id.selector()?;
    let (mut context, _) = args.common.context_with_metrics(|flags| args.reading.set(flags))?;
    if context.settings.low_priority {
        priority::lower();
    }
    let source = if args.objects_only {
        context.find(&selector)?
    } else {
        context.with_keys(context.find(&selector)?)?
    };
    let started = Instant::now();
    let interrupted = interruption();
    let throttle = context.throttle(&interrupted);
    context.interruptible(&interrupted);
    let source = source.interruptible(&interrupted).limited(throttle.repository);
    let manifest = source.manifest();
    let bytes = if args.objects_only { manifest.archive.bytes } else { manifest.data_bytes };
    let bar = ByteBar::new("verifying", bytes);
    let progress = |done| bar.set(done);
    let outcome = if args.objects_only {
        verify_stored(&source, &progress, &interrupted)
    } else {
        verify(&source, context.settings.threads, &progress, &interrupted)
    };
    drop(bar);
    if outcome.as_ref().map_or_else(VerifyError::may_be_removal, |report| !report.findings.is_empty())
        && source.is_removed()
    {
        return Err(removed(&source));
    }
    // What could not be read any more is no damage.
    let outcome = match outcome {
        Ok(report) if interrupted.load(Ordering::Relaxed) && !report.findings.is_empty() => {
            Err(VerifyError::Interrupted)
        }
        outcome => outcome,
    };
    let report = outcome.map_err(|error| match error {
        VerifyError::Source(error) => error.into(),
        VerifyError::Start(_) | VerifyError::Interrupted => CommandError::Failed(error.to_string()),
    })?;
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    // That the stored objects are whole is less than what a record of 'intact' says.
    if !args.no_record && (!args.objects_only || !report.findings.is_empty()) {
        record(&context, &source, &report, took);
    }
    let manifest = source.manifest();
    if args.json {
        print_json(&json!({
            "id": manifest.id,
            "damaged": !report.findings.is_empty(),
            "objects_only": args.objects_only,
            "report": report,
        }))?;
    } else {
        print(&as_text(manifest, &report, took, args.objects_only))?;
    }
    if report.findings.is_empty() { Ok(()) } else { Err(CommandError::DamageShown) }
}

/// Leaves the outcome beside the backup. A repository that takes none changes nothing about it.
fn record(context: &Context, source: &BackupReader, report: &VerifyReport, took_ms: u64) {
    let found = Verification {
        verified: Timestamp::now(),
        by: who(),
        command: "verify".into(),
        outcome: if report.findings.is_empty() { VerifyOutcome::Intact } else { VerifyOutcome::Damaged },
        findings: report.findings.len() as u64,
        // The record is not encrypted.
        first_finding: report
            .findings
            .first()
            .filter(|_| !source.is_encrypted())
            .map(|first| format!("{}: {}", first.file, first.what)),
        files: report.files,
        bytes: report.bytes,
        pages_checked: report.pages_checked,
        pages_skipped: report.pages_skipped,
        took_ms,
        tool: ToolIdentity { version: env!("CARGO_PKG_VERSION").into() },
    };
    let id = &source.manifest().id;
    if let Err(error) = record_verified(context.storage.as_ref(), source.cluster(), id, &found) {
        log::warn!("the outcome is not recorded in the repository: {error} (--no-record does without)");
    }
    refresh_metrics(context, Scope::Cluster(source.cluster()));
}

/// A line for each finding; many files in a row that one cause has cost are one line.
fn finding_lines(findings: &[Defect]) -> Vec<String> {
    let alike = findings.chunk_by(|one, next| one.cause() == next.cause());
    alike
        .flat_map(|group| match group {
            [first, .., _] if group.len() > NAMED_ALONE => {
                let names: Vec<&str> =
                    group.iter().take(NAMED_ALONE).map(|finding| finding.file.as_str()).collect();
                let more = group.len() - NAMED_ALONE;
                vec![format!(
                    "DAMAGED  {} files: {}; {} and {more} more (--json names them all)",
                    group.len(),
                    first.cause(),
                    names.join(", "),
                )]
            }
            _ => group.iter().map(|finding| format!("DAMAGED  {}: {}", finding.file, finding.what)).collect(),
        })
        .collect()
}

fn as_text(manifest: &Manifest, report: &VerifyReport, took: u64, objects_only: bool) -> TextPage {
    let mut page = TextPage::new();
    for line in finding_lines(&report.findings) {
        page.line(line);
    }
    let read = format!(
        "{} files, {}, {} InnoDB pages in {}",
        grouped(report.files),
        bytes(report.bytes),
        grouped(report.pages_checked),
        duration_ms(took)
    );
    let skipped = match report.pages_skipped {
        0 => String::new(),
        pages => format!(" ({} pages cannot be checked without the server)", grouped(pages)),
    };
    let (read, skipped) = if objects_only {
        (format!("{} as stored, in {}", bytes(report.bytes), duration_ms(took)), String::new())
    } else {
        (read, skipped)
    };
    for note in &report.notes {
        page.line(format!("Note: {note}"));
    }
    let verdict = match report.findings.len() {
        0 if objects_only => {
            format!(
                "The objects of backup {} are intact: {read}; what is in them was not looked at.",
                manifest.id
            )
        }
        0 => format!("Backup {} is intact: {read}{skipped}.", manifest.id),
        1 => format!("Backup {} is DAMAGED: 1 finding; intact: {read}{skipped}.", manifest.id),
        many => format!("Backup {} is DAMAGED: {many} findings; intact: {read}{skipped}.", manifest.id),
    };
    page.line(verdict);
    page
}
