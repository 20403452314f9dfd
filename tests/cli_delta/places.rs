//! Mounts, links, disks with little room, and tablespaces elsewhere.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::node::{with_files_elsewhere, with_options};
use crate::support::cli::SmallDisk;
use crate::support::cli::open_folder;
use crate::support::cli::records::{UUID, edit_member};
use crate::support::noise;
use crate::{World, copy, restoring, still};

/// Something mounted over a directory, taken away again when the test ends.
struct Bind(PathBuf);

impl Bind {
    fn over(from: &Path, at: &Path, options: &str) -> Self {
        let mounted = Command::new("mount").args(["--bind"]).args([from, at]).status();
        assert!(mounted.unwrap().success());
        let bind = Self(at.to_owned());
        let options = format!("remount,bind,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(at).status().unwrap().success());
        bind
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

/// A device number does not tell a directory that is mounted from elsewhere on the same file system.
#[test]
fn mounts_are_not_entered() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let other = world.folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("t.frm"), "x").unwrap();
    fs::create_dir(world.node().join("mounted")).unwrap();
    let bind = Bind::over(&other, &world.node().join("mounted"), "rw");
    world.delta("").run().done();
    assert!(other.join("t.frm").exists());
    drop(bind);
    world.assert_restored(&["mounted"]);
}

/// What fails when the directory is partly replaced has given up nothing else: what the backup has not goes last, and the file by whose lock
/// Aria knows of another server is the old one till the end.
#[test]
fn a_failure_on_the_way_leaves_locks_and_extras() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::of(&crate::forge().directory("late").file("late/x.MYD", "x"));
    let node = world.node();
    let control = node.join("aria_log_control");
    fs::write(&control, [8; 52]).unwrap();
    let inode = fs::metadata(&control).unwrap().ino();
    fs::write(node.join("undo007"), "x").unwrap();
    fs::remove_file(node.join("late/x.MYD")).unwrap();
    let bind = Bind::over(&node.join("late"), &node.join("late"), "ro");
    let answer = world.delta("").run();
    answer.fails_with(1, "Read-only file system (os error 30); the data directory is partly replaced");
    // The same command needs the backup again, which 'prune' must not take meanwhile.
    let hold = world.backup.join("hold.json");
    assert!(fs::read_to_string(&hold).unwrap().contains("'restore --delta' on "));
    drop(bind);
    assert!(node.join("undo007").exists());
    assert_eq!(fs::metadata(&control).unwrap().ino(), inode);
    assert_eq!(fs::read(&control).unwrap(), [8; 52]);
    assert!(!node.join("grastate.dat").exists());
    world.delta("").run().done();
    world.assert_restored(&[]);
    assert!(!hold.exists());
}

/// Newer tables of a database that the backup has go, also where its directory is a mount.
#[test]
fn a_database_of_the_backup_is_looked_through_where_it_is_mounted() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::of(&crate::forge().directory("db/deeper").file("db/deeper/x", "x"));
    let disk = world.folder.path().join("disk");
    let _disk = SmallDisk::mount(&disk, 16);
    let there = disk.join("db");
    copy(&world.node().join("db"), &there);
    for name in ["new.frm", "new.ibd", "notes.txt"] {
        fs::write(there.join(name), "x").unwrap();
    }
    let bind = Bind::over(&there, &world.node().join("db"), "rw");
    let told = world.delta("--json").run().json();
    assert_eq!(told["delta"]["left"], json!([world.node().join("db/notes.txt")]));
    let mut found = still(&there);
    assert!(found.remove(Path::new("notes.txt")).is_some());
    let mut wanted = still(&world.wanted().join("db"));
    for tree in [&mut found, &mut wanted] {
        *tree = crate::support::cli::tree::without_blocks(tree);
    }
    crate::assert_same(&found, &wanted);
    drop(bind);
}

