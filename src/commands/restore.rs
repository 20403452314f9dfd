//! `restore`: rebuilds a data directory and says what to do with it.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::ist_forecast::{self, node_outlook, sentence};
use super::restore_tables::extract_tables;
use super::whole_archive::{clean_only, whole_only};
use super::{CommandError, CommonArgs, IdArgs, interruption, print, print_json, removed};
use crate::config::{Flag, ServerOptions, flag};
use crate::model::{Content, Manifest};
use crate::restore::{
    Advice, AllowedDirectory, Control, DirectoryMap, Installed, Purpose, RestoreError, RestoreRequest,
    Restored, Selection, TablePattern, advice, missing_options, restore, wsrep_home,
};
use crate::throttle::millis;
use crate::ui::{ByteBar, LiveLines, TextPage, bytes, duration_ms, grouped};

/// What the data directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum As {
    /// A node that joins its cluster by IST
    Node,
    /// The first node of a cluster that starts anew
    Cluster,
    /// A server outside any cluster
    Standalone,
    /// An asynchronous replica
    Replica,
}

const THREADS: Flag = flag("threads", "restore");
const MEMBERS: Flag = flag("members", "restore");
const LIMIT_RATE: Flag = flag("limit-rate", "restore");

/// Arguments of `restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    id: IdArgs,
    /// The new data directory: missing or empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// What the data directory is for [default: node; with --only no server at all, but the files of the tables]
    #[arg(long = "as", value_enum, value_name = "PURPOSE")]
    purpose: Option<As>,
    /// Only this table, or 'DATABASE.*'; * is any text; repeatable. With '--as standalone' a server that has no other
    /// tables; without '--as' the files of the table alone
    #[arg(long, value_name = "DATABASE.TABLE", conflicts_with = "maps")]
    only: Vec<String>,
    /// Put the files of VAR, which were outside the data directory, into DIR; VAR is a server variable,
    /// 'data_directory' or 'symlink'
    #[arg(long = "map", value_name = "VAR=DIR")]
    maps: Vec<String>,
    /// Put files that were outside the data directory back to where they were, where that is DIR or below it; repeatable.
    /// Without it and --map they are listed, and nothing is restored
    #[arg(long, value_name = "DIR")]
    external: Vec<String>,
    /// Restore also where the MariaDB of this machine is of an older series than the backup: another server will use the
    /// directory
    #[arg(long)]
    any_server: bool,
    #[arg(long, value_name = MEMBERS.value, help = MEMBERS.help)]
    members: Option<String>,
    #[arg(long, value_name = THREADS.value, help = THREADS.help)]
    threads: Option<String>,
    #[arg(long, value_name = LIMIT_RATE.value, help = LIMIT_RATE.help)]
    limit_rate: Option<String>,
    /// Print JSON for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    common: CommonArgs,
}

