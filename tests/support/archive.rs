//! The archive of a backup, read with the distribution's own tools.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// An archive, read with the distribution's own tools.
#[derive(Debug)]
pub struct Archive {
    /// The archive object.
    pub path: PathBuf,
    /// The index object.
    pub index: PathBuf,
}

impl Archive {
    /// The command that writes the plain tar stream to its standard output.
    fn decompress(&self) -> &'static str {
        match self.path.extension().and_then(|e| e.to_str()) {
            Some("zst") => "zstd -dc",
            Some("gz") => "gzip -dc",
            Some("bz2") => "bzip2 -dc",
            _ => "cat",
        }
    }

    /// The names of the members, in their order, as `tar` shows them literally.
    pub fn members(&self) -> Vec<String> {
        let script = format!("{} \"$1\" | tar -t --quoting-style=literal", self.decompress());
        shell(&script, &[("1", &self.path)]).lines().map(str::to_owned).collect()
    }

    /// The names of those that are the server's: without what belongs to files that were stored while it ran.
    pub fn members_of_server(&self) -> BTreeSet<String> {
        let own = ["system/", "files/", "pages/", "apply"].map(|name| format!(".wsrep_sst_backup/{name}"));
        let is_own = |name: &String| own.iter().any(|own| name.starts_with(own));
        self.members().into_iter().filter(|name| !is_own(name)).collect()
    }

    /// The content of one member: of those with this name the last.
    pub fn member(&self, name: &str) -> String {
        let script = format!(
            "folder=$(mktemp -d); {} \"$1\" | tar -x -C $folder -- '{name}'; cat $folder/'{name}'; rm -r $folder",
            self.decompress()
        );
        shell(&script, &[("1", &self.path)])
    }

    /// The lines of the index.
    pub fn index(&self) -> Vec<Value> {
        let lines = shell("zstd -dc \"$1\"", &[("1", &self.index)]);
        lines.lines().map(|line| serde_json::from_str(line).expect("an index has lines of JSON")).collect()
    }

    /// Unpacks it as an administrator without our program would, compares every file with `SHA256SUMS`, and then runs the script in it, where there is one.
    pub fn unpack_with_stock_tools(&self, into: &Path) {
        let script = format!("{} \"$1\" | tar -x --same-owner -C \"$2\"", self.decompress());
        shell(&script, &[("1", &self.path), ("2", into)]);
        check_sums(into);
        shell("test ! -e \"$1\" || sh \"$1\"", &[("1", &into.join(".wsrep_sst_backup/apply"))]);
    }
}

/// `sha256sum -c` over an unpacked archive; panics with its findings.
pub fn check_sums(directory: &Path) {
    let found = shell("sha256sum -c --quiet --strict SHA256SUMS 2>&1", &[("", directory)]);
    assert_eq!(found, "", "sha256sum -c in '{}'", directory.display());
}

/// Runs a shell script that must succeed; the paths become `$1`, `$2`, …, that with an empty name the folder that it
/// runs in. A pipe fails when any of its commands does.
pub(super) fn shell(script: &str, paths: &[(&str, &Path)]) -> String {
    let mut command = Command::new("bash");
    command.args(["-c", &format!("set -euo pipefail; {script}"), "script"]);
    for (name, path) in paths {
        if name.is_empty() {
            command.current_dir(path);
        } else {
            command.arg(path);
        }
    }
    let output = command.output().expect("cannot run bash");
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{script} with {paths:?} failed:\n{out}{err}");
    out.into_owned()
}