/// What is behind a link makes no room: the link is replaced by a directory.
#[test]
fn room_is_needed_for_a_database_that_is_a_link_here() {
    let world = World::new();
    let disk = world.folder.path().join("disk");
    let _disk = SmallDisk::mount(&disk, 5);
    let (node, far) = (disk.join("node"), world.folder.path().join("far"));
    copy(&world.wanted().join("db"), &far);
    copy(&world.wanted(), &node);
    fs::remove_dir_all(node.join("db")).unwrap();
    symlink(&far, node.join("db")).unwrap();
    let filler = disk.join("filler");
    assert!(fs::write(&filler, vec![7; 8 << 20]).is_err());
    let filled = fs::metadata(&filler).unwrap().len();
    File::options().write(true).open(&filler).unwrap().set_len(filled - (1 << 20)).unwrap();
    let before = (still(&node), still(&far));
    let answer = restoring(&world.repository(), &node, "--delta").run();
    answer.fails_with(1, &format!("'{}' has 1 MiB free", node.display()));
    assert!(answer.stderr.contains("nothing was written"), "{}", answer.stderr);
    crate::assert_same(&still(&node), &before.0);
    fs::remove_file(&filler).unwrap();
    let told = restoring(&world.repository(), &node, "--delta --json").run().json();
    assert!(told["delta"]["left"].as_array().unwrap().contains(&json!(far)), "{told}");
    crate::assert_same(&still(&node), &still(&world.wanted()));
    crate::assert_same(&still(&far), &before.1);
}

/// A redo log of which only what is needed is stored gets all its room.
#[test]
fn room_is_needed_for_all_of_a_redo_log() {
    let folder = open_folder();
    let mut log = vec![0; 8 << 20];
    log[..8192].copy_from_slice(&noise(8192, 8));
    let backup = crate::forge().sparse("ib_logfile0", log, &[(0, 8192)]).write(&folder.path().join("r"));
    edit_member(&backup, "ib_logfile0", |member| {
        member["live_redo"] = json!({"checkpoint_lsn": 4000, "end_lsn": 5000});
    });
    let repository = folder.path().join("r");
    let (whole, disk) = (folder.path().join("whole"), folder.path().join("disk"));
    restoring(&repository, &whole, "").run().done();
    assert!(fs::metadata(whole.join("ib_logfile0")).unwrap().blocks() * 512 >= 8 << 20);
    let _disk = SmallDisk::mount(&disk, 6);
    restoring(&repository, &disk.join("new"), "").run().fails_with(1, "MiB there; nothing was written");
    let node = disk.join("node");
    fs::remove_file(whole.join("ib_logfile0")).unwrap();
    copy(&whole, &node);
    let before = still(&node);
    restoring(&repository, &node, "--delta").run().fails_with(1, "MiB there; nothing was written");
    crate::assert_same(&still(&node), &before);
}

/// A node that has left its cluster as inconsistent has its history in its undo tablespaces, wherever they are.
#[test]
fn the_history_is_found_in_undo_tablespaces_elsewhere() {
    let (world, undo) = with_files_elsewhere("innodb_undo_directory", &["undo001", "undo002"]);
    let external = format!("--external {}", undo.display());
    let state = world.node().join("grastate.dat");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, text.replace(UUID, "00000000-0000-0000-0000-000000000000")).unwrap();
    let digits: String = UUID.chars().filter(|letter| *letter != '-').collect();
    let note = u128::from_str_radix(&digits, 16).unwrap().to_be_bytes();
    let options = format!("innodb_undo_directory = {}", undo.display());
    for name in ["undo001", "undo002"] {
        fs::write(undo.join("undo002"), vec![0; 9000]).unwrap();
        let without = with_options(&world, &options, &external).run();
        without.fails_with(1, "grastate.dat is not there or has no history");
        fs::write(undo.join(name), [&[0; 5000][..], b"WSREPXif", &note, &[0; 5000]].concat()).unwrap();
        let told = with_options(&world, &options, &format!("{external} --dry-run --json")).run().json();
        assert_eq!(told["dry_run"], true);
        fs::remove_file(undo.join(name)).unwrap();
    }
}
