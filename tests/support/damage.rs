//! Copies of the fixtures in `tests/fixtures/format-1`, and what can be done to them.
//!
//! Damage is action × place: an action ([`truncate`], [`flip`], [`append`], [`delete`], a lie in the JSON of manifest
//! or index) on one of the three objects. [`BROKEN`] lists the repositories that come of it, by name, with what a
//! reader must make of them:
//!
//! ```ignore
//! for broken in BROKEN {
//!     let fixture = broken.of("zstd");
//!     let status = wsrep_sst_backup(["verify", ID, "--repository", fixture.repository()]);
//!     assert_eq!(status, broken.outcome.exit_status());
//! }
//! ```
#![allow(dead_code, reason = "every test binary uses another part of it")]
#![allow(unreachable_pub, reason = "a module of each test binary")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use wsrep_sst_backup::archive::hex;

/// The fixtures. All but `inside` hold files from outside of the data directory.
pub const CASES: [&str; 6] = ["zstd", "gzip", "bzip2", "none", "inside", "other-writer"];
/// The folder of the cluster in every fixture.
pub const CLUSTER: &str = "fixture_cluster";
/// The id of the backup in every fixture.
pub const ID: &str = "20261120T113452Z_node_1";
/// The member that [`BROKEN`] damages where it damages one: the largest, alone in most of its blocks.
pub const VICTIM: &str = "db/bulk.MYD";

/// Where the fixtures of format 1 are.
pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/format-1")
}

/// A copy of one fixture, which may be damaged; it goes when it is dropped.
pub struct Fixture {
    folder: TempDir,
    /// Its name.
    pub case: String,
}

/// Copies a fixture.
pub fn copy_fixture(case: &str) -> Fixture {
    let fixture = Fixture { folder: tempfile::tempdir().unwrap(), case: case.to_owned() };
    fs::create_dir_all(fixture.backup()).unwrap();
    let from = fixtures().join(case).join("repository").join(CLUSTER).join(ID);
    for entry in fs::read_dir(&from).unwrap_or_else(|e| panic!("no fixture '{}': {e}", from.display())) {
        let entry = entry.unwrap();
        fs::copy(entry.path(), fixture.backup().join(entry.file_name())).unwrap();
    }
    fixture
}

impl Fixture {
    /// The repository.
    pub fn repository(&self) -> PathBuf {
        self.folder.path().join("repository")
    }

    /// The folder of the backup.
    pub fn backup(&self) -> PathBuf {
        self.repository().join(CLUSTER).join(ID)
    }

    /// `manifest.json`.
    pub fn manifest(&self) -> PathBuf {
        self.backup().join("manifest.json")
    }

    /// The index object.
    pub fn index(&self) -> PathBuf {
        self.backup().join("index.json.zst")
    }

    /// The archive object, whatever its name.
    pub fn archive(&self) -> PathBuf {
        let listing = fs::read_dir(self.backup()).unwrap();
        let is_tar = |path: &PathBuf| path.to_string_lossy().contains(".tar");
        listing.map(|entry| entry.unwrap().path()).find(is_tar).expect("no archive")
    }

    /// Changes a copy of the manifest.
    pub fn edit_manifest(&self, change: impl FnOnce(&mut Value)) {
        let mut manifest: Value = serde_json::from_slice(&fs::read(self.manifest()).unwrap()).unwrap();
        change(&mut manifest);
        fs::write(self.manifest(), manifest.to_string()).unwrap();
    }

    /// The lines of the index.
    pub fn index_lines(&self) -> Vec<Value> {
        let text = zstd::decode_all(&fs::read(self.index()).unwrap()[..]).unwrap();
        text.split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect()
    }

    /// Changes the index and lets the manifest say its new size and digest, so that nothing but the lie can be found.
    pub fn edit_index(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let mut lines = self.index_lines();
        change(&mut lines);
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let object = zstd::encode_all(text.as_bytes(), 1).unwrap();
        fs::write(self.index(), &object).unwrap();
        self.edit_manifest(|manifest| {
            manifest["index"]["bytes"] = object.len().into();
            manifest["index"]["sha256"] = hex(&Sha256::digest(&object)).into();
        });
    }

    /// Changes the index line of one member, as [`Self::edit_index`] does.
    pub fn edit_member(&self, path: &str, change: impl FnOnce(&mut Value)) {
        self.edit_index(|lines| {
            let line = lines.iter_mut().find(|line| line["member"]["path"] == path).expect("no such member");
            change(&mut line["member"]);
        });
    }

