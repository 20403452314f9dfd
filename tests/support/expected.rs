//! What a fixture holds, as its generator knew it (`expected.json`), and the comparison with a tree on disk.
#![allow(dead_code, reason = "every test binary uses another part of it")]
#![allow(unreachable_pub, reason = "a module of each test binary")]

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::hex;

/// The document.
#[derive(Debug, Deserialize)]
pub struct Expected {
    pub id: String,
    pub cluster: String,
    pub node: String,
    pub uuid: String,
    pub seqno: i64,
    pub domain_id: Option<u32>,
    pub compression: String,
    pub files: u64,
    pub data_bytes: u64,
    pub members: Vec<ExpectedMember>,
}

/// One member. Of those that the donor program writes only kind, mode, size and digest are told.
#[derive(Debug, Clone, Deserialize)]
pub struct ExpectedMember {
    path_hex: String,
    pub kind: String,
    mode: String,
    pub size: Option<u64>,
    pub sha256: Option<String>,
    #[serde(default)]
    pub stored: u64,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub user: Option<String>,
    pub group: Option<String>,
    pub mtime: Option<i64>,
    #[serde(default)]
    pub mtime_nsec: u32,
    #[serde(default)]
    pub sparse: bool,
    pub segments: Option<Vec<(u64, u64)>>,
    pub target: Option<String>,
    pub origin: Option<ExpectedOrigin>,
    #[serde(default)]
    pub system_tablespace: bool,
    #[serde(default)]
    pub changed: bool,
}

/// Where a member from outside of the data directory was.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ExpectedOrigin {
    pub variable: String,
    pub root: String,
    pub path: String,
}

impl Expected {
    /// Of this fixture.
    pub fn read(case: &str) -> Self {
        let path = super::damage::fixtures().join(case).join("expected.json");
        serde_json::from_slice(&fs::read(&path).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }
}

impl ExpectedMember {
    /// Its path, in the bytes that it has.
    pub fn path(&self) -> PathBuf {
        let digit = |at| u8::from_str_radix(&self.path_hex[at..at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..self.path_hex.len()).step_by(2).map(digit).collect();
        PathBuf::from(OsString::from_vec(bytes))
    }

    /// Its permission bits.
    pub fn mode(&self) -> u32 {
        u32::from_str_radix(&self.mode, 8).unwrap()
    }

    /// Compares it with what is at `place`: kind, content, mode, time in seconds, holes, and as root the owner.
    #[track_caller]
    pub fn check_on_disk(&self, place: &Path) {
        let name = place.display();
        let data = fs::symlink_metadata(place).unwrap_or_else(|e| panic!("'{name}': {e}"));
        let kind = if data.is_dir() {
            "directory"
        } else if data.is_symlink() {
            "symlink"
        } else {
            "file"
        };
        assert_eq!(kind, self.kind.replace("generated", "file"), "'{name}'");
        if let Some((uid, gid)) = self.uid.zip(self.gid)
            && nix::unistd::geteuid().is_root()
        {
            assert_eq!((data.uid(), data.gid()), (uid, gid), "owner of '{name}'");
        }
        match kind {
            "symlink" => {
                let target = fs::read_link(place).unwrap();
                assert_eq!(Some(target.to_str().unwrap()), self.target.as_deref(), "'{name}'");
                return;
            }
            "file" => self.check_content(place, &data),
            _ => {}
        }
        assert_eq!(data.mode() & 0o7777, self.mode(), "mode of '{name}'");
        if let Some(mtime) = self.mtime {
            assert_eq!(data.mtime(), mtime, "time of '{name}'");
        }
    }

    fn check_content(&self, place: &Path, data: &fs::Metadata) {
        let name = place.display();
        if let Some(size) = self.size {
            assert_eq!(data.len(), size, "size of '{name}'");
        }
        if let Some(sha256) = &self.sha256 {
            assert_eq!(hex(&Sha256::digest(fs::read(place).unwrap())), *sha256, "content of '{name}'");
        }
        if self.sparse {
            // One block of the file system more for what lies at an edge.
            let most = self.stored.next_multiple_of(4096) + 4096;
            assert!(data.blocks() * 512 <= most, "'{name}' has {} blocks for {}", data.blocks(), self.stored);
        }
    }
}
