//! The flags `--map` and `--external`: where files from outside the data directory go.

use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

/// `--map VAR=DIR`: the files of a variable go to another directory than they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryMap {
    /// A server variable, `data_directory`, or `symlink`.
    pub variable: String,
    /// The new directory, absolute.
    pub directory: PathBuf,
}

impl FromStr for DirectoryMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (variable, directory) = text.split_once('=').ok_or("it has the form VARIABLE=DIRECTORY")?;
        if variable.trim().is_empty() {
            return Err("it names no variable".into());
        }
        Ok(Self { variable: variable.trim().replace('-', "_"), directory: directory_of(directory)? })
    }
}

/// `--external DIR`: what was in this directory on the donor, or below it, may go back there.
///
/// An index can be edited by whoever may write to the repository, and it says itself where its files were. So no
/// restore believes it: the places that root writes to are the operator's to name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedDirectory(pub PathBuf);

impl FromStr for AllowedDirectory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let directory = directory_of(text)?;
        if directory == Path::new("/") {
            return Err("that is every place of this machine; name the directories".into());
        }
        Ok(Self(directory))
    }
}

fn directory_of(text: &str) -> Result<PathBuf, String> {
    let directory: PathBuf = Path::new(text).components().collect();
    if !directory.is_absolute() {
        return Err(format!("'{}' is not an absolute path", directory.display()));
    }
    if directory.components().any(|part| part == Component::ParentDir) {
        return Err(format!("'{}' has '..' in it", directory.display()));
    }
    Ok(directory)
}
