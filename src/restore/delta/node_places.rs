//! Where the server of this data directory has its files, by its option files: the backup must go where it looks, and what is replaced outside of
//! the data directory must be its own.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use super::server_files::is_engine_file;
use crate::archive::Index;
use crate::capture::is_same_directory;
use crate::config::ServerOptions;
use crate::model::{Member, MemberKind};
use crate::restore::destinations::Destinations;
use crate::restore::directory_map::AllowedDirectory;
use crate::restore::error::RestoreError;
use crate::restore::external_directories::named;
use crate::ui::{move_away, shell_word};

/// The node whose data directory it is, as far as the directory itself does not tell.
#[derive(Debug, Default)]
pub struct DeltaNode {
    /// The options of its server, where option files name this data directory.
    pub options: Option<ServerOptions>,
    /// No option file names this data directory, though it should be that of this machine's server.
    pub is_unnamed: bool,
    /// Directories outside of the data directory in which files may be replaced, whatever the option files say.
    pub replace: Vec<AllowedDirectory>,
}

const DATA_HOME: &str = "innodb_data_home_dir";
const UNDO: &str = "innodb_undo_directory";
/// Variables of directories, and what the names of the files in them begin with. Where one is not set it is the data directory.
const ENGINES: [(&str, &[&str]); 3] =
    [("aria_log_dir_path", &["aria_log"]), ("innodb_log_group_home_dir", &["ib_"]), (UNDO, &["undo"])];

/// A place as the server of a data directory understands it.
fn place(target: &Path, text: &str) -> PathBuf {
    let whole: PathBuf = target.join(text).components().collect();
    fs::canonicalize(&whole).unwrap_or(whole)
}

fn directory(target: &Path, options: &ServerOptions, variable: &str) -> PathBuf {
    place(target, options.get(variable).unwrap_or(""))
}

