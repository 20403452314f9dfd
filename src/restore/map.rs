//! Where an administrator wants external files.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// `--map VAR=DIR`: the files of a variable go to another directory than they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// A server variable, `data_directory`, or `symlink`.
    pub variable: String,
    /// The new directory, absolute.
    pub directory: PathBuf,
}

impl FromStr for Map {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (variable, directory) = text.split_once('=').ok_or("it has the form VARIABLE=DIRECTORY")?;
        let directory: PathBuf = Path::new(directory).components().collect();
        if variable.trim().is_empty() {
            return Err("it names no variable".into());
        }
        if !directory.is_absolute() {
            return Err(format!("'{}' is not an absolute path", directory.display()));
        }
        Ok(Self { variable: variable.trim().replace('-', "_"), directory })
    }
}
