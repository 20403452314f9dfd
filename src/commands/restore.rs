//! `restore`: rebuilds a data directory and says what to do with it.

use std::cell::Cell;
use std::num::NonZeroU64;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde_json::json;

use super::ist_forecast::{self, node_outlook};
use super::restore_args::As;
pub use super::restore_args::RestoreArgs;
use super::restore_delta::{self, restore_delta, would_be};
use super::restore_host::RestoreHost;
use super::restore_into::{load_backup, load_file};
use super::restore_tables::extract_tables;
use super::whole_archive::{clean_only, whole_only};
use super::{CommandError, Context, interruption, print, print_json, removed};
use crate::catalog::{BackupReader, Selector};
use crate::cluster::{IstOutlook, ist_sentence};
use crate::config::{OptionFiles, ServerOptions};
use crate::model::{Content, Manifest, WsrepGtid};
use crate::restore::{
    Advice, AllowedDirectory, Control, DeltaNode, DeltaReport, DirectoryMap, InitFile, Purpose, RestoreError,
    RestoreRequest, Restored, Selection, TablePattern, advice, is_of, restore, wsrep_home,
};
use crate::throttle::{Limiter, millis};
use crate::ui::{ByteBar, LiveLines, TextPage, bytes, duration_ms, grouped};

/// Runs `restore`.
pub fn run(args: &RestoreArgs) -> Result<(), CommandError> {
    if let Some(file) = &args.id.file {
        return load_file(args, file);
    }
    let selector = args.id.selector()?;
    if args.into.is_some() {
        return load_backup(args, &selector);
    }
    let mut request = request(args)?;
    let (context, files) = args.common.context_with(|flags| args.set(flags))?;
    request.threads = context.settings.threads;
    request.wsrep_home = wsrep_home(&ServerOptions::from(&files, &[], None), &request.target);
    let source = found(&context, &selector, &request)?;
    if let (Some(only), None) = (&request.only, args.purpose) {
        return extract_tables(&context, source, &request, only, args.json);
    }
    let host = RestoreHost::look(&files, source.manifest().server.version.as_deref());
    if !args.any_server {
        host.refuse(source.manifest(), &request)?;
    }
    let init_file =
        request.init_file.as_deref().filter(|_| !args.dry_run).map(InitFile::create).transpose()?;
    let gtid = source.manifest().lineage();
    let ist = match request.purpose {
        Purpose::Node => node_outlook(&context.settings, &files, context.storage.as_ref(), &source),
        _ => None,
    };
    tell_outlook(ist.as_ref(), &gtid, args.json);
    let started = Instant::now();
    let interrupted = interruption();
    let throttle = context.throttle(&interrupted);
    let source = source.interruptible(&interrupted).limited(throttle.repository);
    let limit = context.settings.limit_rate.filter(|_| !args.json);
    let outcome = carry_out(args, &source, (&request, &files), limit, &interrupted, &throttle.data);
    if outcome.as_ref().is_err_and(RestoreError::may_be_removal) && source.is_removed() {
        let is_halfway = outcome.as_ref().is_err_and(RestoreError::is_halfway);
        return Err(if is_halfway { removed_halfway(&source, &request) } else { removed(&source) });
    }
    let (restored, delta) = outcome?;
    let manifest = source.manifest();
    let Some(restored) = restored else {
        return told_only(&source, &request, &delta.unwrap_or_default(), args.json);
    };
    init_file.map_or(Ok(()), |file| file.finish(&restored.sst_accounts))?;
    let mut advice = advice(manifest, &request, &restored, &args.common.server_defaults().arguments());
    host.tell_upgrade(manifest, request.purpose, &mut advice);
    let options = host.missing(&restored);
    if args.json {
        let mut answer = json!({
            "id": manifest.id,
            "datadir": request.target,
            "gtid": manifest.gtid,
            "mariadb_gtid": manifest.mariadb_gtid,
            "replication": manifest.replication,
            "files": restored.files,
            "bytes": restored.bytes,
            "external": restored.external,
            "sst_accounts": restored.sst_accounts,
            "init_file": request.init_file,
            "options": options,
            "ist": ist.as_ref().map(|outlook| ist_forecast::as_json(outlook, &gtid)),
            "notes": advice.all_notes(),
            "steps": advice.steps,
        });
        if let Some(delta) = &delta {
            answer["delta"] = restore_delta::as_json(delta);
        }
        return print_json(&answer);
    }
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    print(&as_text(manifest, &request, &restored, delta.as_ref(), (&advice, &options), took))
}

