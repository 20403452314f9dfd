//! Files in several mounts of one file system, and clones that fail although they had worked on trial.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Stage;
use super::support::scripted_mysqld::{Backup, shell};
use super::support::trees::assert_same_files;

/// A second mount of a folder, taken away again when the test ends.
struct BindMount(PathBuf);

impl BindMount {
    fn new(of: &Path, at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        shell(&at, &format!("mount --bind '{}' '{}'", of.display(), at.display()));
        Self(at)
    }
}

impl Drop for BindMount {
    fn drop(&mut self) {
        shell(Path::new("/"), &format!("umount '{}'", self.0.display()));
    }
}

/// A server whose redo log is on the same file system as everything else, in a mount of its own, as a volume of a container is.
fn with_redo_elsewhere(stage: &Stage) -> BindMount {
    let server = &stage.server;
    let folder = stage.disk.join("redo");
    fs::create_dir(&folder).unwrap();
    fs::rename(server.datadir().join("ib_logfile0"), folder.join("ib_logfile0")).unwrap();
    let mount = BindMount::new(&folder, stage.folder.path().join("redo"));
    server.configure("mysqld", &format!("innodb_log_group_home_dir={}", mount.0.display()));
    mount
}

/// Which files were cloned, each with the folder in which its clone was made: `strace` tells the path of a clone, and the number of the file, which was opened before.
fn cloned(trace: &str) -> Vec<(PathBuf, PathBuf)> {
    let path = |text: &str| PathBuf::from(text.split('>').next().unwrap());
    let (mut open, mut cloned) = (HashMap::new(), Vec::new());
    for line in trace.lines() {
        if let Some((call, rest)) = line.split_once("FICLONE, ") {
            let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let clone = path(call.split_once('<').unwrap().1);
            let file: &PathBuf = &open[&number];
            cloned.push((file.clone(), clone.parent().unwrap().to_path_buf()));
        } else if let Some((number, opened)) =
            line.rsplit_once(" = ").and_then(|(_, end)| end.split_once('<'))
        {
            open.insert(number.to_owned(), path(opened));
        }
    }
    cloned
}

/// Before Linux 5.18 no clone reaches from one mount to another one.
#[test]
#[ignore = "needs root, a loop device, xfsprogs and strace"]
fn each_file_is_cloned_within_its_own_mount() {
    let stage = Stage::new("method=snapshot");
    let redo = with_redo_elsewhere(&stage);
    let outcome = stage.server.asks().strace("-y -e trace=ioctl,openat").run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let trace = fs::read_to_string(stage.server.trace()).unwrap();
    let cloned = cloned(&trace);
    let of_redo = |path: &Path| path.starts_with(&redo.0);
    assert!(cloned.iter().any(|(file, _)| file.ends_with("ib_logfile0") && of_redo(file)), "{trace}");
    assert!(cloned.iter().any(|(file, _)| file.ends_with("ibdata1")), "{trace}");
    for (file, folder) in &cloned {
        assert_eq!(
            of_redo(file),
            of_redo(folder),
            "'{}' was cloned in '{}'",
            file.display(),
            folder.display()
        );
    }
}

/// `ProtectSystem=strict` leaves what no `ReadWritePaths=` names as it is, and nothing can be made there.
#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn where_nothing_can_be_made_a_clone_is_made_in_another_mount() {
    let stage = Stage::new("method=snapshot");
    let redo = with_redo_elsewhere(&stage);
    shell(Path::new("/"), &format!("mount -o remount,bind,ro '{}'", redo.0.display()));
    let outcome = stage.server.asks().run();
    assert_eq!(outcome.code, Some(0), "on Linux before 5.18 it would be refused: {}", outcome.stderr);
    assert!(!outcome.stderr.contains("cannot be cloned"), "{}", outcome.stderr);
    assert_eq!(Backup::open(&stage.attempt()).manifest["method"], "snapshot");
}

/// A clone of such a file is no more than the process may write, which no trial shows; so it is with a quota.
#[test]
#[ignore = "needs root, a loop device and xfsprogs"]
fn what_cannot_be_cloned_after_all_is_read_while_the_server_stands_still_unless_that_was_not_asked_for() {
    let stage = Stage::new("method=snapshot");
    let server = &stage.server;
    server.write("db/large.MYD", vec![7; 70 << 20]);
    let twin = stage.folder.path().join("twin");
    shell(&stage.disk, &format!("cp -a '{}' '{}'", server.datadir().display(), twin.display()));
    let ask = || server.asks().largest_file(20 << 20);
    let refused = ask().run();
    assert!(refused.stderr.contains("could not be cloned and are too much to be read"), "{}", refused.stderr);
    assert!(!refused.stdout.contains("done"), "{}", refused.stdout);
    fs::remove_dir_all(stage.repository()).unwrap();

    server.configure("wsrep_sst_backup", "method=auto");
    let outcome = ask().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("db/large.MYD' cannot be cloned: "), "{}", outcome.stderr);
    let backup = Backup::open(&stage.attempt());
    assert_eq!(backup.manifest["method"], "snapshot");
    let warnings = backup.manifest["warnings"].to_string();
    let told =
        "could not be cloned although that had worked on trial, and were read while the server stood still";
    assert!(warnings.contains(told) && warnings.contains("db/large.MYD"), "{warnings}");
    assert_same_files(&twin, &backup.unpack(&stage.folder.path().join("unpacked")));
}