    /// A byte of the archive in the middle of a block that holds nothing but [`VICTIM`] (in the case `none`, of the
    /// member's own bytes).
    pub fn middle_of_victim(&self) -> u64 {
        let lines = self.index_lines();
        let member = &lines.iter().find(|line| line["member"]["path"] == VICTIM).unwrap()["member"];
        let number = |value: &Value| value.as_u64().unwrap();
        let (begin, end) = (number(&member["header_offset"]), number(&member["end_offset"]));
        let mut raw = 0;
        for block in lines.iter().filter(|line| line["block"].is_object()).map(|line| &line["block"]) {
            let next = raw + number(&block["raw"]);
            if self.case == "none" && raw <= begin && begin < next {
                return number(&block["offset"]) + (begin - raw).midpoint((end - raw).min(next - raw));
            }
            if begin < raw && next < end {
                return number(&block["offset"]) + number(&block["bytes"]) / 2;
            }
            raw = next;
        }
        panic!("'{VICTIM}' has no block of its own in '{}'", self.case);
    }
}

/// Cuts a file off behind its first `at` bytes.
pub fn truncate(file: &Path, at: u64) {
    assert!(at < length(file), "'{}' is no longer than {at}", file.display());
    OpenOptions::new().write(true).open(file).unwrap().set_len(at).unwrap();
}

/// Flips one bit (0 is the lowest) of one byte.
pub fn flip(file: &Path, byte: u64, bit: u8) {
    let mut bytes = fs::read(file).unwrap();
    bytes[usize::try_from(byte).unwrap()] ^= 1 << bit;
    fs::write(file, bytes).unwrap();
}

/// Appends bytes.
pub fn append(file: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).open(file).unwrap().write_all(bytes).unwrap();
}

/// Removes a file.
pub fn delete(file: &Path) {
    fs::remove_file(file).unwrap();
}

/// Size of a file.
pub fn length(file: &Path) -> u64 {
    fs::metadata(file).unwrap().len()
}

/// What a reader must make of a broken repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// There is no backup: none is offered, none is restored.
    NoBackup,
    /// It is damaged.
    Damaged,
    /// It needs a newer program.
    Newer,
}

impl Outcome {
    /// Of `verify` and `restore`.
    pub fn exit_status(self) -> i32 {
        match self {
            Self::NoBackup => 3,
            Self::Damaged => 4,
            Self::Newer => 1,
        }
    }
}

/// One way to break a repository.
pub struct Broken {
    /// Its name.
    pub name: &'static str,
    /// What a reader must make of it.
    pub outcome: Outcome,
    /// A word that its message must have: the object, the member, or the thing that differs.
    pub names: &'static str,
    act: fn(&Fixture),
}

impl Broken {
    /// A copy of this fixture, broken.
    pub fn of(&self, case: &str) -> Fixture {
        let fixture = copy_fixture(case);
        (self.act)(&fixture);
        fixture
    }
}

/// A copy of this fixture, broken in the way of this name.
pub fn broken(name: &str, case: &str) -> Fixture {
    BROKEN.iter().find(|broken| broken.name == name).unwrap_or_else(|| panic!("no '{name}'")).of(case)
}

const fn row(name: &'static str, outcome: Outcome, names: &'static str, act: fn(&Fixture)) -> Broken {
    Broken { name, outcome, names, act }
}

