//! `restore --only` without a server: the files of some tables.

use std::time::Instant;

use serde_json::json;

use super::{CommandError, Context, interruption, print, print_json, removed};
use crate::catalog::BackupReader;
use crate::restore::{Control, Extract, Extracted, RestoreError, RestoreRequest, Selection, extract};
use crate::ui::{ByteBar, TextPage, bytes, duration_ms, grouped};

/// Extracts the tables and says what can be done with their files.
pub(super) fn extract_tables(
    context: &Context,
    source: BackupReader,
    request: &RestoreRequest,
    only: &Selection,
    as_json: bool,
) -> Result<(), CommandError> {
    let started = Instant::now();
    let interrupted = interruption();
    let throttle = context.throttle(&interrupted);
    let source = source.interruptible(&interrupted).limited(throttle.repository);
    let bar = ByteBar::new("extracting", source.manifest().data_bytes);
    let control =
        Control { progress: &|done| bar.set(done), interrupted: &interrupted, limiter: &throttle.data };
    let wanted = Extract { target: request.target.clone(), only: only.clone(), threads: request.threads };
    let outcome = extract(&source, &wanted, &control);
    drop(bar);
    if outcome.as_ref().is_err_and(RestoreError::may_be_removal) && source.is_removed() {
        return Err(removed(&source));
    }
    let extracted = outcome?;
    if as_json {
        return print_json(&json!({
            "id": source.manifest().id,
            "directory": wanted.target,
            "tables": extracted.tables,
            "bytes": extracted.bytes,
            "without_rows": extracted.without_rows,
            "notes": all_notes(&extracted),
            "owner_kept": extracted.owner_kept,
        }));
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    print(&as_text(&source, &wanted, &extracted, took))
}

/// What a person should know of the files, their owner included.
fn all_notes(extracted: &Extracted) -> Vec<String> {
    let owner = extracted.owner_kept.as_ref();
    let owner = owner.map(|owner| format!("The files belong to you, not to '{owner}'."));
    extracted.notes.iter().cloned().chain(owner).collect()
}

fn as_text(source: &BackupReader, wanted: &Extract, extracted: &Extracted, took: u64) -> TextPage {
    let id = &source.manifest().id;
    let files: usize = extracted.tables.values().map(Vec::len).sum();
    let mut page = TextPage::of(format!(
        "Extracted from backup {id} to {}: tables {}, files {}, {} in {}; every SHA-256 was compared.",
        wanted.target.display(),
        grouped(extracted.tables.len() as u64),
        grouped(files as u64),
        bytes(extracted.bytes),
        duration_ms(took)
    ));
    page.blank();
    for (table, files) in &extracted.tables {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        page.line(format!("  {table}: {}", files.join(" ")));
    }
    for table in &extracted.without_rows {
        page.blank();
        page.line(format!(
            "Note: {table} has no file of its own for rows: it is a view, keeps them elsewhere, or has them in the system \
             tablespace. '--as standalone' has what the backup has."
        ));
    }
    for note in all_notes(extracted) {
        page.blank();
        page.line(format!("Note: {note}"));
    }
    page.blank();
    page.line("Next:");
    page.line(format!(
        "  To read the rows, a server of their own is simplest:  wsrep_sst_backup restore {id} --only … --as standalone --to DIR"
    ));
    for line in NEXT {
        page.line(line);
    }
    page
}

/// What else can be done with the files of tables.
const NEXT: [&str; 6] = [
    "  then  mariadb-dump  what is needed, and load it into the cluster.",
    "  To use the .ibd file of an InnoDB table: on a server outside the cluster, of the same series, create the table as it",
    "  was but with its primary key alone (with any other key, FULLTEXT too, the import ends with error 1815, because the",
    "  backup has no .cfg file); then ALTER TABLE … DISCARD TABLESPACE, copy the file and give it to mysql,",
    "  ALTER TABLE … IMPORT TABLESPACE, CHECK TABLE … EXTENDED, and add the other keys. Never on a node: the other",
    "  nodes would not get the rows.",
];
