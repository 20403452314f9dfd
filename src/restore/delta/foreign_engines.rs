//! Tables of engines whose files no backup of a data directory has (MyRocks, TokuDB): beside restored files the server would find those of another
//! moment.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::capture::{unfrozen_directories, unfrozen_engine};
use crate::config::ServerOptions;
use crate::restore::error::RestoreError;
use crate::ui::{move_away, shell_word};

/// Refuses a data directory that has any, or whose server has them elsewhere. Only this node may have them: nothing of it is removed.
pub(super) fn refuse(target: &Path, options: Option<&ServerOptions>) -> Result<(), RestoreError> {
    let mut found: BTreeSet<(&str, PathBuf)> = BTreeSet::new();
    for entry in fs::read_dir(target).into_iter().flatten().flatten() {
        let engine = unfrozen_engine(&entry.file_name().to_string_lossy(), true);
        found.extend(engine.map(|engine| (engine, entry.path())));
    }
    let elsewhere = options.map(|options| unfrozen_directories(target, |name| options.get(name)));
    found.extend(elsewhere.into_iter().flatten().map(|(folder, engine)| (engine, folder)));
    found.retain(|(_, path)| holds_anything(path));
    let Some((engine, first)) = found.first().cloned() else { return Ok(()) };
    let names = found.iter().filter(|(of, _)| *of == engine).map(|(_, path)| shell_word(path));
    Err(RestoreError::Refused(format!(
        "'{}' has the tables of {engine}, which no backup of a data directory has: beside restored files they would be of another moment. Where they are \
         needed, write them out first (mariadb-dump on a server with these files). Move them away and restore again:  {}",
        first.display(),
        move_away(target, engine, names)
    )))
}

/// Whether it is more than an empty directory.
fn holds_anything(path: &Path) -> bool {
    match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => path.symlink_metadata().is_ok(),
    }
}