/// The files of the system tablespace.
fn data_files(target: &Path, options: &ServerOptions) -> Vec<PathBuf> {
    let home = options.get(DATA_HOME).unwrap_or("");
    let files = options.get("innodb_data_file_path").unwrap_or("ibdata1");
    let names = files.split(';').filter_map(|file| file.split(':').next()).map(str::trim);
    names.map(|name| target.join(home).join(name).components().collect()).collect()
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other || is_same_directory(one, other)
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Says what is not known where no option file tells where a server's files are.
pub(super) fn tell_unnamed(target: &Path) {
    log::warn!(
        "no option file here names '{}' as data directory: where its server has files of InnoDB or Aria elsewhere, another name for its system \
         tablespace, or its position (grastate.dat; wsrep_data_home_dir, base_dir of wsrep_provider_options) elsewhere, it would start on those and not on \
         what is restored. Name its option file (--defaults-file), or say --any-server",
        target.display()
    );
}

/// Whether it is a file of an engine with one of these beginnings.
fn is_file_of(starts: &[&str], path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    is_engine_file(&name) && starts.iter().any(|start| name.starts_with(start))
}

/// Refuses a backup that would go elsewhere than where the server looks: it would start on its old files.
pub(super) fn check_goes_there(
    index: &Index,
    places: &Destinations,
    node: &DeltaNode,
) -> Result<(), RestoreError> {
    let Some(options) = &node.options else { return Ok(()) };
    let target = places.target();
    let looked_for = data_files(target, options);
    let tablespaces = index.members.iter().filter(|member| member.system_tablespace);
    for (member, here) in tablespaces.filter_map(|member| Some((member, places.of(member)?))) {
        let is_it =
            |file: &PathBuf| file.file_name() == here.file_name() && is_same(folder(file), folder(&here));
        if !looked_for.iter().any(is_it) {
            let at = looked_for.first().map_or(target, |file| folder(file));
            return Err(elsewhere(target, member, DATA_HOME, at, &here));
        }
    }
    for (variable, starts) in ENGINES {
        let at = directory(target, options, variable);
        let files = index.members.iter().filter(|member| member.kind == MemberKind::File);
        let mut files =
            files.filter_map(|member| Some((member, places.of(member)?))).filter(|(member, here)| {
                let is_at_home = |origin: &crate::model::Origin| origin.variable == variable;
                is_file_of(starts, here) && member.origin.as_ref().is_none_or(is_at_home)
            });
        if let Some((member, here)) = files.find(|(_, here)| !is_same(folder(here), &at)) {
            return Err(elsewhere(target, member, variable, &at, &here));
        }
    }
    Ok(())
}

/// Refuses files of an engine that the backup has not, in a directory of its elsewhere, where nothing goes: a server would read them.
pub(super) fn check_no_others(
    index: &Index,
    places: &Destinations,
    node: &DeltaNode,
) -> Result<(), RestoreError> {
    for (variable, starts) in ENGINES {
        let of_backup =
            places.external().filter(|(of, ..)| *of == variable).map(|(.., place)| place.to_path_buf());
        let of_node = node.options.as_ref().map(|options| directory(places.target(), options, variable));
        for at in of_backup.chain(of_node).collect::<BTreeSet<_>>() {
            refuse_others(index, places, (variable, &at), |path| is_file_of(starts, path))?;
        }
    }
    Ok(())
}

/// In a directory within the data directory such files go where the backup has others.
fn refuse_others(
    index: &Index,
    places: &Destinations,
    (variable, at): (&str, &Path),
    is_of: impl Fn(&Path) -> bool,
) -> Result<(), RestoreError> {
    let target = places.target();
    let wanted = index.members.iter().filter_map(|member| places.of(member));
    let ours: BTreeSet<OsString> = wanted
        .filter(|here| is_of(here) && is_same(folder(here), at))
        .filter_map(|here| here.file_name().map(OsStr::to_os_string))
        .collect();
    if is_same(at, target) || at.starts_with(target) && !ours.is_empty() {
        return Ok(());
    }
    let there = fs::read_dir(at).into_iter().flatten().flatten();
    let others: BTreeSet<PathBuf> = there
        .filter(|entry| !ours.contains(&entry.file_name()))
        .map(|entry| entry.path())
        .filter(|path| is_of(path))
        .collect();
    others.first().map_or(Ok(()), |first| {
        Err(RestoreError::Refused(format!(
            "'{}' ({variable}) is not in the backup, and a server would read it with what is restored. Move it away and restore again:  {}",
            first.display(),
            move_away(at, "old", others.iter().map(|other| shell_word(other)))
        )))
    })
}

/// The directories in which undo tablespaces are: where the backup has its own, and where the server of this data directory looks for them.
pub(super) fn undo_folders(index: &Index, places: &Destinations, node: &DeltaNode) -> BTreeSet<PathBuf> {
    let is_undo = |place: &PathBuf| is_file_of(&["undo"], place);
    let files = index.members.iter().filter(|member| member.kind == MemberKind::File);
    let of_the_backup = files.filter_map(|member| places.of(member)).filter(is_undo);
    let mut folders: BTreeSet<PathBuf> = of_the_backup.map(|place| folder(&place).to_path_buf()).collect();
    folders.insert(places.target().to_path_buf());
    folders.extend(node.options.as_ref().map(|options| directory(places.target(), options, UNDO)));
    folders
}

fn elsewhere(target: &Path, member: &Member, variable: &str, at: &Path, here: &Path) -> RestoreError {
    let cure = match &member.origin {
        Some(origin) => format!("--map {}={}", origin.variable, shell_word(at)),
        None => format!("set {variable} = {} in the group [mysqld]", folder(here).display()),
    };
    RestoreError::Refused(format!(
        "the option files name '{}' as data directory, and '{}' as the place of such files ({variable}), but '{}' of the backup would go to '{}': a \
         server would start on its old files there. Restore with  {cure}  - or with --any-server where another server uses the directory",
        target.display(),
        at.display(),
        member.path,
        here.display()
    ))
}

/// Where the server has its files of this variable. None for those of tables (`data_directory`, `symlink`): no option names their places, and a
/// directory of another variable may be a disk on which others have theirs.
fn directories_of(target: &Path, options: &ServerOptions, variable: &str) -> Vec<PathBuf> {
    let beside = |name: &str| options.get(name).map(|file| folder(&place(target, file)).to_path_buf());
    match variable {
        DATA_HOME => data_files(target, options).iter().map(|file| folder(file).to_path_buf()).collect(),
        "log_bin" => beside("log_bin").into_iter().collect(),
        "log_bin_index" => beside("log_bin_index").or_else(|| beside("log_bin")).into_iter().collect(),
        _ if ENGINES.iter().any(|(name, _)| *name == variable) => vec![directory(target, options, variable)],
        _ => Vec::new(),
    }
}

/// Refuses to replace files outside of the data directory that nothing says to be this node's.
pub(super) fn check_external(
    index: &Index,
    places: &Destinations,
    node: &DeltaNode,
) -> Result<(), RestoreError> {
    let target = places.target();
    let named = named(&node.replace)?;
    let files =
        index.members.iter().filter(|member| member.origin.is_some() && member.kind != MemberKind::Directory);
    for member in files.filter(|member| !places.is_passed_over(member)) {
        let Some(here) = places.of(member).filter(|here| !here.starts_with(target)) else { continue };
        let variable = member.origin.as_ref().map_or("", |origin| origin.variable.as_str());
        let own = || node.options.as_ref().map(|options| directories_of(target, options, variable));
        let is_below = |directory: &PathBuf| here.ancestors().skip(1).any(|above| is_same(directory, above));
        if here.symlink_metadata().is_err()
            || named.iter().any(is_below)
            || own().is_some_and(|own| own.iter().any(is_below))
        {
            continue;
        }
        return Err(RestoreError::Refused(format!(
            "'{}' ({variable}) is there and would be replaced, but no option file here that names '{}' as data directory says that it is of the same \
             server. Where it is, add  --replace {}",
            here.display(),
            target.display(),
            shell_word(folder(&here))
        )));
    }
    Ok(())
}