/// Restores, unless it is a dry run; what `--delta` has found.
fn carry_out(
    args: &RestoreArgs,
    source: &BackupReader,
    (request, files): (&RestoreRequest, &OptionFiles),
    limit: Option<NonZeroU64>,
    interrupted: &AtomicBool,
    limiter: &Limiter,
) -> Result<(Option<Restored>, Option<DeltaReport>), RestoreError> {
    if args.delta {
        let node = delta_node(args, source, request, files)?;
        let (restored, report) = restore_delta(source, request, &node, args.dry_run, interrupted, limiter)?;
        return Ok((restored, Some(report)));
    }
    Ok((Some(restore_all(source, request, limit, interrupted, limiter)?), None))
}

/// The node whose data directory it is, by the option files that name it.
fn delta_node(
    args: &RestoreArgs,
    source: &BackupReader,
    request: &RestoreRequest,
    files: &OptionFiles,
) -> Result<DeltaNode, RestoreError> {
    let options = ServerOptions::from(files, &[], source.manifest().server.version.as_deref());
    let is_its = !args.any_server && is_of(&options, &request.target);
    let named =
        |text: &String| text.parse().map_err(|why| RestoreError::Usage(format!("--replace '{text}': {why}")));
    let replace = args.replace.iter().map(named).collect::<Result<_, _>>()?;
    // Where there are no option files a server has its defaults, and so would one whose files cannot be seen from here.
    let is_unnamed = !args.any_server && (!is_its || options.is_empty());
    Ok(DeltaNode { options: is_its.then_some(options), is_unnamed, replace })
}

/// The error for a backup that `prune` has removed while a data directory was being replaced by it.
fn removed_halfway(source: &BackupReader, request: &RestoreRequest) -> CommandError {
    CommandError::NotFound(format!(
        "backup '{}' was removed while it was read; '{}' is partly replaced, and no server starts on it: run the command again with another \
         backup, and 'hold' that before",
        source.manifest().id,
        request.target.display()
    ))
}

/// Restores into an empty directory.
fn restore_all(
    source: &BackupReader,
    request: &RestoreRequest,
    limit: Option<NonZeroU64>,
    interrupted: &AtomicBool,
    limiter: &Limiter,
) -> Result<Restored, RestoreError> {
    // Told once the target is accepted, when the first file is on its way.
    let slow = Cell::new(limit);
    let bar = ByteBar::new("restoring", source.manifest().data_bytes);
    let progress = |done| {
        if let Some(rate) = slow.take() {
            LiveLines::new().line(&slowed(source.manifest(), rate));
        }
        bar.set(done);
    };
    restore(source, request, &Control { progress: &progress, interrupted, limiter })
}

/// What a dry run prints.
fn told_only(
    source: &BackupReader,
    request: &RestoreRequest,
    delta: &DeltaReport,
    is_json: bool,
) -> Result<(), CommandError> {
    if !is_json {
        return print(&would_be(source, request, delta));
    }
    print_json(&json!({
        "id": source.manifest().id,
        "datadir": request.target,
        "dry_run": true,
        "delta": restore_delta::as_json(delta),
    }))
}

/// The backup, with what opens it; refused where nothing like this can be restored from it.
fn found(
    context: &Context,
    selector: &Selector,
    request: &RestoreRequest,
) -> Result<BackupReader, CommandError> {
    let source = context.find_intact(selector)?;
    if source.manifest().content == Content::Sql {
        whole_only(&source, "--to")?;
    }
    if request.only.is_some() {
        whole_only(&source, "--only")?;
        clean_only(&source, "--only")?;
    }
    context.with_keys(source)
}

/// Whether a node will join by IST, said beforehand.
fn tell_outlook(ist: Option<&IstOutlook>, gtid: &WsrepGtid, is_json: bool) {
    let Some(outlook) = ist else { return };
    let (is_bad, text) = ist_sentence(outlook, gtid);
    if is_bad {
        log::warn!("{text}");
    } else if !is_json {
        LiveLines::new().line(&format!("{text}."));
    }
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
    let to = args.to.clone().unwrap_or_default();
    let target = std::path::absolute(&to)
        .map_err(|error| CommandError::Usage(format!("--to '{}': {error}", to.display())))?;
    // mysqld takes it from its own working directory.
    let init_file = args.init_file.as_deref().map(std::path::absolute).transpose();
    let init_file = init_file.map_err(|error| CommandError::Usage(format!("--init-file: {error}")))?;
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
        init_file,
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
    delta: Option<&DeltaReport>,
    (advice, options): (&Advice, &[String]),
    took: u64,
) -> TextPage {
    let compared = match manifest.content {
        Content::Datadir if delta.is_some() => {
            "every part that was read or kept was compared with its digest"
        }
        Content::Datadir | Content::Sql => "every SHA-256 was compared",
        Content::Xbstream => {
            if manifest.gtid.is_some() {
                "its SHA-256 was compared, mariadb-backup has prepared it, and its files stand at its position"
            } else {
                "its SHA-256 was compared, and mariadb-backup has prepared it"
            }
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
    if let Some(delta) = delta {
        restore_delta::tell(&mut page, delta);
    }
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
