//! What a node has besides the files that the backup has: directories of its own, logs, names that look like a server's.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::{Cli, cli, open_folder};
use crate::support::noise;
use crate::support::scratch::ServerUser;
use crate::{World, restoring, still};

/// The command, with an option file of a server on this data directory.
fn with_options(world: &World, lines: &str, more: &str) -> Cli {
    let file = world.folder.path().join("my.cnf");
    fs::write(&file, format!("[mysqld]\ndatadir = {}\n{lines}\n", world.node().display())).unwrap();
    let command = cli("restore latest --delta --defaults-file").arg(&file).own_defaults();
    let command = more.split_whitespace().fold(command, Cli::arg);
    command.on(&world.repository()).to(&world.node())
}

/// Refused with this text in it, and the node is as before.
#[track_caller]
fn refused(world: &World, command: &Cli, text: &str) {
    let before = still(&world.node());
    command.run().fails_with(1, text);
    crate::assert_same(&still(&world.node()), &before);
}

#[test]
fn a_node_that_has_its_files_elsewhere_than_the_backup_puts_them_is_refused() {
    let world = World::new();
    let elsewhere = world.folder.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    for (line, text) in [
        ("innodb_undo_directory", "innodb_undo_directory"),
        ("innodb-data-home-dir", "innodb_data_home_dir"),
        ("aria_log_dir_path", "aria_log_dir_path"),
    ] {
        let command = with_options(&world, &format!("{line} = {}", elsewhere.display()), "");
        refused(&world, &command, &format!("as the place of such files ({text})"));
    }
    let command = with_options(&world, "innodb_data_file_path = other:12M:autoextend", "--any-server");
    command.run().done();
    let command = with_options(&world, "innodb_data_file_path = ibdata9:12M;ibdata1:12M", "--any-server");
    command.run().done();
    // The backup has no redo log, and the node has one there.
    let redo = with_options(&world, &format!("innodb_log_group_home_dir = {}", elsewhere.display()), "");
    redo.run().done();
    fs::write(elsewhere.join("ib_logfile0"), "x").unwrap();
    refused(&world, &redo, "is not in the backup, and a server would read it");
    with_options(&world, "innodb_undo_directory = .", "").run().done();
    world.assert_restored(&[]);
}

#[test]
fn files_outside_are_replaced_where_they_are_the_nodes_own_or_named() {
    let folder = open_folder();
    let undo = folder.path().join("undo");
    let forge = Forge::empty(ID)
        .system("ibdata1", vec![0; 16 << 10])
        .file("aria_log_control", [7; 52])
        .external("innodb_undo_directory", &undo, &undo.join("undo002"), noise(9000, 3));
    let world = World { backup: forge.write(&folder.path().join("r")), folder };
    let external = format!("--external {}", undo.display());
    restoring(&world.repository(), &world.node(), &external).run().done();
    fs::write(undo.join("undo002"), "somebody's").unwrap();
    let before = still(&undo);
    refused(&world, &world.delta(&external), "no option file here that names");
    let other = format!("{external} --replace {}", world.folder.path().join("other").display());
    refused(&world, &world.delta(&other), "no option file here that names");
    crate::assert_same(&still(&undo), &before);
    with_options(&world, &format!("innodb_undo_directory = {}", undo.display()), &external).run().done();
    assert_eq!(fs::read(undo.join("undo002")).unwrap(), noise(9000, 3));
    fs::write(undo.join("undo002"), "somebody's").unwrap();
    world.delta(&format!("{external} --replace {}", undo.display())).run().done();
    assert_eq!(fs::read(undo.join("undo002")).unwrap(), noise(9000, 3));
}

#[test]
fn what_only_looks_like_a_servers_file_stays() {
    let world =
        World::of(&crate::forge().directory("saved").directory("saved/old").file("saved/old/t.ibd", "x"));
    let node = world.node();
    let mut left = vec![
        "aria_log_control.bak",
        "backup.lock",
        "books.index",
        "books.000001",
        "db/export.CSV",
        "ibdata1.old",
        "my-agent.pid",
        "saved/new.ibd",
        "saved/old/new.ibd",
        "undo_notes.txt",
    ];
    for name in &left {
        fs::write(node.join(name), "x").unwrap();
    }
    // A repository would be looked for here, and an empty directory is nobody's database.
    fs::create_dir(node.join("nothing")).unwrap();
    fs::create_dir_all(node.join(".wsrep_sst_backup/mine")).unwrap();
    fs::write(node.join(".wsrep_sst_backup/mine/t"), "x").unwrap();
    left.extend(["nothing", ".wsrep_sst_backup", ".wsrep_sst_backup/mine", ".wsrep_sst_backup/mine/t"]);
    for name in ["ddl_log.log", "mysql-bin.000001", "mysql-bin.000002", "mysql-bin.state"] {
        fs::write(node.join(name), "x").unwrap();
    }
    fs::write(node.join("mysql-bin.index"), "./mysql-bin.000001\n").unwrap();
    assert_eq!(world.delta("").run().status, Some(0));
    world.assert_restored(&left);
}

