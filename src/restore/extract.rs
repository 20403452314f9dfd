//! The files of some tables, without a server: only their blocks are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use super::created::{self, Created};
use super::tables::{Selection, TableFile};
use super::{Control, External, Places, Purpose, Request, RestoreError, open_stream, restore_member, target};
use crate::catalog::Source;
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
    /// Owners could not be set: this process is not root.
    pub owner_kept: Option<String>,
}

/// Writes the files of the tables to `DATABASE/FILE` below the target, wherever they lay on the donor.
pub fn extract(source: &Source, request: &Extract, control: &Control<'_>) -> Result<Extracted, RestoreError> {
    let index = source.index()?;
    let is_content = |file: &TableFile<'_>| {
        file.member.kind == MemberKind::File && file.path.extension() != Some("isl".as_ref())
    };
    let mut files = request.only.files(&index)?;
    files.retain(is_content);
    // The same file may be stored under two variables.
    let mut paths = BTreeSet::new();
    files.retain(|file| paths.insert(file.path.clone()));
    let places = places(source, &index, request)?;
    target::check_alone(
        &request.target,
        files.iter().map(|file| (request.target.join(&file.path), file.member.stored)),
    )?;
    let wanted: BTreeSet<u64> = files.iter().map(|file| file.member.header_offset).collect();
    let plan = index.plan_for(|member| wanted.contains(&member.header_offset));
    let mut stream = open_stream(source, &index, plan, request.threads)?;
    let mut created = Created::default();
    let outcome = files.iter().try_for_each(|file| {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(RestoreError::interrupted());
        }
        (control.progress)(file.member.header_offset);
        let place = request.target.join(&file.path);
        restore_member(&mut stream, source, file.member, &place, &places, control, &mut created)?;
        Ok(created.finish(file.member, &place, &places)?)
    });
    let outcome = outcome.and_then(|()| Ok(created::sync(&BTreeSet::new(), &request.target)?));
    if let Err(error) = outcome {
        return Err(error.undo(&mut created));
    }
    Ok(summary(&files, &places))
}

/// Owners are those of a restore of everything.
fn places(source: &Source, index: &crate::archive::Index, request: &Extract) -> Result<Places, RestoreError> {
    let whole = Request {
        target: request.target.clone(),
        purpose: Purpose::Standalone,
        maps: Vec::new(),
        external: vec![External("/".into())],
        threads: request.threads,
        only: None,
    };
    Places::new(Path::new(&source.manifest().server.datadir), index, &whole)
}

fn summary(files: &[TableFile<'_>], places: &Places) -> Extracted {
    let mut tables: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut with_rows = BTreeSet::new();
    for file in files.iter().filter(|file| !file.name().ends_with('.')) {
        tables.entry(file.name()).or_default().push(file.path.clone());
        if file.holds_rows() {
            with_rows.insert(file.name());
        }
    }
    Extracted {
        without_rows: tables.keys().filter(|name| !with_rows.contains(*name)).cloned().collect(),
        bytes: files.iter().map(|file| file.member.size).sum(),
        tables,
        owner_kept: places.owner_kept(),
    }
}