/// Every broken repository.
pub const BROKEN: &[Broken] = {
    use Outcome::{Damaged, Newer, NoBackup};
    &[
        row("manifest_deleted", NoBackup, ID, |f| delete(&f.manifest())),
        row("manifest_empty", Damaged, "manifest", |f| truncate(&f.manifest(), 0)),
        row("manifest_truncated", Damaged, "manifest", |f| {
            truncate(&f.manifest(), length(&f.manifest()) / 2);
        }),
        row("manifest_flipped", Damaged, "manifest", |f| flip(&f.manifest(), 0, 1)),
        row("manifest_of_another_backup", Damaged, "20261120T113453Z_node_1", |f| {
            f.edit_manifest(|manifest| manifest["id"] = "20261120T113453Z_node_1".into());
        }),
        row("manifest_without_archive_digest", Damaged, "sha256", |f| {
            f.edit_manifest(|manifest| drop(manifest["archive"].as_object_mut().unwrap().remove("sha256")));
        }),
        row("manifest_names_a_path", Damaged, "../", |f| {
            f.edit_manifest(|manifest| manifest["archive"]["name"] = "../backup.tar.zst".into());
        }),
        row("format_of_the_future", Newer, "format 3", |f| {
            f.edit_manifest(|manifest| manifest["format"] = 3.into());
        }),
        row("format_zero", Damaged, "format 0", |f| {
            f.edit_manifest(|manifest| manifest["format"] = 0.into());
        }),
        row("encryption_of_the_future", Newer, "encrypted", |f| {
            f.edit_manifest(|manifest| manifest["archive"]["encryption"] = "rot13".into());
        }),
        row("index_deleted", Damaged, "index.json.zst", |f| delete(&f.index())),
        row("index_empty", Damaged, "index.json.zst", |f| truncate(&f.index(), 0)),
        row("index_truncated", Damaged, "index.json.zst", |f| truncate(&f.index(), length(&f.index()) / 2)),
        row("index_flipped", Damaged, "index", |f| flip(&f.index(), length(&f.index()) / 2, 4)),
        row("index_without_end", Damaged, "cut off", |f| f.edit_index(|lines| drop(lines.pop()))),
        row("index_with_wrong_counts", Damaged, "counts", |f| {
            f.edit_index(|lines| lines.last_mut().unwrap()["end"]["members"] = 3.into());
        }),
        row("index_lacks_a_block", Damaged, "block", |f| {
            f.edit_index(|lines| {
                let at = lines.iter().position(|line| line["block"].is_object()).unwrap();
                lines.remove(at);
            });
        }),
        row("index_lacks_a_member", Damaged, "member", |f| {
            f.edit_index(|lines| lines.retain(|line| line["member"]["path"] != VICTIM));
        }),
        row("index_at_another_position", Damaged, "9007199254740992", |f| {
            f.edit_index(|lines| lines[0]["index"]["gtid"]["seqno"] = 9_007_199_254_740_992_u64.into());
        }),
        row("index_of_another_backup", Damaged, "20261120T113453Z_node_1", |f| {
            f.edit_index(|lines| lines[0]["index"]["id"] = "20261120T113453Z_node_1".into());
        }),
        row("index_of_another_compression", Damaged, "compression", |f| {
            let other = if f.case == "gzip" { "bzip2" } else { "gzip" };
            f.edit_index(|lines| lines[0]["index"]["compression"] = other.into());
        }),
        row("index_leaves_the_directory", Damaged, "unsafe path", |f| {
            f.edit_member(VICTIM, |member| member["path"] = "../../escaped".into());
        }),
        row("index_with_another_digest", Damaged, VICTIM, |f| {
            f.edit_member(VICTIM, |member| member["sha256"] = "0".repeat(64).into());
        }),
        row("index_with_another_name", Damaged, "db/renamed.MYD", |f| {
            f.edit_member(VICTIM, |member| member["path"] = "db/renamed.MYD".into());
        }),
        row("index_with_another_size", Damaged, VICTIM, |f| {
            f.edit_member(VICTIM, |member| member["size"] = 5.into());
        }),
        row("manifest_at_another_position", Damaged, "9007199254740992", |f| {
            f.edit_manifest(|manifest| manifest["gtid"]["seqno"] = 9_007_199_254_740_992_u64.into());
        }),
        row("archive_deleted", Damaged, ".tar", |f| delete(&f.archive())),
        row("archive_empty", Damaged, ".tar", |f| truncate(&f.archive(), 0)),
        row("archive_truncated", Damaged, VICTIM, |f| truncate(&f.archive(), f.middle_of_victim())),
        row("archive_lacks_its_last_byte", Damaged, ".tar", |f| {
            truncate(&f.archive(), length(&f.archive()) - 1);
        }),
        row("archive_with_a_byte_more", Damaged, ".tar", |f| append(&f.archive(), b"x")),
        row("archive_flipped", Damaged, VICTIM, |f| flip(&f.archive(), f.middle_of_victim(), 0)),
        row("archive_with_another_digest", Damaged, ".tar", |f| {
            f.edit_manifest(|manifest| manifest["archive"]["sha256"] = "0".repeat(64).into());
        }),
    ]
};