#[test]
fn what_an_archive_has_left_goes() {
    let world = World::new();
    fs::create_dir_all(world.node().join(".wsrep_sst_backup/pages")).unwrap();
    fs::write(world.node().join(".wsrep_sst_backup/pages/1"), "x").unwrap();
    fs::create_dir(world.node().join("old.wsrep_sst_backup-restoring")).unwrap();
    fs::write(world.node().join("old.wsrep_sst_backup-restoring/t.ibd"), "x").unwrap();
    world.delta("").run().done();
    world.assert_restored(&[]);
}

#[test]
fn a_repository_in_the_data_directory_is_refused() {
    let world = World::new();
    let inside = world.node().join("backups");
    fs::rename(world.repository(), &inside).unwrap();
    restoring(&inside, &world.node(), "--delta").run().fails_with(1, "lies in the data directory");
    assert!(inside.join("c").join(ID).join("manifest.json").exists());
}

#[test]
fn binary_logs_that_are_newer_are_told_and_kept_from_all_but_a_node() {
    let world = World::new();
    let log = world.node().join("mysql-bin.000009");
    fs::write(&log, "rows").unwrap();
    fs::write(world.node().join("mysql-bin.index"), "./mysql-bin.000009\n").unwrap();
    fs::write(world.node().join("master.info"), "x").unwrap();
    // The backup is of a day that may be to come.
    let to_come = std::time::SystemTime::now() + std::time::Duration::from_secs(400 * 86400);
    File::options().write(true).open(&log).unwrap().set_modified(to_come).unwrap();
    for purpose in ["cluster", "standalone", "replica"] {
        let before = still(&world.node());
        let text = "binary logs that are newer than the backup would be lost";
        world.delta(&format!("--as {purpose}")).run().fails_with(1, text);
        crate::assert_same(&still(&world.node()), &before);
    }
    let told = world.delta("--dry-run --json").run().json();
    assert_eq!(told["delta"]["newer_logs"], json!([log]));
    let dry = world.delta("--dry-run").run();
    assert!(dry.done().contains("Note: binary logs that are newer than the backup go: "), "{}", dry.stdout);
    let answer = world.delta("").run();
    assert_eq!(answer.status, Some(0), "{}", answer.stderr);
    for text in ["binary logs that are newer than the backup go: ", "node/master.info"] {
        assert!(answer.stderr.contains(text), "{}", answer.stderr);
    }
    world.assert_restored(&[]);
}

#[test]
fn a_position_elsewhere_does_not_survive() {
    let world = World::new();
    let home = world.folder.path().join("wsrep");
    fs::create_dir(&home).unwrap();
    fs::copy(world.node().join("grastate.dat"), home.join("grastate.dat")).unwrap();
    let line = format!("wsrep_data_home_dir = {}", home.display());
    with_options(&world, &line, "--as standalone").run().done();
    assert!(!home.join("grastate.dat").exists());
    assert!(!world.node().join("grastate.dat").exists());
}

/// Of a run that is not root's nothing fails when the directory is half replaced: what it may not change is found before.
#[test]
fn what_another_user_owns_is_found_before() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let world = World::new();
    let user = ServerUser::current();
    let run = |path: &Path| {
        let command = world.delta("").user(&user, world.folder.path());
        refused(&world, &command, &format!("'{}' cannot be replaced by this user", path.display()));
    };
    user.own_tree(&world.node());
    fs::remove_file(world.node().join("tail.bin")).unwrap();
    for name in ["db/small.MYD", "empty"] {
        let path = world.node().join(name);
        let data = fs::metadata(&path).unwrap();
        std::os::unix::fs::chown(&path, Some(0), Some(0)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        run(&path);
        std::os::unix::fs::chown(&path, Some(user.uid), Some(user.gid)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(data.mode() & 0o777)).unwrap();
    }
    world.delta("").user(&user, world.folder.path()).run().done();
}

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
    drop(bind);
    assert!(node.join("undo007").exists());
    assert_eq!(fs::metadata(&control).unwrap().ino(), inode);
    assert_eq!(fs::read(&control).unwrap(), [8; 52]);
    assert!(!node.join("grastate.dat").exists());
    world.delta("").run().done();
    world.assert_restored(&[]);
}
