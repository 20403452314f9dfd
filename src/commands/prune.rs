//! `prune`: shows what becomes of each backup and why, then removes what is to go.
//!
//! `--json` gives one object at the end. `clusters` has `cluster_folder`, `backups` (`id`, `taken`, `bytes`, `action`
//! `keep` or `remove`, `reasons`, `history` (state UUID, or null)), `histories` (`uuid`, `backups`, `newest`, `taken`, `first`; the one with the last
//! backup first) and `leftovers` (`id`, `file` or null for the whole folder, `upload` with the id of
//! one that was begun in a bucket and never completed, or null, `bytes`, `action` `leave` or `sweep`, `reason`). `signs` has what programs that have died have left at the root of the
//! repository (`object`, `bytes`, `action`, which is `sweep`, `reason`). `scope` says which one cluster was judged alone (`cluster_folder`, and `why` in words that follow
//! its name); it is null where every one in the repository was. `dry_run` says whether that was all; if not, `outcome` has `backups`, `leftovers` and `bytes` that are
//! gone, `spared` and `failed` (texts), and `stopped`. `unknown` has in words what could not be looked at; it stays, and
//! the exit status is 1. Of a bucket there is `old_versions` too: `count`, `bytes`,
//! `delete_marks` and `more` (there are more than were counted), or an `error` where that cannot be known.

use std::sync::atomic::Ordering;

use clap::Args;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::prune_besides::{signs_as_json, signs_as_text, versions_as_json, versions_as_text};
use super::prune_scope::{OwnCluster, is_of_one_cluster, may_be_forgotten, scope_as_json};
use super::prune_words::{action_of, counted};
use super::{CommandError, CommonArgs, interruption, print, print_json, refresh_metrics};
use crate::config::{Flag, flag};
use crate::metrics::Scope;
use crate::model::safe_component;
use crate::prune::policy::RetentionVerdict;
use crate::prune::{ClusterPlan, Left, Leftover, Planned, PrunePlan, PruneScope, Tally, carry_out};
use crate::ui::{Align, Table, TextPage, bytes, time};

const KEEP_WITHIN: Flag = flag("keep-within", "prune");
const KEEP_LAST: Flag = flag("keep-last", "prune");
const KEEP_DAILY: Flag = flag("keep-daily", "prune");
const KEEP_WEEKLY: Flag = flag("keep-weekly", "prune");
const KEEP_MONTHLY: Flag = flag("keep-monthly", "prune");
const KEEP_YEARLY: Flag = flag("keep-yearly", "prune");

