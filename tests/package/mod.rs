//! What the tests of the packages share: the packages, built once, and roots to install them into.
#![allow(dead_code, reason = "every test binary uses another part")]

pub(crate) mod root;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, PoisonError};

/// The package of this format (`deb`, `rpm`, `oci`) with the program under test, built by `scripts/package`.
#[track_caller]
pub(crate) fn package(format: &'static str, release: u32) -> PathBuf {
    static BUILT: Mutex<BTreeMap<(&str, u32), PathBuf>> = Mutex::new(BTreeMap::new());
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = built.entry((format, release)).or_insert_with(|| {
        // Each test binary has packages of its own: several run at once.
        let binary = std::env::current_exe().expect("a name").file_stem().expect("a name").to_owned();
        let binary = binary.to_string_lossy().rsplit_once('-').map_or("tests", |(name, _)| name).to_owned();
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{binary}-{format}-{release}"));
        let _ = std::fs::remove_dir_all(&folder);
        let mut script = Command::new("scripts/package");
        // What cargo tells a test would have the cargo in the script build half of the dependencies anew.
        let told = std::env::vars_os().map(|(name, _)| name);
        let told = told.filter(|name| name.to_string_lossy().starts_with("CARGO_"));
        for name in told.filter(|name| name != "CARGO_HOME" && name != "CARGO_TARGET_DIR") {
            script.env_remove(name);
        }
        let built = script
            .args([format, "--quick", "--binary", env!("CARGO_BIN_EXE_wsrep_sst_backup"), "--output"])
            .arg(&folder)
            .env("RELEASE", release.to_string())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output();
        ok(&built.expect("cannot run scripts/package"));
        folder
    });
    let entries = std::fs::read_dir(folder).expect("the folder of the packages").flatten();
    let mut files = entries.map(|entry| entry.path());
    let is_wanted =
        |path: &PathBuf| path.to_string_lossy().trim_end_matches(".tar").ends_with(&format!(".{format}"));
    files.find(is_wanted).expect("no package")
}

/// What a program that has to succeed has printed, on both channels.
#[track_caller]
pub(crate) fn ok(output: &Output) -> String {
    let text = said(output);
    assert!(output.status.success(), "{}:\n{text}", output.status);
    text
}

/// What a program has printed.
pub(crate) fn said(output: &Output) -> String {
    let [out, err] =
        [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    format!("{out}{err}")
}

/// Runs a program here.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    ok(&output.unwrap_or_else(|error| panic!("cannot run '{program}': {error}")))
}
