//! `report`: one self-contained page about the repository.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;

use super::{CommandError, CommonArgs, Context, complain_of, write};
use crate::catalog::{Attempt, Catalog, CatalogError, Doubt, HoldState, Record};
use crate::model::BackupId;
use crate::prune::policy::{Reason, RetentionVerdict};
use crate::prune::{ClusterPlan, Left, PrunePlan};
use crate::report::{AttemptRow, Backup, Cluster, PruneForecast, ReportData};
use crate::storage::{Mode, replace_file};

/// Arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Write one HTML page that needs nothing else; - is stdout
    #[arg(long, value_name = "FILE")]
    html: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs `report`.
pub fn run(args: &ReportArgs) -> Result<(), CommandError> {
    let context = args.common.context()?;
    let report = gather(&context, Timestamp::now())?;
    let html = report.html();
    if args.html == Path::new("-") {
        // Its markup is harmless already.
        write(&html)?;
    } else {
        replace_file(&args.html, html.as_bytes(), Mode::Usual)?;
    }
    complain_of(&report.unknown)
}

/// Everything that the page tells.
fn gather(context: &Context, now: Timestamp) -> Result<ReportData, CommandError> {
    let storage = context.storage.as_ref();
    let catalog = Catalog::read(storage, context.cluster())?;
    let mut doubts: HashMap<(String, BackupId), Doubt> = HashMap::new();
    for (record, doubt) in catalog.records.iter().zip(catalog.doubts(now)) {
        doubts.extend(doubt.map(|doubt| ((record.cluster.clone(), record.id.clone()), doubt)));
    }
    let unknown = catalog.unknown.clone();
    let mut fates = fates(context, now)?;
    let clusters = catalog
        .by_cluster()
        .into_iter()
        .map(|(folder, Catalog { records, attempts, .. })| {
            let mut fates = fates.remove(&folder).unwrap_or_default();
            let of = |record: Record| {
                let doubt = doubts.remove(&(record.cluster.clone(), record.id.clone()));
                backup(record, doubt, &mut fates)
            };
            let backups = records.into_iter().map(of).collect();
            let run = |attempt: Attempt| {
                let standing = attempt.standing(now);
                let fate = fates.remove(&attempt.id);
                AttemptRow { id: attempt.id, standing, status: attempt.status, fate }
            };
            let runs = attempts.into_iter().map(run).collect();
            Cluster { folder, backups, runs }
        })
        .collect();
    Ok(ReportData {
        repository: storage.location(),
        now,
        version: env!("CARGO_PKG_VERSION"),
        clusters,
        unknown,
    })
}

fn backup(record: Record, doubt: Option<Doubt>, fates: &mut HashMap<BackupId, PruneForecast>) -> Backup {
    let Record { id, manifest, evidence, .. } = record;
    Backup {
        manifest: manifest.map_err(|error| error.of_itself()),
        held: evidence.held.as_ref().map(HoldState::words),
        verified: evidence.verified,
        drilled: evidence.drilled,
        doubt,
        fate: fates.remove(&id),
        id,
    }
}

/// What the policy says of each folder of each cluster; nothing where there is no policy.
fn fates(
    context: &Context,
    now: Timestamp,
) -> Result<HashMap<String, HashMap<BackupId, PruneForecast>>, CatalogError> {
    let policy = &context.settings.retention;
    if policy.is_empty() {
        return Ok(HashMap::new());
    }
    let plan = PrunePlan::make(context.storage.as_ref(), context.cluster(), policy, now)?;
    Ok(plan.clusters.into_iter().map(|plan| (plan.cluster.clone(), of_cluster(plan))).collect())
}

fn of_cluster(plan: ClusterPlan) -> HashMap<BackupId, PruneForecast> {
    let backups = plan.backups.into_iter().map(|planned| {
        let fate = match planned.verdict {
            RetentionVerdict::Keep(reasons) => PruneForecast {
                goes: false,
                is_doubtful: reasons.iter().any(Reason::is_doubt),
                reasons: reasons.iter().map(ToString::to_string).collect(),
            },
            RetentionVerdict::Remove(lapses) => PruneForecast {
                goes: true,
                is_doubtful: false,
                reasons: lapses.iter().map(ToString::to_string).collect(),
            },
        };
        (planned.id, fate)
    });
    let folders = plan.leftovers.into_iter().filter(|leftover| leftover.what == Left::Folder);
    let runs = folders.map(|leftover| {
        let fate = PruneForecast { goes: leftover.goes, reasons: vec![leftover.reason], is_doubtful: false };
        (leftover.id, fate)
    });
    backups.chain(runs).collect()
}
