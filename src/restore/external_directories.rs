//! The directories outside of the data directory that the index names and the operator allows.
//!
//! An index can be edited by whoever may write to the repository: its digest stands in the manifest beside it. What it
//! says of places is therefore only shown. A restore, which is root as a rule, writes to those that the operator has
//! named: with `--map`, or with `--external` where files go back to where they were.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::directory_map::AllowedDirectory;
use super::error::RestoreError;
use super::no_follow;
use super::request::RestoreRequest;
use crate::archive::Index;
use crate::model::{Member, MemberKind, Origin};
use crate::ui::{is_harmless, shell_word};

/// (variable, root on the donor) to the directory here.
pub(super) type Roots = BTreeMap<(String, PathBuf), PathBuf>;

/// The files below one root.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    files: u64,
    bytes: u64,
}

type ExternalSizes = BTreeMap<(String, PathBuf), Size>;

/// The directory here of each root; refuses one that the operator has not named, and a `--map` that fits nothing.
/// What lies below `target` was named with it.
pub(super) fn roots(index: &Index, request: &RestoreRequest, target: &Path) -> Result<Roots, RestoreError> {
    let found = find(index)?;
    let of = |variable: &str| found.keys().filter(|(name, _)| name == variable).count();
    for map in &request.maps {
        if of(&map.variable) == 0 {
            let mut known: Vec<&str> = found.keys().map(|(variable, _)| variable.as_str()).collect();
            known.dedup();
            let known =
                if known.is_empty() { "nothing outside its data directory".into() } else { known.join(", ") };
            return Err(RestoreError::Usage(format!("--map {}: the backup holds {known}", map.variable)));
        }
    }
    let named = named(&request.external)?;
    let (mut roots, mut unnamed) = (Roots::new(), ExternalSizes::new());
    for ((variable, root), size) in &found {
        let map = request.maps.iter().rev().find(|map| map.variable == *variable);
        let place = match map {
            None => root.clone(),
            Some(map) if of(variable) == 1 => map.directory.clone(),
            // Several roots keep their own paths below the new directory.
            Some(map) => map.directory.join(root.strip_prefix("/").unwrap_or(root)),
        };
        let real = resolved(&place)?;
        let is_named = real.starts_with(target) || named.iter().any(|directory| real.starts_with(directory));
        // A link below the directory of a `--map` may have been there before, and lead out of it.
        let is_mapped = match map {
            Some(map) => real.starts_with(resolved(&map.directory)?),
            None => false,
        };
        if is_named || is_mapped {
            roots.insert((variable.clone(), root.clone()), real);
        } else {
            unnamed.insert((variable.clone(), root.clone()), *size);
        }
    }
    if unnamed.is_empty() { Ok(roots) } else { Err(RestoreError::Unnamed(question(index, &unnamed))) }
}

/// The directories of `--external`, without links.
pub(super) fn named(external: &[AllowedDirectory]) -> Result<Vec<PathBuf>, RestoreError> {
    external.iter().map(|AllowedDirectory(directory)| resolved(directory)).collect()
}

fn resolved(path: &Path) -> Result<PathBuf, RestoreError> {
    no_follow::resolve(path).map_err(|why| RestoreError::Refused(format!("'{}' {why}", path.display())))
}

/// (variable, root) of everything that has an origin.
fn find(index: &Index) -> Result<ExternalSizes, RestoreError> {
    let mut found = ExternalSizes::new();
    for (member, origin) in index.members.iter().filter_map(|member| Some((member, member.origin.as_ref()?)))
    {
        if let Some(what) = objection(origin) {
            return Err(RestoreError::Refused(format!(
                "backup '{}' names a place outside of its data directory for '{}' {what}; nothing was written",
                index.header.id, member.path
            )));
        }
        let key = (origin.variable.clone(), origin.root.as_path().to_path_buf());
        add(found.entry(key).or_default(), member);
    }
    Ok(found)
}

fn objection(origin: &Origin) -> Option<String> {
    if !Origin::VARIABLES.contains(&origin.variable.as_str()) {
        let variable = origin.variable.escape_debug();
        return Some(format!(
            "by '{variable}', which this program does not know: use a newer wsrep_sst_backup"
        ));
    }
    // Such a name would show another list on a terminal than the one that is meant.
    let hides = |path: &Path| path.to_string_lossy().chars().any(|letter| !is_harmless(letter));
    hides(origin.root.as_path()).then(|| "with letters in its name that a terminal does not show".into())
}

fn add(size: &mut Size, member: &Member) {
    if member.kind != MemberKind::Directory {
        size.files += 1;
        size.bytes = size.bytes.saturating_add(member.size);
    }
}

/// What is asked of the operator, with the flags to paste.
fn question(index: &Index, unnamed: &ExternalSizes) -> Vec<String> {
    let mut lines = vec![format!(
        "backup '{}' holds files that were outside of the donor's data directory. They go only to places that you name; \
         nothing was written:",
        index.header.id
    )];
    let width = unnamed.keys().map(|(variable, _)| variable.len()).max().unwrap_or(0);
    for ((variable, root), Size { files, bytes }) in unnamed {
        let mebibytes = bytes.div_ceil(1 << 20);
        lines.push(format!("  {variable:width$}  {}  ({files} files, {mebibytes} MiB)", root.display()));
    }
    let mut back: Vec<&Path> = unnamed.keys().map(|(_, root)| root.as_path()).collect();
    back.sort_unstable();
    // What lies below another one is named with it. In the order of the names those follow each other.
    back.dedup_by(|below, above| below.starts_with(above));
    let back: Vec<String> = back.into_iter().map(|root| format!("--external {}", shell_word(root))).collect();
    let mut variables: Vec<&str> = unnamed.keys().map(|(variable, _)| variable.as_str()).collect();
    variables.dedup();
    let maps: Vec<String> = variables.into_iter().map(|variable| format!("--map {variable}=DIR")).collect();
    lines.push("Where these are the places that you expect, this puts them back there:".into());
    lines.push(format!("  {}", back.join(" ")));
    lines.push("Or into directories of your choice:".into());
    lines.push(format!("  {}", maps.join(" ")));
    lines
}
