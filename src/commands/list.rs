//! `list`: the backups in the repository, newest last. A terminal also gets a picture of their sizes and freezes.
//!
//! Where there are backups of several classes, which count apart, a column says of which one each is.
//!
//! `--json` gives one object. `backups` has, oldest first, `id`, `cluster_folder`, `usable`, `class` (`physical`, `dump` of everything, `partial-dump`; not where
//! the manifest cannot be used), `hold` (null, or
//! `held`, `by`, `note`, or `error` where it cannot be read: it holds all the same), `verified` (null, or `verify.json`, or
//! `error`), `drilled` (null, or `drill.json`, or `error`), `doubt` (null, or in words what speaks against it: it is damaged, or its time cannot be right), and then either `manifest` (as it is stored) or `error`. `incomplete` has `id`, `cluster_folder` and `status` (`status.json`,
//! or null) of runs that are not a backup: they go on, have failed, or were killed. `many_histories` has for each cluster with backups of
//! several histories (state UUIDs) its `cluster_folder` and its `histories`: `uuid`, `backups`, `newest`, `taken`, `first`.
//! `parted` has for each history of a cluster that has gone back to an older backup, or that two clusters share, `cluster_folder`, `history`,
//! `two_lines` and `left_behind` (IDs).
//! `unknown` has in words the folders of clusters that could not be looked into; the exit status is 1 then.

use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;
use serde_json::json;

use super::list_terminal::{trend, with_notes_below};
use super::{CommandError, CommonArgs, complain_of, print, print_json};
use crate::catalog::{Catalog, CatalogError, Doubt, Drilled, History, HoldState, Record, SILENCE, Verified};
use crate::model::{BackupClass, BackupId, BackupState, Manifest, Status};
use crate::ui::{Align, Screen, Table, TextPage, bytes, duration_ms, time};

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
    let context = args.common.context()?;
    let catalog = Catalog::read(context.storage.as_ref(), context.cluster())?;
    let now = Timestamp::now();
    if args.json {
        print_json(&as_json(&catalog, &besides(&catalog, now), now))?;
        return complain_of(&catalog.unknown);
    }
    let screen = Screen::of_stdout();
    let mut page = if catalog.records.is_empty() && !catalog.unknown.is_empty() {
        // The folder could not be read, so there may be some.
        TextPage::new()
    } else if catalog.records.is_empty() {
        let which = context.cluster().map_or_else(String::new, |name| format!(" of cluster '{name}'"));
        TextPage::of(format!("There are no backups{which} in '{}'.", context.storage.location()))
    } else {
        let besides = besides(&catalog, now);
        let picture = screen.map(|screen| trend(&catalog, has_many_clusters(&catalog), screen));
        let mut page = as_table(&catalog, &besides, screen.map(|screen| screen.width));
        page.append(&picture.unwrap_or_default());
        page
    };
    page.append(&histories(&catalog));
    for lines in catalog.lines(now) {
        let (text, cure) = lines.words();
        page.blank();
        page.line(format!("Note: {text}: {cure}."));
    }
    if !catalog.attempts.is_empty() {
        page.blank();
        page.line("Not complete:");
        page.table(&attempts(&catalog, now));
    }
    print(&page)?;
    complain_of(&catalog.unknown)
}

/// What lies beside a manifest.
struct Beside {
    hold: Option<HoldState>,
    verified: Option<Verified>,
    drilled: Option<Drilled>,
    /// What speaks against the backup, where it is not that its manifest cannot be used.
    doubt: Option<Doubt>,
}

/// The same for each backup.
fn besides(catalog: &Catalog, now: Timestamp) -> Vec<Beside> {
    let beside = |(record, doubt): (&Record, Option<Doubt>)| Beside {
        hold: record.evidence.held.clone(),
        verified: record.evidence.verified.clone(),
        drilled: record.evidence.drilled.clone(),
        doubt: doubt.filter(|doubt| !matches!(doubt, Doubt::Unusable(_))),
    };
    catalog.records.iter().zip(catalog.doubts(now)).map(beside).collect()
}

/// Whether rows have to say which cluster they belong to.
fn has_many_clusters(catalog: &Catalog) -> bool {
    let records = catalog.records.iter().map(|record| record.cluster.as_str());
    let attempts = catalog.attempts.iter().map(|attempt| attempt.cluster.as_str());
    records.chain(attempts).collect::<BTreeSet<_>>().len() > 1
}

/// The histories of each cluster that has several.
fn many_histories(catalog: &Catalog) -> Vec<(&str, Vec<History>)> {
    let clusters: BTreeSet<&str> = catalog.records.iter().map(|record| record.cluster.as_str()).collect();
    let of = |cluster: &str| {
        History::of_records(catalog.records.iter().filter(|record| record.cluster == cluster))
    };
    let histories = clusters.into_iter().map(|cluster| (cluster, of(cluster)));
    histories.filter(|(_, histories)| histories.len() > 1).collect()
}

