//! A directory tree as it stands on the disk, to be compared with another one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Everything about one entry that a backup keeps.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// `f`, `d` or `l`.
    pub kind: char,
    /// The 12 permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Seconds and nanoseconds.
    pub mtime: (i64, i64),
    /// Size of a file.
    pub size: u64,
    /// Digest of the content, or the target of a link.
    pub content: Vec<u8>,
    /// What it takes on the disk.
    pub blocks: OnDisk,
}

/// KiB that a file takes on the disk, nearly: ext4 counts a block of its own with a file that lies in more than four places.
#[derive(Debug, Clone, Copy)]
pub struct OnDisk(pub u64);

/// What the file system's own blocks may take, KiB; less than a page of InnoDB.
const OWN_BLOCKS: u64 = 12;

impl PartialEq for OnDisk {
    fn eq(&self, other: &Self) -> bool {
        self.0.abs_diff(other.0) <= OWN_BLOCKS
    }
}

/// Entries by their path below the root.
pub type Tree = BTreeMap<PathBuf, Entry>;

/// Everything below `root`. What was put there without blocks in mind is compared by [`without_blocks`].
pub fn tree(root: &Path) -> Tree {
    let mut found = Tree::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let listing = fs::read_dir(&folder).unwrap_or_else(|e| panic!("'{}': {e}", folder.display()));
        for path in listing.flatten().map(|entry| entry.path()) {
            let entry = entry(&path);
            if entry.kind == 'd' {
                folders.push(path.clone());
            }
            found.insert(path.strip_prefix(root).expect("below the root").to_owned(), entry);
        }
    }
    found
}

/// One entry.
pub fn entry(path: &Path) -> Entry {
    let data = fs::symlink_metadata(path).unwrap_or_else(|e| panic!("'{}': {e}", path.display()));
    let (kind, content) = if data.is_symlink() {
        ('l', fs::read_link(path).expect("a link").as_os_str().as_bytes().to_vec())
    } else if data.is_dir() {
        ('d', Vec::new())
    } else if data.is_file() {
        ('f', Sha256::digest(fs::read(path).expect("a file")).to_vec())
    } else {
        ('?', Vec::new())
    };
    Entry {
        kind,
        mode: data.mode() & 0o7777,
        owner: (data.uid(), data.gid()),
        mtime: (data.mtime(), data.mtime_nsec()),
        size: if kind == 'd' { 0 } else { data.size() },
        content,
        blocks: OnDisk(if kind == 'f' { data.blocks() / 2 } else { 0 }),
    }
}

/// The same without what depends on the file system.
pub fn without_blocks(tree: &Tree) -> Tree {
    let plain =
        |(path, entry): (&PathBuf, &Entry)| (path.clone(), Entry { blocks: OnDisk(0), ..entry.clone() });
    tree.iter().map(plain).collect()
}

/// The paths, for a message that can be read.
pub fn paths(tree: &Tree) -> Vec<String> {
    tree.keys().map(|path| path.to_string_lossy().into_owned()).collect()
}

/// Says which entries differ, not only that some do.
#[track_caller]
pub fn assert_same(found: &Tree, wanted: &Tree) {
    assert_eq!(paths(found), paths(wanted));
    for (path, entry) in wanted {
        assert_eq!(found[path], *entry, "{}", path.display());
    }
}
