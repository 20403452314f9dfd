//! `restore --delta`: what comes of a data directory that is there is what a restore into an empty one gives, to the last byte, mode
//! and hole; and at no moment on the way does a server start on half of it.

#[path = "cli_delta/interruptions.rs"]
mod interruptions;
#[path = "cli_delta/kept.rs"]
mod kept;
#[path = "cli_delta/logs.rs"]
mod logs;
#[path = "cli_delta/meanwhile.rs"]
mod meanwhile;
#[path = "cli_delta/node.rs"]
mod node;
#[path = "cli_delta/places.rs"]
mod places;
#[path = "cli_delta/refusals.rs"]
mod refusals;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::cli::forge::{Forge, ID};
use support::cli::records::UUID;
use support::cli::tree::{Tree, assert_same, tree};
use support::cli::{Answer, Cli, cli, open_folder};
use support::noise;
use wsrep_sst_backup::model::Compression;

/// Bytes of a file that lies in several blocks: those of a forged backup have 256 KiB.
const LARGE: usize = 1_300_000;

/// A backup, what a restore of it into an empty directory gives, and the data directory of a node.
struct World {
    folder: tempfile::TempDir,
    /// The folder of the backup.
    backup: PathBuf,
}

impl World {
    fn of(forge: &Forge) -> Self {
        let folder = open_folder();
        let backup = forge.write(&folder.path().join("r"));
        let world = Self { folder, backup };
        restoring(&world.repository(), &world.wanted(), "").run().done();
        world.reset();
        world
    }

    fn new() -> Self {
        Self::of(&forge())
    }

    fn repository(&self) -> PathBuf {
        self.folder.path().join("r")
    }

    fn wanted(&self) -> PathBuf {
        self.folder.path().join("wanted")
    }

    fn node(&self) -> PathBuf {
        self.folder.path().join("node")
    }

    /// The node has exactly what the backup has.
    fn reset(&self) {
        copy(&self.wanted(), &self.node());
    }

    fn delta(&self, more: &str) -> Cli {
        restoring(&self.repository(), &self.node(), &format!("--delta {more}"))
    }

    /// Everything is as a usual restore makes it, and beside it only `left` is there.
    #[track_caller]
    fn assert_restored(&self, left: &[&str]) {
        let mut found = still(&self.node());
        for path in left {
            assert!(found.remove(Path::new(path)).is_some(), "'{path}' is not there any more");
        }
        assert_same(&found, &still(&self.wanted()));
    }
}

/// A data directory with everything that is treated in its own way.
fn forge() -> Forge {
    let mut holes = vec![0; 1 << 20];
    holes[65536..69632].fill(b'x');
    holes[..16384].fill(b'y');
    Forge::new(ID)
        .compression(Compression::Zstd)
        .file("db/big.MYD", noise(LARGE, 1))
        .file("db/other.MYD", noise(LARGE, 2))
        .file("db/small.MYD", "small")
        .file("db/empty.MYD", "")
        .sparse("db/holes.MYD", holes, &[(0, 16384), (65536, 4096)])
        .link("db/link.MYD", "t.MYD")
        .file("tail.bin", "the last")
}

/// No option file tells of the server of this directory, and none has to.
fn restoring(repository: &Path, target: &Path, more: &str) -> Cli {
    let command = cli(&format!("restore latest {more}")).on(repository).to(target);
    let is_delta = more.contains("--delta") && !more.contains("--any-server");
    if is_delta { command.arg("--any-server") } else { command }
}

/// What stands in place of the system tablespace of a delta restore that was interrupted, in this history.
fn mark(uuid: &str) -> String {
    format!(
        "This data directory is being restored by wsrep_sst_backup restore --delta and is not complete.\n\
         If no restore is running, it was interrupted: run the same command again.\nhistory: {uuid}\n"
    )
}

/// The node as one has left it that was interrupted.
fn interrupted(world: &World) {
    fs::remove_file(world.node().join("grastate.dat")).unwrap();
    fs::write(world.node().join("ibdata1"), mark(UUID)).unwrap();
}

/// With modes, owners, times and holes.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    let done = Command::new("cp").args(["-a", "--sparse=auto"]).args([from, to]).status();
    assert!(done.unwrap().success());
}

/// Without the time at which the restore itself has written its own file.
fn still(root: &Path) -> Tree {
    let mut tree = tree(root);
    if let Some(state) = tree.get_mut(Path::new("grastate.dat")) {
        state.mtime = (0, 0);
    }
    tree
}

/// One number of `--json`.
#[track_caller]
fn number(answer: &Answer, pointer: &str) -> u64 {
    let told = answer.json();
    told.pointer(pointer)
        .and_then(serde_json::Value::as_u64)
        .unwrap_or_else(|| panic!("no {pointer} in {told}"))
}