/// Arguments of `prune`.
#[derive(Debug, Args)]
pub struct PruneArgs {
    /// Show the plan and remove nothing
    #[arg(long)]
    dry_run: bool,
    #[arg(long, value_name = KEEP_WITHIN.value, help = KEEP_WITHIN.help, help_heading = "Policy")]
    keep_within: Option<String>,
    #[arg(long, value_name = KEEP_LAST.value, help = KEEP_LAST.help, help_heading = "Policy")]
    keep_last: Option<String>,
    #[arg(long, value_name = KEEP_DAILY.value, help = KEEP_DAILY.help, help_heading = "Policy")]
    keep_daily: Option<String>,
    #[arg(long, value_name = KEEP_WEEKLY.value, help = KEEP_WEEKLY.help, help_heading = "Policy")]
    keep_weekly: Option<String>,
    #[arg(long, value_name = KEEP_MONTHLY.value, help = KEEP_MONTHLY.help, help_heading = "Policy")]
    keep_monthly: Option<String>,
    #[arg(long, value_name = KEEP_YEARLY.value, help = KEEP_YEARLY.help, help_heading = "Policy")]
    keep_yearly: Option<String>,
    /// Remove all backups of this history (state UUID), but for those that are held. Each history is counted apart, and one
    /// that has ended keeps what the policy keeps of it until it is forgotten. That of the newest backup cannot be
    #[arg(long, value_name = "UUID", help_heading = "Policy")]
    forget_history: Option<String>,
    /// Judge every cluster in the repository by this policy. Without it: that of the node whose option files are here, else
    /// that which is named as this host, else the only one; where there are several, none
    #[arg(long, conflicts_with = "cluster", help_heading = "Policy")]
    all_clusters: bool,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs `prune`.
pub fn run(args: &PruneArgs) -> Result<(), CommandError> {
    let (mut context, files) = args.common.context_with_metrics(|flags| {
        flags.set(KEEP_WITHIN, args.keep_within.as_deref());
        flags.set(KEEP_LAST, args.keep_last.as_deref());
        flags.set(KEEP_DAILY, args.keep_daily.as_deref());
        flags.set(KEEP_WEEKLY, args.keep_weekly.as_deref());
        flags.set(KEEP_MONTHLY, args.keep_monthly.as_deref());
        flags.set(KEEP_YEARLY, args.keep_yearly.as_deref());
    })?;
    let policy = context.settings.retention;
    let forget = args.forget_history.as_deref();
    if policy.is_empty() && forget.is_none() {
        let problem = "there is no policy, so nothing is removed: say what to keep with keep-last, keep-daily, \
                       keep-weekly, keep-monthly, keep-yearly or keep-within, as settings or flags";
        return Err(CommandError::Usage(problem.into()));
    }
    let storage = context.storage.as_ref();
    let wanted = PruneScope { policy: &policy, forget };
    let is_named = args.all_clusters || context.cluster().is_some();
    let own = if is_named { None } else { OwnCluster::of(&context, &files)? };
    let cluster = context.cluster().or(own.as_ref().map(|own| own.name.as_str())).map(str::to_owned);
    let plan = PrunePlan::make(storage, cluster.as_deref(), wanted, Timestamp::now())?;
    if cluster.is_none() && !args.all_clusters {
        is_of_one_cluster(&plan)?;
    }
    if let Some(named) = wanted.forget {
        may_be_forgotten(&plan, named)?;
    }
    if !args.json {
        if let Some(own) = &own {
            print(&TextPage::of(own.words()))?;
        }
        print(&as_text(&plan, &storage.location()))?;
    }
    let tally = if args.dry_run {
        None
    } else {
        let interrupted = interruption();
        context.interruptible(&interrupted);
        let tally = carry_out(context.storage.as_ref(), &plan, &|| interrupted.load(Ordering::Relaxed));
        let folder = cluster.as_deref().map(safe_component);
        refresh_metrics(&context, folder.as_deref().map_or(Scope::All, Scope::Cluster));
        Some(tally)
    };
    let versions = context.storage.old_versions();
    if args.json {
        let mut told = as_json(&plan, tally.as_ref());
        told["scope"] = scope_as_json(cluster.as_deref(), own.as_ref());
        if let Some(versions) = versions_as_json(&versions) {
            told["old_versions"] = versions;
        }
        print_json(&told)?;
    } else {
        let mut page = ending(&plan, tally.as_ref());
        page.append(&versions_as_text(&versions));
        print(&page)?;
    }
    complaint(&plan, &tally.unwrap_or_default())
}

/// What is left to say of what was not judged or could not be removed.
fn complaint(plan: &PrunePlan, tally: &Tally) -> Result<(), CommandError> {
    for text in plan.unknown.iter().chain(&tally.failed) {
        log::error!("{text}");
    }
    if tally.stopped {
        let text = "interrupted: what is left of the plan is for the next 'prune'";
        return Err(CommandError::Failed(text.into()));
    }
    if tally.failed.is_empty() && plan.unknown.is_empty() { Ok(()) } else { Err(CommandError::Shown) }
}

fn as_text(plan: &PrunePlan, location: &str) -> TextPage {
    let mut page = TextPage::new();
    if plan.clusters.is_empty() && plan.unknown.is_empty() {
        page.line(format!("There are no backups in '{location}'."));
    }
    for (nth, plan) in plan.clusters.iter().enumerate() {
        if nth > 0 {
            page.blank();
        }
        page.line(format!("Cluster {}:", plan.cluster));
        page.table(&cluster_table(plan));
        page.append(&histories(plan));
    }
    page.append(&signs_as_text(&plan.signs));
    page
}

fn cluster_table(plan: &ClusterPlan) -> Table {
    let columns = [
        ("ACTION", Align::Left),
        ("ID", Align::Left),
        ("TAKEN", Align::Left),
        ("STORED", Align::Right),
        ("REASON", Align::Left),
    ];
    let mut table = Table::new(&columns);
    for Planned { id, taken, bytes: stored, verdict, .. } in &plan.backups {
        let (action, reasons) = told(verdict);
        let (at, size) = match taken {
            Some(at) => (time(*at), bytes(*stored)),
            None => ("-".into(), "-".into()),
        };
        table.row(vec![action.into(), id.to_string(), at, size, reasons.join("; ")]);
    }
    for Leftover { id, what, bytes: stored, goes, reason } in &plan.leftovers {
        let name = match what {
            Left::Folder => id.to_string(),
            Left::Unfinished(unfinished) => format!("{id}/{}", unfinished.name),
        };
        table.row(vec![action_of(*goes).into(), name, "-".into(), bytes(*stored), reason.clone()]);
    }
    table
}

/// What is to be known where there are several.
fn histories(plan: &ClusterPlan) -> TextPage {
    let mut page = TextPage::new();
    if plan.histories.len() < 2 {
        return page;
    }
    page.line(format!(
        "These are backups of {} histories (state UUIDs): of several clusters with one name, or of one that was bootstrapped \
         anew. Each is counted apart, and keeps what the policy keeps of it until 'prune --forget-history UUID':",
        plan.histories.len()
    ));
    for history in &plan.histories {
        page.line(format!("  {}", history.words()));
    }
    page
}

/// The verdict as an action, and what speaks for it.
fn told(verdict: &RetentionVerdict) -> (&'static str, Vec<String>) {
    match verdict {
        RetentionVerdict::Keep(reasons) => ("keep", reasons.iter().map(ToString::to_string).collect()),
        RetentionVerdict::Remove(lapses) => ("remove", lapses.iter().map(ToString::to_string).collect()),
    }
}

/// What has become of the plan, in one paragraph.
fn ending(plan: &PrunePlan, tally: Option<&Tally>) -> TextPage {
    let mut page = TextPage::new();
    if plan.clusters.is_empty() && plan.signs.is_empty() {
        return page;
    }
    page.blank();
    if plan.is_idle() {
        page.line("There is nothing to remove.");
        return page;
    }
    let Some(tally) = tally else {
        page.line("A dry run: nothing was removed.");
        return page;
    };
    page.line(format!(
        "Removed {} and {}: {}.",
        counted(tally.backups, "backup", "backups"),
        counted(tally.leftovers, "leftover", "leftovers"),
        bytes(tally.bytes)
    ));
    tally.spared.iter().for_each(|spared| page.line(spared));
    page
}

fn as_json(plan: &PrunePlan, tally: Option<&Tally>) -> Value {
    let backup = |Planned { id, taken, bytes, history, verdict }: &Planned| {
        let (action, reasons) = told(verdict);
        json!({
            "id": id, "taken": taken, "bytes": bytes, "history": history, "action": action, "reasons": reasons,
        })
    };
    let leftover = |Leftover { id, what, bytes, goes, reason }: &Leftover| {
        let (file, upload) = match what {
            Left::Folder => (None, None),
            Left::Unfinished(unfinished) => (Some(&unfinished.name), unfinished.upload.as_ref()),
        };
        json!({
            "id": id, "file": file, "upload": upload, "bytes": bytes, "action": action_of(*goes), "reason": reason,
        })
    };
    let clusters: Vec<Value> = plan
        .clusters
        .iter()
        .map(|plan| {
            json!({
                "cluster_folder": plan.cluster,
                "backups": plan.backups.iter().map(backup).collect::<Vec<_>>(),
                "leftovers": plan.leftovers.iter().map(leftover).collect::<Vec<_>>(),
                "histories": plan.histories,
            })
        })
        .collect();
    let outcome = tally.map(|tally| {
        json!({
            "backups": tally.backups,
            "leftovers": tally.leftovers,
            "bytes": tally.bytes,
            "spared": tally.spared,
            "failed": tally.failed,
            "stopped": tally.stopped,
        })
    });
    json!({
        "dry_run": tally.is_none(), "clusters": clusters, "signs": signs_as_json(&plan.signs),
        "unknown": plan.unknown, "outcome": outcome,
    })
}