/// Runs `restore`.
pub fn run(args: &RestoreArgs) -> Result<(), CommandError> {
    let selector = args.id.selector()?;
    let mut request = request(args)?;
    let (context, files) = args.common.context_with(|flags| {
        flags.set(THREADS, args.threads.as_deref());
        flags.set(MEMBERS, args.members.as_deref());
        flags.set(LIMIT_RATE, args.limit_rate.as_deref());
    })?;
    request.threads = context.settings.threads;
    request.wsrep_home = wsrep_home(&ServerOptions::from(&files, &[], None), &request.target);
    let source = context.find_intact(&selector)?;
    if request.only.is_some() {
        whole_only(&source, "--only")?;
        clean_only(&source, "--only")?;
    }
    let source = context.with_keys(source)?;
    if let (Some(only), None) = (&request.only, args.purpose) {
        return extract_tables(&context, source, &request, only, args.json);
    }
    let theirs = source.manifest().server.version.clone();
    let server = ServerOptions::from(&files, &[], theirs.as_deref());
    let installed = Installed::find(&server);
    if let (Some(installed), false) = (&installed, args.any_server) {
        installed.refuse_newer(source.manifest().id.as_str(), theirs.as_deref())?;
    }
    let gtid = source.manifest().lineage();
    let ist = match request.purpose {
        Purpose::Node => node_outlook(&context.settings, &files, context.storage.as_ref(), &source),
        _ => None,
    };
    if let Some(outlook) = &ist {
        let (is_bad, text) = sentence(outlook, &gtid);
        if is_bad {
            log::warn!("{text}");
        } else if !args.json {
            LiveLines::new().line(&format!("{text}."));
        }
    }
    let started = Instant::now();
    let interrupted = interruption();
    let throttle = context.throttle(&interrupted);
    let source = source.interruptible(&interrupted).limited(throttle.repository);
    // Told once the target is accepted, when the first file is on its way.
    let slow = Cell::new(context.settings.limit_rate.filter(|_| !args.json));
    let bar = ByteBar::new("restoring", source.manifest().data_bytes);
    let progress = |done| {
        if let Some(rate) = slow.take() {
            LiveLines::new().line(&slowed(source.manifest(), rate));
        }
        bar.set(done);
    };
    let control = Control { progress: &progress, interrupted: &interrupted, limiter: &throttle.data };
    let outcome = restore(&source, &request, &control);
    drop(bar);
    if outcome.as_ref().is_err_and(RestoreError::may_be_removal) && source.is_removed() {
        return Err(removed(&source));
    }
    let restored = outcome?;
    let manifest = source.manifest();
    let mut advice = advice(manifest, &request, &restored);
    advice.notes.extend(installed.and_then(|server| server.upgrade(theirs.as_deref())));
    let options = missing_options(&restored.needed, &restored.datadir, theirs.as_deref(), &server);
    if args.json {
        return print_json(&json!({
            "id": manifest.id,
            "datadir": request.target,
            "gtid": manifest.gtid,
            "mariadb_gtid": manifest.mariadb_gtid,
            "replication": manifest.replication,
            "files": restored.files,
            "bytes": restored.bytes,
            "external": restored.external,
            "sst_accounts": restored.sst_accounts,
            "options": options,
            "ist": ist.as_ref().map(|outlook| ist_forecast::as_json(outlook, &gtid)),
            "notes": advice.all_notes(),
            "steps": advice.steps,
        }));
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    print(&as_text(manifest, &request, &restored, (&advice, &options), took))
}

/// A limit in an option file was perhaps meant for the donor, and an outage may wait for this node.
fn slowed(manifest: &Manifest, rate: NonZeroU64) -> String {
    format!(
        "limit-rate is {} a second: this takes {} or more; '--limit-rate none' ends that.",
        bytes(rate.get()),
        duration_ms(millis(manifest.data_bytes.max(manifest.archive.bytes), rate))
    )
}

/// The request, for one thread as long as no configuration says more.
fn request(args: &RestoreArgs) -> Result<RestoreRequest, CommandError> {
    let maps = args
        .maps
        .iter()
        .map(|text| {
            text.parse::<DirectoryMap>().map_err(|why| CommandError::Usage(format!("--map '{text}': {why}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let external = args
        .external
        .iter()
        .map(|text| {
            text.parse::<AllowedDirectory>()
                .map_err(|why| CommandError::Usage(format!("--external '{text}': {why}")))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let target = std::path::absolute(&args.to)
        .map_err(|error| CommandError::Usage(format!("--to '{}': {error}", args.to.display())))?;
    let purpose = match args.purpose {
        None | Some(As::Node) => Purpose::Node,
        Some(As::Cluster) => Purpose::Cluster,
        Some(As::Standalone) => Purpose::Standalone,
        Some(As::Replica) => Purpose::Replica,
    };
    if !args.only.is_empty() && !matches!(args.purpose, None | Some(As::Standalone)) {
        return Err(CommandError::Usage(
            "--only goes with '--as standalone', or without '--as': a node or a replica with some of its tables would differ              from the others"
                .into(),
        ));
    }
    Ok(RestoreRequest {
        target: target.components().collect(),
        purpose,
        wsrep_home: None,
        maps,
        external,
        threads: 1,
        only: only(args)?,
    })
}

/// The tables that are wanted, where not all are.
fn only(args: &RestoreArgs) -> Result<Option<Selection>, CommandError> {
    let read = |text: &String| {
        text.parse::<TablePattern>().map_err(|why| CommandError::Usage(format!("--only '{text}': {why}")))
    };
    let patterns = args.only.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok((!patterns.is_empty()).then_some(Selection(patterns)))
}

fn as_text(
    manifest: &Manifest,
    request: &RestoreRequest,
    restored: &Restored,
    (advice, options): (&Advice, &[String]),
    took: u64,
) -> TextPage {
    let compared = match manifest.content {
        Content::Datadir | Content::Sql => "every SHA-256 was compared",
        Content::Xbstream => {
            "its SHA-256 was compared, mariadb-backup has prepared it, and its files stand at its position"
        }
    };
    let mut page = TextPage::of(format!(
        "Restored backup {} to {}: {} files, {} in {}; {compared}.",
        manifest.id,
        request.target.display(),
        grouped(restored.files),
        bytes(restored.bytes),
        duration_ms(took)
    ));
    page.line(format!("Position: {}", manifest.position()));
    for note in &advice.notes {
        page.blank();
        page.line(format!("Note: {note}"));
    }
    if let Some(needed) = &advice.options {
        page.blank();
        page.line(format!("Note: {}", needed.note));
        needed.lines.iter().for_each(|line| page.line(line));
    }
    if !options.is_empty() {
        page.blank();
        page.line(
            "The files were made with these options, which the option files here do not have. Look at them, then add them \
             to the group [mysqld]:",
        );
        for line in options {
            page.line(format!("  {line}"));
        }
    }
    page.blank();
    page.line("Next:");
    for (number, step) in (1..).zip(&advice.steps) {
        page.line(format!("  {number}. {step}"));
    }
    page
}
