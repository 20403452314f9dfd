//! `copy`: a second copy of a backup, or of all of them, in another repository.
//!
//! `--json` gives one object at the end: `from`, `to`, and `backups`, in the order in which they were dealt with: `id`,
//! `cluster_folder`, `bytes` (of archive and index), `ms`, `outcome` (`copied`, `already_there`, `removed` by somebody
//! meanwhile, `pruned_there`, `removed_there` at that moment, `damaged`, `failed`) and `error` (why, or null). What is beside `copied` and `already_there` comes with
//! `--all` only: with one backup the command ends with the error instead. `not_tried` counts those that are behind an
//! error that would meet all of them. `unknown` has in words the folders of clusters that could not be looked into; the exit status
//! is 1 then.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::id_args::IdArgs;
use super::{CommandError, CommonArgs, Context, complain_of, interruption, print, print_json, removed};
use crate::catalog::{
    BackupReader, Catalog, CatalogError, Pruned, Record, Selector, TooDeep, read_manifest, read_pruned,
};
use crate::config::{Flag, RepositoryUrl, Settings, flag};
use crate::copy::{CopyError, CopyOutcome, copy, stored_bytes};
use crate::model::BackupId;
use crate::priority;
use crate::storage::{self, Interruptible, Storage};
use crate::throttle::Limiter;
use crate::ui::{ByteBar, TextPage, bytes, duration_ms};

const LIMIT_RATE: Flag = flag("limit-rate", "copy");

/// Arguments of `copy`.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// Backup ID, or 'latest'
    #[arg(value_name = "ID|latest", required_unless_present_any = ["target_time", "all"])]
    id: Option<String>,
    /// The newest backup taken at or before this time, e.g. 2026-11-20T11:30:00Z
    #[arg(long, value_name = "RFC3339", conflicts_with = "id")]
    target_time: Option<String>,
    /// Every complete backup that the other repository does not have and has not pruned, the newest first
    #[arg(long, conflicts_with_all = ["id", "target_time"])]
    all: bool,
    /// With --all: also those that 'prune' has removed from the other repository
    #[arg(long, conflicts_with_all = ["id", "target_time"])]
    with_pruned: bool,
    /// The other repository: a directory, or s3://bucket/prefix
    #[arg(long, value_name = "REPOSITORY", required_unless_present = "to_defaults_group_suffix")]
    to: Option<String>,
    /// The other repository has its settings in the group [wsrep_sst_backup<SUFFIX>]: what every command uses with
    /// --defaults-group-suffix=SUFFIX. Without it, it has those of this one
    #[arg(long, value_name = "SUFFIX")]
    to_defaults_group_suffix: Option<String>,
    #[arg(long, value_name = LIMIT_RATE.value, help = LIMIT_RATE.help)]
    limit_rate: Option<String>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

impl CopyArgs {
    /// The backup that is meant; none for all of them.
    fn selector(&self) -> Result<Option<Selector>, CommandError> {
        if self.all {
            return Ok(None);
        }
        let id = IdArgs { id: self.id.clone(), target_time: self.target_time.clone() };
        id.selector().map(Some)
    }

    /// Opens the other repository, which must be there and be another one.
    fn target(&self, here: &Settings) -> Result<Arc<dyn Storage>, CommandError> {
        let settings =
            self.common.other(here, self.to.as_deref(), self.to_defaults_group_suffix.as_deref())?;
        if is_same(here, &settings) {
            return Err(CommandError::Usage(format!(
                "'{}' is the repository that the backups are in: name the other one with --to, or as 'repository' in \
                 the group of --to-defaults-group-suffix",
                settings.repository
            )));
        }
        let storage = storage::open(&settings)?;
        storage.probe().map_err(|error| {
            CommandError::Failed(format!("{error} (--to names it; a directory must be there before)"))
        })?;
        if let Some(found) = TooDeep::find(storage.as_ref()) {
            return Err(CommandError::Usage(format!("--to: {}{}", found.words(), found.strays())));
        }
        Ok(storage)
    }
}

/// Whether two settings lead to one place.
fn is_same(here: &Settings, there: &Settings) -> bool {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    match (&here.repository, &there.repository) {
        (RepositoryUrl::Directory(one), RepositoryUrl::Directory(other)) => real(one) == real(other),
        (one, other) => one == other && here.s3.endpoint == there.s3.endpoint,
    }
}

