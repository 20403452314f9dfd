//! Where the server of this data directory has its files, by its option files: the backup must go where it looks, and what is replaced outside of
//! the data directory must be its own.

use std::collections::BTreeSet;
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
use crate::ui::shell_word;

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
        "no option file here names '{}' as data directory: where its server has files of InnoDB or Aria elsewhere, or another name for its system \
         tablespace, it would start on those and not on what is restored. Name its option file (--defaults-file), or say --any-server",
        target.display()
    );
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
        let is_of = |path: &Path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            is_engine_file(&name) && starts.iter().any(|start| name.starts_with(start))
        };
        let files = index.members.iter().filter(|member| member.kind == MemberKind::File);
        let mut files =
            files.filter_map(|member| Some((member, places.of(member)?))).filter(|(member, here)| {
                let is_at_home = |origin: &crate::model::Origin| origin.variable == variable;
                is_of(here) && member.origin.as_ref().is_none_or(is_at_home)
            });
        if let Some((member, here)) = files.find(|(_, here)| !is_same(folder(here), &at)) {
            return Err(elsewhere(target, member, variable, &at, &here));
        }
        let has_any = index.members.iter().filter_map(|member| places.of(member)).any(|here| is_of(&here));
        let old = fs::read_dir(&at)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .find(|path| is_of(path));
        if let Some(old) = old.filter(|_| !has_any && !is_same(&at, target)) {
            return Err(RestoreError::Refused(format!(
                "'{}' ({variable}) is not in the backup, and a server would read it with what is restored; move it away",
                old.display()
            )));
        }
    }
    Ok(())
}

/// The directories in which undo tablespaces are: where the backup has its own, and where the server of this data directory looks for them.
pub(super) fn undo_folders(index: &Index, places: &Destinations, node: &DeltaNode) -> BTreeSet<PathBuf> {
    let is_undo = |place: &PathBuf| {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("undo") && is_engine_file(&name)
    };
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

/// Refuses to replace files outside of the data directory that nothing says to be this node's.
pub(super) fn check_external(
    index: &Index,
    places: &Destinations,
    node: &DeltaNode,
) -> Result<(), RestoreError> {
    let target = places.target();
    let mut own: BTreeSet<PathBuf> = named(&node.replace)?.into_iter().collect();
    if let Some(options) = &node.options {
        own.extend(ENGINES.iter().map(|(variable, _)| directory(target, options, variable)));
        own.extend(data_files(target, options).iter().map(|file| folder(file).to_path_buf()));
        own.extend(options.get("log_bin").map(|base| folder(&place(target, base)).to_path_buf()));
    }
    let files =
        index.members.iter().filter(|member| member.origin.is_some() && member.kind != MemberKind::Directory);
    for member in files.filter(|member| !places.is_passed_over(member)) {
        let Some(here) = places.of(member).filter(|here| !here.starts_with(target)) else { continue };
        let is_own =
            || own.iter().any(|directory| here.ancestors().skip(1).any(|above| is_same(directory, above)));
        if here.symlink_metadata().is_err() || is_own() {
            continue;
        }
        let variable = member.origin.as_ref().map_or("", |origin| origin.variable.as_str());
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
