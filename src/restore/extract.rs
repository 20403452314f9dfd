//! The files of some tables, without a server: only their blocks are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::archive_stream::open_stream;
use super::destinations::Destinations;
use super::directory_map::AllowedDirectory;
use super::error::RestoreError;
use super::partial_server::{RelocatedMembers, ServerPaths};
use super::partial_server_options::ScratchTables;
use super::parts::parts;
use super::request::{Control, Purpose, RestoreRequest};
use super::table_selection::Selection;
use super::tables::{TableFile, TableFileRole};
use super::target_lock::TargetLock;
use super::undo_log::UndoLog;
use super::{MemberWriter, small_files, target};
use crate::archive::Index;
use crate::catalog::BackupReader;
use crate::model::MemberKind;

/// Which tables, and where to.
#[derive(Debug, Clone)]
pub struct Extract {
    /// A directory that is missing or empty.
    pub target: PathBuf,
    /// The tables.
    pub only: Selection,
    /// Decompressing threads.
    pub threads: usize,
}

/// What was extracted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extracted {
    /// Names of tables and their files, below the target.
    pub tables: BTreeMap<String, Vec<PathBuf>>,
    /// Bytes of all files.
    pub bytes: u64,
    /// Tables without a file of their own for rows: views, and those in the system tablespace.
    pub without_rows: Vec<String>,
    /// What a person should know of them.
    pub notes: Vec<String>,
    /// Owners could not be set: this process is not root.
    pub owner_kept: Option<String>,
}

/// Writes the files of the tables to `DATABASE/FILE` below the target, wherever they lay on the donor.
pub fn extract(
    source: &BackupReader,
    request: &Extract,
    control: &Control<'_>,
) -> Result<Extracted, RestoreError> {
    let index = source.index()?;
    if let Some(why) = index.header.content.refuses("--only", &index.header.id) {
        return Err(RestoreError::Usage(why));
    }
    if let Some(why) = source.manifest().files_state.refuses("--only", &index.header.id) {
        return Err(RestoreError::Usage(why));
    }
    let is_content = |file: &TableFile<'_>| {
        file.member.kind == MemberKind::File && file.path.extension() != Some("isl".as_ref())
    };
    let mut chosen = request
        .only
        .choose(&index, false, &|members| small_files::peek(source, &index, members, request.threads))?;
    chosen.files.retain(is_content);
    // The same file may be stored under two variables.
    let mut paths = BTreeSet::new();
    chosen.files.retain(|file| paths.insert(file.path.clone()));
    let (files, triggers) = (chosen.files.clone(), chosen.triggers.clone());
    let wanted = ScratchTables::new(chosen);
    let places = places(source, &index, &files, request)?;
    target::check_writable([request.target.as_path()])?;
    let mut lock = TargetLock::take(&request.target)?;
    target::check_alone(
        &request.target,
        files.iter().map(|file| (request.target.join(&file.path), file.member.stored)),
    )?;
    let offsets: BTreeSet<u64> = files.iter().map(|file| file.member.header_offset).collect();
    let plan = index.plan_for(|member| offsets.contains(&member.header_offset));
    let mut stream = open_stream(source, &index, plan, request.threads)?;
    let mut created = UndoLog::default();
    let paths: BTreeMap<u64, &TableFile<'_>> =
        files.iter().map(|file| (file.member.header_offset, file)).collect();
    let mut writer = MemberWriter {
        stream: &mut stream,
        source,
        index: &index,
        places: &places,
        control,
        patched: BTreeMap::new(),
    };
    let outcome = parts(&index, files.iter().map(|file| file.member)).into_iter().try_for_each(|part| {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(RestoreError::interrupted());
        }
        (control.progress)(part.pages.unwrap_or(part.member).header_offset);
        let Some(file) = paths.get(&part.member.header_offset) else { return Ok(()) };
        let place = request.target.join(&file.path);
        if let Some(pages) = part.pages {
            return writer.pages(file.member, pages, &place);
        }
        writer.member(file.member, &place, &mut created)?;
        if lock.is_none() {
            // Now it is there.
            lock = TargetLock::take(&request.target)?;
        }
        Ok(created.finish(file.member, &place, &places)?)
    });
    let outcome = outcome.and_then(|()| Ok(created.sync()?));
    if let Err(error) = outcome {
        return Err(error.undo(&mut created));
    }
    let notes = wanted.look(&request.target).notes;
    Ok(summary(&files, &triggers, &places, notes))
}

/// Owners are those of a restore of everything; nothing goes elsewhere than into the target.
fn places(
    source: &BackupReader,
    index: &Index,
    files: &[TableFile<'_>],
    request: &Extract,
) -> Result<Destinations, RestoreError> {
    let mut paths: ServerPaths =
        files.iter().map(|file| (file.member.header_offset, file.path.clone())).collect();
    // The owner is that of the system tablespace, which is not written.
    let system = index.members.iter().filter(|member| member.system_tablespace);
    paths.extend(system.enumerate().map(|(number, member)| {
        (member.header_offset, PathBuf::from(format!(".system-tablespace-{number}")))
    }));
    let mut inside = index.clone();
    RelocatedMembers::apply(&mut inside, &paths);
    let whole = RestoreRequest {
        target: request.target.clone(),
        purpose: Purpose::Standalone,
        wsrep_home: None,
        maps: Vec::new(),
        external: vec![AllowedDirectory("/".into())],
        init_file: None,
        threads: request.threads,
        only: None,
    };
    Destinations::new(Path::new(&source.manifest().server.datadir), &inside, &whole)
}

fn summary(
    files: &[TableFile<'_>],
    triggers: &BTreeMap<u64, String>,
    places: &Destinations,
    notes: Vec<String>,
) -> Extracted {
    let mut tables: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut with_rows = BTreeSet::new();
    for file in files {
        let table = match (file.role(), triggers.get(&file.member.header_offset)) {
            (_, Some(table)) => table.clone(),
            (TableFileRole::Table, None) => file.name(),
            // `db.opt` is no table's.
            _ => continue,
        };
        if file.holds_rows() {
            with_rows.insert(table.clone());
        }
        tables.entry(table).or_default().push(file.path.clone());
    }
    Extracted {
        without_rows: tables.keys().filter(|name| !with_rows.contains(*name)).cloned().collect(),
        bytes: files.iter().map(|file| file.member.size).sum(),
        tables,
        notes,
        owner_kept: places.owner_kept(),
    }
}