/// The same in words.
fn histories(catalog: &Catalog) -> TextPage {
    let mut page = TextPage::new();
    for (cluster, histories) in many_histories(catalog) {
        page.blank();
        page.line(format!(
            "Backups of {} histories (state UUIDs) are in the folder of cluster '{cluster}'; 'latest' is the newest of all:",
            histories.len()
        ));
        for history in histories {
            page.line(format!("  {}", history.words()));
        }
    }
    page
}

/// Columns that begin with id and cluster; `many` shows the cluster.
fn columns(many: bool, rest: &[(&'static str, Align)]) -> Table {
    let cluster = many.then_some(("CLUSTER", Align::Left));
    Table::new(
        &[("ID", Align::Left)].into_iter().chain(cluster).chain(rest.iter().copied()).collect::<Vec<_>>(),
    )
}

fn row(many: bool, id: &BackupId, cluster: &str, rest: impl IntoIterator<Item = String>) -> Vec<String> {
    let cluster = many.then(|| cluster.to_owned());
    std::iter::once(id.to_string()).chain(cluster).chain(rest).collect()
}

const COLUMNS: [(&str, Align); 8] = [
    ("TAKEN", Align::Left),
    ("SEQNO", Align::Right),
    ("DATA", Align::Right),
    ("STORED", Align::Right),
    ("FROZEN", Align::Right),
    ("TOOK", Align::Right),
    ("CLASS", Align::Left),
    ("NOTE", Align::Left),
];

/// Where [`COLUMNS`] has the class.
const CLASS: usize = 6;
/// Letters of a part's name in a table.
const PART: usize = 28;

/// The class in a few letters.
fn class_in_short(class: &BackupClass) -> String {
    match class {
        BackupClass::Physical => "physical".into(),
        BackupClass::Sql => "dump".into(),
        BackupClass::PartialSql(part) if part.chars().count() > PART => {
            format!("dump of {}…", part.chars().take(PART - 1).collect::<String>())
        }
        BackupClass::PartialSql(part) => format!("dump of {part}"),
    }
}

/// Whether rows have to say of which class they are.
fn has_many_classes(catalog: &Catalog) -> bool {
    let classes = catalog.records.iter().filter_map(|record| Some(record.manifest.as_ref().ok()?.class()));
    classes.collect::<BTreeSet<_>>().len() > 1
}

/// A line for each backup. Where that is too wide for the screen, notes go below their line, and where that does not
/// help, the time goes, of which the ID has most.
fn as_table(catalog: &Catalog, besides: &[Beside], width: Option<usize>) -> TextPage {
    let many = has_many_clusters(catalog);
    let lines: Vec<(&Record, Vec<String>)> = catalog
        .records
        .iter()
        .zip(besides)
        .map(|(record, beside)| (record, cells_of(record, beside)))
        .collect();
    let classes = has_many_classes(catalog);
    let render = |shown: std::ops::Range<usize>| {
        let shown: Vec<usize> = shown.filter(|column| classes || *column != CLASS).collect();
        let mut table = columns(many, &shown.iter().map(|column| COLUMNS[*column]).collect::<Vec<_>>());
        for (record, cells) in &lines {
            let cells = shown.iter().map(|column| cells[*column].clone());
            table.row(row(many, &record.id, &record.cluster, cells));
        }
        table
    };
    let whole = |table: &Table| {
        let mut page = TextPage::new();
        page.table(table);
        page
    };
    let all = whole(&render(0..COLUMNS.len()));
    let Some(width) = width else { return all };
    let fits = |page: &TextPage| page.as_str().lines().all(|line| line.chars().count() <= width);
    if fits(&all) {
        return all;
    }
    let last = COLUMNS.len() - 1;
    let notes = lines.iter().map(|(_, cells)| cells[last].as_str());
    let with_time = whole(&render(0..last));
    let shown = if fits(&with_time) { with_time } else { whole(&render(1..last)) };
    with_notes_below(shown.as_str(), notes, width)
}

/// Everything that is known of a backup, in the order of the columns.
fn cells_of(record: &Record, beside: &Beside) -> Vec<String> {
    let mut cells = match &record.manifest {
        Ok(manifest) => cells(manifest),
        Err(error) => {
            let dashes = std::iter::repeat_n("-".to_owned(), COLUMNS.len() - 1);
            dashes.chain([format!("UNUSABLE: {}", error.of_itself())]).collect::<Vec<_>>()
        }
    };
    let hold = beside.hold.as_ref().map(HoldState::words);
    let verified = beside.verified.as_ref().map(Verified::words);
    let drilled = beside.drilled.as_ref().map(Drilled::words);
    // What 'verify' or 'drill' has found, or an outcome that cannot be read, is told already.
    let is_told = record.evidence.damage.is_none() && record.evidence.unknown.is_none();
    let doubt = beside.doubt.as_ref().filter(|doubt| doubt.is_of_time() || !is_told).map(Doubt::to_string);
    // Where a folder cannot be used, nothing in it can: once is enough.
    let why = record.manifest.as_ref().err().map(CatalogError::of_itself);
    let is_news = |words: &String| why.as_ref().is_none_or(|why| !words.ends_with(why));
    for words in hold.into_iter().chain(verified).chain(drilled).chain(doubt).filter(is_news) {
        if let Some(note) = cells.last_mut() {
            *note = if note.is_empty() { words } else { format!("{note}; {words}") };
        }
    }
    cells
}

fn cells(manifest: &Manifest) -> Vec<String> {
    let took = manifest.finished.duration_since(manifest.started).as_millis();
    let how = manifest.lost_in_a_word();
    let note = match (manifest.lost_pages(), manifest.warning_count()) {
        (0, 0) => String::new(),
        (0, 1) => "1 warning".into(),
        (0, count) => format!("{count} warnings"),
        (1, _) => format!("1 {how} page"),
        (pages, _) => format!("{pages} {how} pages"),
    };
    vec![
        time(manifest.frozen_at),
        manifest.seqno(),
        bytes(manifest.data_bytes),
        bytes(manifest.archive.bytes),
        duration_ms(manifest.frozen_ms.max(manifest.paused_ms.unwrap_or(0))),
        duration_ms(u64::try_from(took).unwrap_or(0)),
        class_in_short(&manifest.class()),
        note,
    ]
}

/// The runs that are no backup (yet), one line each, so that none is mistaken for one.
fn attempts(catalog: &Catalog, now: Timestamp) -> Table {
    let many = has_many_clusters(catalog);
    let mut table = columns(many, &[("STATE", Align::Left)]);
    for attempt in &catalog.attempts {
        let what = match &attempt.status {
            None => "no manifest and no status: its program has died".to_owned(),
            Some(status) => match (status.state, &status.error) {
                (BackupState::Failed, Some(error)) => format!("failed: {error}"),
                (BackupState::Failed, None) => "failed".into(),
                (BackupState::Done, _) => {
                    format!("done at {}, and its manifest was removed: no backup", time(status.updated))
                }
                (state, _) => format!("{}{}", describe(state), last_word(status, now)),
            },
        };
        table.row(row(many, &attempt.id, &attempt.cluster, [what]));
    }
    table
}

/// A program that runs writes its status every two seconds, or as often as it says.
fn last_word(status: &Status, now: Timestamp) -> String {
    let updated = status.updated;
    let silence = now.duration_since(updated);
    let is_long = !silence.is_negative() && silence.unsigned_abs() > status.patience(SILENCE.unsigned_abs());
    match u64::try_from(silence.as_millis()) {
        Ok(ms) if is_long => {
            format!(" at {}, and silent for {} since: it has probably died", time(updated), duration_ms(ms))
        }
        _ => format!(", last heard of at {}", time(updated)),
    }
}

fn describe(state: BackupState) -> &'static str {
    match state {
        BackupState::Starting => "starting",
        BackupState::Ahead => "copying ahead, the server runs",
        BackupState::Freezing => "freezing the server",
        BackupState::Copying => "copying",
        BackupState::Thawed => "storing, the server runs again",
        BackupState::Publishing => "publishing",
        BackupState::Done => "done",
        BackupState::Failed => "failed",
    }
}

fn as_json(catalog: &Catalog, besides: &[Beside], now: Timestamp) -> serde_json::Value {
    let backups: Vec<serde_json::Value> = catalog
        .records
        .iter()
        .zip(besides)
        .map(|(Record { cluster, id, manifest, .. }, Beside { hold, verified, drilled, doubt })| match manifest {
            Ok(manifest) => json!({
                "id": id, "cluster_folder": cluster, "usable": true, "hold": hold, "verified": verified, "drilled": drilled,
                "doubt": doubt.as_ref().map(ToString::to_string), "class": manifest.class().name(), "manifest": manifest,
            }),
            Err(error) => json!({
                "id": id, "cluster_folder": cluster, "usable": false, "hold": hold, "verified": verified, "drilled": drilled,
                "doubt": null, "error": error.of_itself(),
            }),
        })
        .collect();
    let attempts: Vec<serde_json::Value> = catalog
        .attempts
        .iter()
        .map(|attempt| json!({ "id": attempt.id, "cluster_folder": attempt.cluster, "status": attempt.status }))
        .collect();
    let histories: Vec<serde_json::Value> = many_histories(catalog)
        .into_iter()
        .map(|(cluster, histories)| json!({ "cluster_folder": cluster, "histories": histories }))
        .collect();
    json!({
        "backups": backups, "incomplete": attempts, "many_histories": histories, "parted": catalog.lines(now),
        "unknown": catalog.unknown,
    })
}
