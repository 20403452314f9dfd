//! `show`: one manifest, readable, and what speaks against its backup, as `list` has it. The exit status of a backup that is
//! damaged is 4, when it has been shown.

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::drill_shown::by_ist;
use super::id_args::IdArgs;
use super::{CommandError, CommonArgs, print, print_json, removed};
use crate::catalog::{BackupReader, Catalog, Doubt, Drilled, Evidence, HoldState, Verified};
use crate::model::{Content, DrillOutcome, DrillRecord, FilesState, Manifest, VerifyOutcome};
use crate::storage::Storage;
use crate::ui::{TextPage, bytes, duration_ms, grouped, time};

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    #[command(flatten)]
    id: IdArgs,
    /// Print the manifest as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// The manifest as it is stored, and beside its fields, as `list --json` has them, `doubt` where something speaks against the
/// backup, `hold` where it is held, `verified` and `drilled` where it was.
#[derive(Serialize)]
struct ShownManifest<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<&'a HoldState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<&'a Verified>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drilled: Option<&'a Drilled>,
}

/// Runs `show`.
pub fn run(args: &ShowArgs) -> Result<(), CommandError> {
    let selector = args.id.selector()?;
    let context = args.common.context()?;
    let source = context.find(&selector)?;
    let (evidence, doubt) = beside(context.storage.as_ref(), &source)?;
    if args.json {
        print_json(&ShownManifest {
            manifest: source.manifest(),
            doubt: doubt.as_ref().map(ToString::to_string),
            hold: evidence.held.as_ref(),
            verified: evidence.verified.as_ref(),
            drilled: evidence.drilled.as_ref(),
        })?;
    } else {
        print(&as_text(source.manifest(), &evidence, doubt.as_ref()))?;
    }
    if doubt.is_some_and(|doubt| doubt.is_damage()) { Err(CommandError::DamageShown) } else { Ok(()) }
}

/// What lies beside the manifest, and what speaks against the backup: the times and positions of all others of its cluster
/// have a say in that, as in `list`.
fn beside(storage: &dyn Storage, source: &BackupReader) -> Result<(Evidence, Option<Doubt>), CommandError> {
    let manifest = source.manifest();
    let catalog = match Catalog::read_folder(storage, source.cluster()) {
        Ok(catalog) => catalog,
        // The manifest was there to be read by its name.
        Err(error) => {
            let evidence = Evidence::look(storage, source.cluster(), &manifest.id, Some(manifest));
            return Ok((evidence, Some(Doubt::Unknown(error.to_string()))));
        }
    };
    let doubts = catalog.doubts(Timestamp::now());
    let mut all = catalog.records.into_iter().zip(doubts);
    let (record, doubt) = all.find(|(record, _)| record.id == manifest.id).ok_or_else(|| removed(source))?;
    Ok((record.evidence, doubt))
}

/// The last verification in one line.
fn verified_line(verified: Option<&Verified>) -> String {
    match verified {
        None => "never".into(),
        Some(Verified::By(found)) => {
            let outcome = match (found.outcome, &found.first_finding) {
                (VerifyOutcome::Intact, _) => "intact".to_owned(),
                (VerifyOutcome::Damaged, None) => "DAMAGED".into(),
                (VerifyOutcome::Damaged, Some(first)) if found.findings == 1 => format!("DAMAGED: {first}"),
                (VerifyOutcome::Damaged, Some(first)) => {
                    format!("DAMAGED, {} findings: {first}", found.findings)
                }
            };
            format!("{} by {}: {outcome}", time(found.verified), found.by)
        }
        Some(unreadable @ Verified::Unreadable { .. }) => unreadable.words(),
    }
}

/// The last drill in one line.
fn drilled_line(drilled: Option<&Drilled>) -> String {
    match drilled {
        None => "never".into(),
        Some(Drilled::By(found)) => {
            let outcome = match (found.outcome, &found.reason) {
                (DrillOutcome::Proved, _) => format!(
                    "proved, {} from nothing to a server that answers{}",
                    duration_ms(found.recovery_ms()),
                    joined_words(found)
                ),
                (DrillOutcome::Failed, None) => "FAILED".into(),
                (DrillOutcome::Failed, Some(why)) => format!("FAILED: {why}"),
            };
            format!("{} by {}: {outcome}", time(found.drilled), found.by)
        }
        Some(unreadable @ Drilled::Unreadable { .. }) => unreadable.words(),
    }
}

