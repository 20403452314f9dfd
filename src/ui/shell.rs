//! Commands that somebody may paste into a shell.

use std::path::Path;

/// A path, or what else a backup names, as a word of the shell.
pub fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain =
        |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+' | '@' | '#' | '=');
    if text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}
