//! `list`: the backups in the repository, newest last.

use clap::Args;
use serde_json::json;

use super::{CommandError, print, print_json};
use crate::catalog::{Attempt, Catalog, Record};
use crate::cli::CommonArgs;
use crate::model::{Manifest, State};
use crate::ui::{Align, Table, bytes, duration_ms, time};

/// Arguments of `list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs `list`.
pub fn run(args: &ListArgs) -> Result<(), CommandError> {
    let context = args.common.context(None)?;
    let catalog = Catalog::read(context.storage.as_ref(), context.cluster())?;
    if args.json {
        return print_json(&as_json(&catalog));
    }
    if catalog.records.is_empty() {
        print(&format!("There are no backups in {}.\n", context.storage.location()))?;
    } else {
        print(&as_table(&catalog))?;
    }
    print(&attempts(&catalog.attempts))
}

fn as_table(catalog: &Catalog) -> String {
    let mut clusters: Vec<&str> = catalog.records.iter().map(|record| record.cluster.as_str()).collect();
    clusters.sort_unstable();
    clusters.dedup();
    let many = clusters.len() > 1;
    let mut columns = vec![("ID", Align::Left)];
    if many {
        columns.push(("CLUSTER", Align::Left));
    }
    columns.extend([
        ("TAKEN", Align::Left),
        ("SEQNO", Align::Right),
        ("DATA", Align::Right),
        ("STORED", Align::Right),
        ("FROZEN", Align::Right),
        ("TOOK", Align::Right),
        ("NOTE", Align::Left),
    ]);
    let mut table = Table::new(&columns);
    for record in &catalog.records {
        let mut row = vec![record.id.to_string()];
        if many {
            row.push(record.cluster.clone());
        }
        match &record.manifest {
            Ok(manifest) => row.extend(cells(manifest)),
            Err(error) => {
                row.extend(std::iter::repeat_n("-".to_owned(), 6));
                row.push(format!("unusable: {error}"));
            }
        }
        table.row(row);
    }
    table.render()
}

fn cells(manifest: &Manifest) -> Vec<String> {
    let took = manifest.finished.duration_since(manifest.started).as_millis();
    let note = match (manifest.damaged_pages, manifest.warnings.len()) {
        (0, 0) => String::new(),
        (0, 1) => "1 warning".into(),
        (0, count) => format!("{count} warnings"),
        (pages, _) => format!("{pages} damaged pages"),
    };
    vec![
        time(manifest.frozen_at),
        manifest.gtid.seqno.to_string(),
        bytes(manifest.data_bytes),
        bytes(manifest.archive.bytes),
        duration_ms(manifest.frozen_ms),
        duration_ms(u64::try_from(took).unwrap_or(0)),
        note,
    ]
}

/// What is not a backup (yet): one line each, so that nobody mistakes it for one.
fn attempts(attempts: &[Attempt]) -> String {
    let mut text = String::new();
    for attempt in attempts {
        let what = match &attempt.status {
            None => "not a backup: no manifest and no status; its program has died".to_owned(),
            Some(status) => match (status.state, &status.error) {
                (State::Failed, Some(error)) => format!("failed: {error}"),
                (State::Failed, None) => "failed".into(),
                (state, _) => format!("{}, last heard of at {}", describe(state), time(status.updated)),
            },
        };
        text.push_str(&format!("{}  {what}\n", attempt.id));
    }
    if text.is_empty() { text } else { format!("\nNot complete:\n{text}") }
}

fn describe(state: State) -> &'static str {
    match state {
        State::Starting => "starting",
        State::Freezing => "freezing the server",
        State::Copying => "copying",
        State::Thawed => "storing, the server runs again",
        State::Publishing => "publishing",
        State::Failed => "failed",
    }
}

fn as_json(catalog: &Catalog) -> serde_json::Value {
    let backups: Vec<serde_json::Value> = catalog
        .records
        .iter()
        .map(|Record { cluster, id, manifest }| match manifest {
            Ok(manifest) => {
                json!({ "id": id, "cluster_folder": cluster, "usable": true, "manifest": manifest })
            }
            Err(error) => {
                json!({ "id": id, "cluster_folder": cluster, "usable": false, "error": error.to_string() })
            }
        })
        .collect();
    let attempts: Vec<serde_json::Value> = catalog
        .attempts
        .iter()
        .map(|attempt| json!({ "id": attempt.id, "cluster_folder": attempt.cluster, "status": attempt.status }))
        .collect();
    json!({ "backups": backups, "incomplete": attempts })
}
