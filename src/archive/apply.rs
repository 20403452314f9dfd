//! The shell script inside an archive that makes a data directory of what stock `tar` has unpacked.
//!
//! Names are literals of the shell in it, in single quotes: inside of them every byte stands for itself. It uses nothing beyond
//! POSIX (`dd`, `mv`, `rm`, `rmdir`, `wc`, `cat`), and `sync` where it is there.
//!
//! The order of its steps is what makes it safe to break off: until the last one a text stands in the place of each file of the
//! system tablespace, which no server starts on, and every step can be done again.

use crate::model::ArchivePath;

/// Name of the script.
pub const APPLY_MEMBER: &str = ".wsrep_sst_backup/apply";
/// Where page members are: `<this>/<n>`, and beside each one `<n>.runs`.
pub const PAGES_PREFIX: &str = ".wsrep_sst_backup/pages";
/// Where files of the system tablespace are: `<this>/<n>`.
pub const SYSTEM_PREFIX: &str = ".wsrep_sst_backup/system";
/// Where other files are that have another place: `<this>/<n>`.
pub const FILES_PREFIX: &str = ".wsrep_sst_backup/files";
/// Ending of the name of the member with the runs of a page member.
pub const RUNS_SUFFIX: &str = ".runs";

/// What stands in the place of a file of the system tablespace. InnoDB refuses it: it is shorter than a page.
pub const STAND_IN: &str = "This data directory was unpacked from a backup and is not complete yet.\n\
    Check it, and then put everything in place:\n\
    \x20   sha256sum --check --quiet SHA256SUMS\n\
    \x20   sh .wsrep_sst_backup/apply\n";

/// The steps that are left to do in a directory that was unpacked, each list in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ApplySteps {
    /// Old and new name; all at once.
    pub(super) moved: Vec<(ArchivePath, ArchivePath)>,
    /// Files that were gone.
    pub(super) removed: Vec<ArchivePath>,
    /// Folders that are there only because of files that were gone, those inside before those around.
    pub(super) folders: Vec<ArchivePath>,
    /// Page member, file that is patched (under the name that it has behind the moves), length of the member.
    pub(super) pages: Vec<(ArchivePath, ArchivePath, u64)>,
    /// Final size of a file.
    pub(super) resized: Vec<(ArchivePath, u64)>,
    /// Where a file stands and where it belongs.
    pub(super) placed: Vec<(ArchivePath, ArchivePath)>,
    /// The same of the files of the system tablespace, the one that the server opens first last.
    pub(super) system: Vec<(ArchivePath, ArchivePath)>,
}

impl ApplySteps {
    /// Whether there is nothing to do that stock `tar` cannot do, but for what was removed: whoever wants stock tools alone is told of that.
    pub(super) fn are_those_of_tar(&self) -> bool {
        let Self { moved, pages, resized, placed, system, .. } = self;
        moved.is_empty() && pages.is_empty() && resized.is_empty() && placed.is_empty() && system.is_empty()
    }
}

/// The text of the script.
pub(super) fn apply_script(steps: &ApplySteps) -> Vec<u8> {
    let mut text = b"#!/bin/sh\n\
        # Puts the files of an unpacked backup in place: changed pages, names, sizes, and at last the system tablespace.\n\
        # Check SHA256SUMS before. Run it as: sh DATADIR/.wsrep_sst_backup/apply\n"
        .to_vec();
    let numbered = steps.moved.iter().enumerate();
    let moved = numbered.map(|(number, (from, to))| [number.to_string().into_bytes(), word(from), word(to)]);
    function(&mut text, "each_moved", moved);
    function(&mut text, "each_removed", steps.removed.iter().map(|path| [word(path)]));
    function(&mut text, "each_folder", steps.folders.iter().map(|path| [word(path)]));
    let pages = steps.pages.iter();
    let pages = pages.map(|(member, file, bytes)| [word(member), word(file), bytes.to_string().into_bytes()]);
    function(&mut text, "each_pages", pages);
    let resized = steps.resized.iter();
    let resized = resized.map(|(file, bytes)| [word(file), bytes.to_string().into_bytes()]);
    function(&mut text, "each_resized", resized);
    function(&mut text, "each_placed", steps.placed.iter().map(|(from, to)| [word(from), word(to)]));
    function(&mut text, "each_system", steps.system.iter().map(|(from, to)| [word(from), word(to)]));
    text.extend_from_slice(include_bytes!("apply.sh"));
    text
}

/// A function that calls its argument with each of these.
fn function<const N: usize>(text: &mut Vec<u8>, name: &str, calls: impl Iterator<Item = [Vec<u8>; N]>) {
    text.extend_from_slice(format!("\n{name}() {{\n    :\n").as_bytes());
    for words in calls {
        text.extend_from_slice(b"    \"$1\"");
        for word in words {
            text.push(b' ');
            text.extend_from_slice(&word);
        }
        text.push(b'\n');
    }
    text.extend_from_slice(b"}\n");
}

/// A path as a word of the shell; never one that looks like an option.
fn word(path: &ArchivePath) -> Vec<u8> {
    let mut word = b"'./".to_vec();
    for byte in path.as_bytes() {
        match byte {
            b'\'' => word.extend_from_slice(b"'\\''"),
            other => word.push(*other),
        }
    }
    word.push(b'\'');
    word
}

/// The content of the member beside a page member: one line for each run.
pub(super) fn runs_text(runs: &[(u64, u64)]) -> Vec<u8> {
    runs.iter().flat_map(|(offset, length)| format!("{offset} {length}\n").into_bytes()).collect()
}

#[cfg(test)]
#[path = "apply_tests.rs"]
mod tests;
