//! What speaks against a list of files, in words.

use std::io;
use std::path::{Path, PathBuf};

/// Something of the server that cannot be read or is not there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Objection {
    /// Which.
    pub path: PathBuf,
    /// The whole sentence, with what to do.
    pub text: String,
}

/// A path for a message: names may hold newlines, and a message is one line of the error log.
pub(super) fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text.into_owned() }
}

/// For a file that is none of the server's and that its user may not read.
pub(super) fn left_out(path: &Path, cause: &io::Error) -> String {
    format!("'{}' cannot be read ({cause}) and is no file of the server's: it is left out", shown(path))
}

/// What belongs to the backup cannot be read.
pub(super) fn unreadable(path: &Path, cause: &io::Error) -> String {
    format!(
        "'{}' cannot be read ({cause}): give it to the server's user, mount what belongs there, or move it away if it is \
         none of the server's",
        shown(path)
    )
}