/// Runs `copy`.
pub fn run(args: &CopyArgs) -> Result<(), CommandError> {
    let selector = args.selector()?;
    let (mut context, _) =
        args.common.context_with(|flags| flags.set(LIMIT_RATE, args.limit_rate.as_deref()))?;
    let target = args.target(&context.settings)?;
    if context.settings.low_priority {
        priority::lower();
    }
    let interrupted = interruption();
    let limiter = context.throttle(&interrupted).repository;
    context.interruptible(&interrupted);
    let target: Arc<dyn Storage> = Arc::new(Interruptible::new(target, Arc::clone(&interrupted)));
    let work = CopyLimits { target, limiter, interrupted };
    let (from, to) = (context.storage.location(), work.target.location());
    if let Some(selector) = selector {
        let row = work.copy(context.find_intact(&selector)?);
        if let Some(Words(error)) = row.error {
            return Err(error);
        }
        if args.json {
            return print_json(
                &json!({ "from": from, "to": to, "backups": [row], "not_tried": 0, "unknown": [] }),
            );
        }
        return print(&row.as_text(&to));
    }
    let Catalog { records, unknown, .. } = Catalog::read(context.storage.as_ref(), context.cluster())?;
    let (rows, not_tried) = work.copy_all(&context, records, args)?;
    if args.json {
        print_json(&json!({
            "from": from, "to": to, "backups": rows, "not_tried": not_tried, "unknown": unknown,
        }))?;
    } else if !rows.is_empty() {
        print(&ending(&rows, not_tried, &to))?;
    }
    let is_all_known = complain_of(&unknown);
    if rows.is_empty() && is_all_known.is_ok() {
        return Err(CommandError::NotFound(format!(
            "there are no backups in '{from}', so nothing was copied; where there should be some, see that it is mounted and is the              repository that is meant"
        )));
    }
    verdict(&rows, not_tried).and(is_all_known)
}

/// What has become of one backup.
#[derive(Debug, Serialize)]
struct Row {
    id: BackupId,
    cluster_folder: String,
    bytes: u64,
    ms: u64,
    outcome: &'static str,
    error: Option<Words>,
    /// The same would meet the others.
    #[serde(skip)]
    is_of_all: bool,
}

/// An error that is told as its text.
#[derive(Debug)]
struct Words(CommandError);

impl Serialize for Words {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl Row {
    /// One that was not copied.
    fn without_copy(
        id: BackupId,
        cluster_folder: String,
        outcome: &'static str,
        error: Option<CommandError>,
    ) -> Self {
        Self { id, cluster_folder, bytes: 0, ms: 0, outcome, error: error.map(Words), is_of_all: false }
    }

    fn as_text(&self, to: &str) -> TextPage {
        let Self { id, bytes: size, ms, .. } = self;
        if self.outcome == "already_there" {
            return TextPage::of(format!("Backup {id} is in '{to}' already."));
        }
        TextPage::of(format!("Backup {id} is copied to '{to}': {} in {}.", bytes(*size), duration_ms(*ms)))
    }
}

/// Where to, and until when.
struct CopyLimits {
    target: Arc<dyn Storage>,
    /// One for what is read is one for what is written.
    limiter: Arc<Limiter>,
    interrupted: Arc<AtomicBool>,
}

impl CopyLimits {
    fn copy(&self, source: BackupReader) -> Row {
        let source = &source.limited(Arc::clone(&self.limiter));
        let (manifest, started) = (source.manifest(), Instant::now());
        let size = stored_bytes(manifest);
        let bar = ByteBar::new("copying", size);
        let outcome = copy(source, &self.target, Timestamp::now(), &|done| bar.set(done), &self.interrupted);
        drop(bar);
        let is_of_all = outcome.as_ref().is_err_and(|error| match error {
            // Where the repository still answers, others may be read.
            CopyError::Source(_) if !error.is_damage() => source.manifest_bytes().is_err(),
            _ => !error.is_of_one_backup(),
        });
        let was_removed = outcome.as_ref().is_err_and(CopyError::may_be_removal) && source.is_removed();
        let (outcome, error) = match outcome {
            Ok(CopyOutcome::Copied) => ("copied", None),
            Ok(CopyOutcome::AlreadyThere) => ("already_there", None),
            Err(_) if was_removed => ("removed", Some(removed(source))),
            Err(error) if error.is_removal_there() => ("removed_there", Some(error.into())),
            Err(error) if error.is_damage() => ("damaged", Some(error.into())),
            Err(error) => ("failed", Some(error.into())),
        };
        Row {
            id: manifest.id.clone(),
            cluster_folder: source.cluster().to_owned(),
            bytes: size,
            ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
            outcome,
            error: error.map(Words),
            is_of_all: is_of_all && !was_removed,
        }
    }

