//! A backup in the repository, read with stock tools only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// One folder with a manifest.
#[derive(Debug)]
pub struct Backup {
    /// Where it is.
    pub folder: PathBuf,
    /// `manifest.json`.
    pub manifest: Value,
}

impl Backup {
    /// Reads the manifest.
    pub fn open(folder: &Path) -> Self {
        let path = folder.join("manifest.json");
        let text = fs::read(&path).unwrap_or_else(|e| panic!("cannot read '{}': {e}", path.display()));
        Self {
            folder: folder.to_owned(),
            manifest: serde_json::from_slice(&text).expect("manifest.json is JSON"),
        }
    }

    /// The lines of the index, unpacked by `zstd`.
    pub fn index(&self) -> Vec<Value> {
        let text = shell(&self.folder, "zstd -dc index.json.zst");
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).expect("an index line is JSON")).collect()
    }

    /// The index line of a member.
    pub fn member(&self, path: &str) -> Option<Value> {
        let members = self.index().into_iter().map(|mut line| line["member"].take());
        members.into_iter().find(|member| member["path"] == path)
    }

    /// The paths of all members as the index has them.
    pub fn members(&self) -> Vec<String> {
        let path = |line: &Value| line["member"]["path"].as_str().map(str::to_owned);
        self.index().iter().filter_map(path).collect()
    }

    /// Unpacks with `zstd -dc … | tar -x` (or the tool of the compression) and checks with `sha256sum -c`.
    pub fn unpack(&self, to: &Path) -> PathBuf {
        fs::create_dir_all(to).expect("cannot make a folder");
        let archive = self.manifest["archive"]["name"].as_str().expect("the archive has a name").to_owned();
        let cat = match archive.rsplit('.').next() {
            Some("zst") => "zstd -dc",
            Some("gz") => "gzip -dc",
            Some("bz2") => "bzip2 -dc",
            _ => "cat",
        };
        let archive = self.folder.join(archive);
        shell(
            to,
            &format!("{cat} '{}' | tar -x && sha256sum --strict --quiet -c SHA256SUMS", archive.display()),
        );
        to.to_owned()
    }

    /// Everything that anybody could read in it, unpacked, for a search.
    pub fn all_text(&self) -> Vec<u8> {
        shell(
            &self.folder,
            "cat manifest.json; zstd -dc index.json.zst; zstd -dc backup.tar.zst || cat backup.tar*",
        )
    }
}

/// What a line of bash prints; the test fails where it fails.
pub fn shell(folder: &Path, line: &str) -> Vec<u8> {
    let output = Command::new("bash").args(["-o", "pipefail", "-c", line]).current_dir(folder).output();
    let output = output.expect("cannot run bash");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