/// How the drilled server joined its cluster, behind a comma, where it did.
fn joined_words(found: &DrillRecord) -> String {
    found.measured.join.as_ref().map_or_else(String::new, |join| {
        format!(", joined its cluster in {} ({})", duration_ms(join.ms), by_ist(join.writesets))
    })
}

fn as_text(manifest: &Manifest, evidence: &Evidence, doubt: Option<&Doubt>) -> TextPage {
    let took = manifest.finished.duration_since(manifest.started).as_millis();
    let unknown = || "not known (the donor had no SQL)".to_owned();
    // An empty position is known: the server has written, or replicated, nothing.
    let gtid = |position: &Option<String>| match position.as_deref() {
        None => unknown(),
        Some("") => "none".into(),
        Some(position) => position.to_owned(),
    };
    let page_size = manifest.server.innodb_page_size.map_or_else(unknown, |size| bytes(size.into()));
    let hold = evidence.held.as_ref().map_or_else(|| "none".into(), HoldState::words);
    let mut lines = vec![("Backup", manifest.id.to_string())];
    lines.extend(doubt.map(|doubt| ("Doubt", doubt.to_string())));
    lines.extend([
        ("Cluster", manifest.cluster.clone()),
        ("Donor", manifest.node.clone()),
        ("Request", manifest.request.clone().unwrap_or_else(|| "none".into())),
        ("Taken", time(manifest.frozen_at)),
        ("Position", manifest.position()),
        ("Requested at", manifest.donor_gtid.clone().unwrap_or_else(|| "not known".into())),
        ("Binlog position", gtid(&manifest.mariadb_gtid.binlog_pos)),
        ("Slave position", gtid(&manifest.mariadb_gtid.slave_pos)),
        (
            "Server frozen",
            format!("{} (flush {})", duration_ms(manifest.frozen_ms), duration_ms(manifest.flush_ms)),
        ),
        ("Took", duration_ms(u64::try_from(took).unwrap_or(0))),
        ("Server", manifest.server.version.clone().unwrap_or_else(unknown)),
        ("Data directory", manifest.server.datadir.clone()),
        ("InnoDB page size", page_size),
        ("Data", format!("{} in {} files", bytes(manifest.data_bytes), grouped(manifest.files))),
        ("Stored", stored(manifest)),
        ("Encrypted", encrypted(manifest)),
        ("Archive SHA-256", manifest.archive.sha256.clone()),
        ("Hold", hold),
        ("Verified", verified_line(evidence.verified.as_ref())),
        ("Drilled", drilled_line(evidence.drilled.as_ref())),
        ("Damaged pages", grouped(manifest.damaged_pages)),
        ("Missing pages", grouped(manifest.missing_pages)),
        (
            "Made by",
            format!(
                "wsrep_sst_backup {}, method {}, format {}",
                manifest.tool.version, manifest.method, manifest.format
            ),
        ),
    ]);
    if let Some(reason) = &manifest.method_reason {
        lines.push(("Method chosen", reason.to_string()));
    }
    if manifest.content != Content::Datadir {
        lines.push(("Content", manifest.content.name().into()));
    }
    if manifest.files_state == FilesState::Crashed {
        lines
            .push(("Files", "as of a crash at that position: the server recovers when it is started".into()));
    }
    if let Some(paused) = manifest.paused_ms {
        lines.push(("Held up", format!("{} by {}", duration_ms(paused), manifest.method)));
    }
    let connections = manifest.replication.iter().flatten();
    lines.extend(connections.map(|connection| ("Replicated from", connection.words())));
    if let Some(home) = &manifest.server.wsrep_data_home_dir {
        lines.push(("wsrep data home", home.clone()));
    }
    for warning in manifest.warning_lines() {
        lines.push(("Warning", warning));
    }
    let mut page = TextPage::new();
    for (name, value) in lines {
        page.line(format!("{name:<17} {value}"));
    }
    page
}

fn encrypted(manifest: &Manifest) -> String {
    match manifest.archive.recipients.as_slice() {
        _ if manifest.archive.encryption.is_none() => "no".into(),
        [] => "yes".into(),
        recipients => format!("for {}", recipients.join(", ")),
    }
}

fn stored(manifest: &Manifest) -> String {
    let percent =
        (u128::from(manifest.archive.bytes) * 100).checked_div(u128::from(manifest.data_bytes)).unwrap_or(0);
    format!("{} ({percent} % of the data), {}", bytes(manifest.archive.bytes), manifest.archive.name)
}