    /// The newest first: where the line is slow, that is the one that is missed most. Each is told when it is done.
    fn copy_all(
        &self,
        context: &Context,
        records: Vec<Record>,
        args: &CopyArgs,
    ) -> Result<(Vec<Row>, usize), CommandError> {
        let pruned = if args.with_pruned { BTreeMap::new() } else { self.pruned(&records) };
        let mut rows: Vec<Row> = Vec::new();
        let count = records.len();
        for Record { cluster, id, manifest, .. } in records.into_iter().rev() {
            let row = match manifest {
                _ if pruned.get(&cluster).is_some_and(|pruned| pruned.has(&id))
                    && self.lacks(&cluster, &id) =>
                {
                    Row::without_copy(id, cluster, "pruned_there", None)
                }
                Ok(manifest) => self.copy(BackupReader::new(Arc::clone(&context.storage), cluster, manifest)),
                Err(error) => {
                    let error = CommandError::from(error);
                    let outcome =
                        if matches!(error, CommandError::Damaged(_)) { "damaged" } else { "failed" };
                    Row::without_copy(id, cluster, outcome, Some(error))
                }
            };
            match (&row.error, row.outcome) {
                (Some(Words(error)), "removed" | "removed_there") => log::warn!("{error}"),
                (Some(Words(error)), _) => log::error!("{error}"),
                (None, "copied") if !args.json => {
                    let Row { id, bytes: size, ms, .. } = &row;
                    print(&TextPage::of(format!("copied  {id}  {} in {}", bytes(*size), duration_ms(*ms))))?;
                }
                (None, _) => {}
            }
            let ends_here = row.is_of_all;
            rows.push(row);
            if ends_here {
                break;
            }
        }
        let not_tried = count - rows.len();
        Ok((rows, not_tried))
    }

    /// What the other repository has pruned of each cluster. Where that cannot be told, more is copied rather than less.
    fn pruned(&self, records: &[Record]) -> BTreeMap<String, Pruned> {
        let clusters: BTreeSet<&String> = records.iter().map(|record| &record.cluster).collect();
        let known = |cluster: &String| match read_pruned(self.target.as_ref(), cluster) {
            Ok(pruned) => Some((cluster.clone(), pruned)),
            Err(error) => {
                log::warn!("{error}; so what was pruned there comes back");
                None
            }
        };
        clusters.into_iter().filter_map(known).collect()
    }

    /// Whether the other repository does not have it.
    fn lacks(&self, cluster: &str, id: &BackupId) -> bool {
        matches!(read_manifest(self.target.as_ref(), cluster, id), Err(CatalogError::NotFound(_)))
    }
}

fn counted(rows: &[Row], outcome: &str) -> usize {
    rows.iter().filter(|row| row.outcome == outcome).count()
}

/// One line for all of them.
fn ending(rows: &[Row], not_tried: usize, to: &str) -> TextPage {
    let copied = rows.iter().filter(|row| row.outcome == "copied");
    let size = copied.fold(0, |sum, row| row.bytes.saturating_add(sum));
    let mut parts = vec![
        format!("{} copied to '{to}' ({})", counted(rows, "copied"), bytes(size)),
        format!("{} there already", counted(rows, "already_there")),
    ];
    for (count, words) in [
        (counted(rows, "pruned_there"), "pruned there before (--with-pruned copies them again)"),
        (counted(rows, "removed"), "removed meanwhile"),
        (counted(rows, "removed_there"), "removed there meanwhile"),
        (counted(rows, "damaged"), "DAMAGED"),
        (counted(rows, "failed"), "FAILED"),
        (not_tried, "not tried"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {words}"));
        }
    }
    TextPage::of(format!("Backups: {}.", parts.join(", ")))
}

fn verdict(rows: &[Row], not_tried: usize) -> Result<(), CommandError> {
    if counted(rows, "damaged") > 0 {
        return Err(CommandError::DamageShown);
    }
    if counted(rows, "failed") + not_tried > 0 {
        return Err(CommandError::Shown);
    }
    Ok(())
}
