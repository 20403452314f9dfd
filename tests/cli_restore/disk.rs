//! A disk that takes what is written, and loses it: the restore says so, and leaves nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::restoring;
use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::tree::{paths, tree};
use crate::support::cli::{Answer, SmallDisk, open_folder};
use crate::support::noise;

/// A repository, and a file system on which `syncfs` tells nothing (tmpfs).
struct Disk {
    folder: tempfile::TempDir,
    _disk: SmallDisk,
}

impl Disk {
    fn new() -> Self {
        let folder = open_folder();
        let forge = Forge::new(ID).file("db/big.MYD", noise(700_000, 1));
        forge.sparse("db/holes.MYD", vec![0; 1 << 20], &[(0, 4096)]).write(&folder.path().join("r"));
        let disk = SmallDisk::mount(&folder.path().join("disk"), 32);
        Self { folder, _disk: disk }
    }

    fn target(&self) -> PathBuf {
        self.folder.path().join("disk/data")
    }

    /// A restore under strace with these options.
    fn restore(&self, target: &Path, options: &str) -> Answer {
        let trace = self.folder.path().join("trace");
        let options = format!("-o {} {options}", trace.display());
        restoring(&self.folder.path().join("r"), target, "--as standalone").strace(&options).run()
    }

    fn trace(&self) -> String {
        fs::read_to_string(self.folder.path().join("trace")).unwrap()
    }
}

/// It has failed for this, and nothing is there.
#[track_caller]
fn assert_lost(answer: &Answer, target: &Path, why: &str) {
    answer.fails_with(1, why);
    assert!(answer.stderr.contains("what had been restored is removed"), "{answer:?}");
    let left = fs::read_dir(target).map_or(0, Iterator::count);
    assert_eq!(left, 0, "{answer:?}");
}

#[test]
#[ignore = "needs strace and root"]
fn each_file_that_the_disk_does_not_take_is_told_where_syncfs_does_not() {
    let disk = Disk::new();
    let target = disk.target();
    let mut steps = 0;
    loop {
        let inject = format!("-e trace=fsync -e inject=fsync:error=EIO:when={}", steps + 1);
        let answer = disk.restore(&target, &inject);
        if answer.status == Some(0) {
            break;
        }
        steps += 1;
        assert_lost(&answer, &target, "Input/output error");
    }
    fs::remove_dir_all(&target).unwrap();
    assert_eq!(disk.restore(&target, "-y -e trace=fsync,syncfs").status, Some(0));
    let trace = disk.trace();
    let found = tree(&target);
    let files: Vec<String> = paths(&found).into_iter().filter(|path| target.join(path).is_file()).collect();
    assert!(files.len() >= 7, "{files:?}");
    for file in &files {
        // The system tablespace has its hidden name then.
        let synced = format!("{}/{file}", target.display());
        let is_synced = trace.lines().any(|line| line.contains("fsync(") && line.contains(&synced));
        assert!(is_synced, "'{file}' was not synced: {trace}");
    }
    assert!(steps >= files.len() && trace.contains("syncfs("), "{steps} of {files:?}");
}

#[test]
#[ignore = "needs strace and root"]
fn what_syncfs_and_close_say_is_told_on_any_file_system() {
    let disk = Disk::new();
    for target in [disk.target(), disk.folder.path().join("data")] {
        let answer = disk.restore(&target, "-e trace=syncfs -e inject=syncfs:error=EIO");
        assert_lost(&answer, &target, &format!("cannot sync '{}", target.display()));
        let table = target.join("db/big.MYD");
        let options = format!("-P {} -e trace=close -e inject=close:error=EDQUOT", table.display());
        let answer = disk.restore(&target, &options);
        assert_lost(&answer, &target, &format!("cannot sync '{}': Disk quota exceeded", table.display()));
        assert_eq!(disk.restore(&target, "-e trace=syncfs").status, Some(0));
    }
}
