//! What a node has besides the files that the backup has: directories of its own, logs, names that look like a server's.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::{Cli, cli, open_folder};
use crate::support::noise;
use crate::support::scratch::ServerUser;
use crate::{World, restoring, still};

/// The command, with an option file of a server on this data directory.
pub(crate) fn with_options(world: &World, lines: &str, more: &str) -> Cli {
    let file = world.folder.path().join("my.cnf");
    fs::write(&file, format!("[mysqld]\ndatadir = {}\n{lines}\n", world.node().display())).unwrap();
    let command = cli("restore latest --delta --defaults-file").arg(&file).own_defaults();
    let command = more.split_whitespace().fold(command, Cli::arg);
    command.on(&world.repository()).to(&world.node())
}

/// A node, restored as it is in its backup, with such files in a directory elsewhere.
pub(crate) fn with_files_elsewhere(variable: &str, names: &[&str]) -> (World, PathBuf) {
    let folder = open_folder();
    let far = folder.path().join("far");
    let mut forge = Forge::empty(ID).system("ibdata1", vec![0; 16 << 10]).file("aria_log_control", [7; 52]);
    for name in names {
        forge = forge.external(variable, &far, &far.join(name), noise(9000, 3));
    }
    let world = World { backup: forge.write(&folder.path().join("r")), folder };
    let external = format!("--external {}", far.display());
    restoring(&world.repository(), &world.node(), &external).run().done();
    (world, far)
}

/// Refused with this text in it, and the node is as before.
#[track_caller]
pub(crate) fn refused(world: &World, command: &Cli, text: &str) {
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
    let (world, undo) = with_files_elsewhere("innodb_undo_directory", &["undo002"]);
    let external = format!("--external {}", undo.display());
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

/// A disk on which this server has its undo tablespaces may have other servers' tables, too.
#[test]
fn files_of_tables_outside_are_replaced_only_where_they_are_named() {
    let (world, far) = with_files_elsewhere("data_directory", &["t.ibd"]);
    let disk = world.folder.path();
    let external = format!("--external {}", far.display());
    fs::write(far.join("t.ibd"), "somebody's").unwrap();
    let options = format!("innodb_undo_directory = {0}\nlog_bin = {0}/log", disk.display());
    refused(
        &world,
        &with_options(&world, &options, &external),
        "(data_directory) is there and would be replaced",
    );
    assert_eq!(fs::read(far.join("t.ibd")).unwrap(), b"somebody's");
    let named = format!("{external} --replace {}", far.display());
    with_options(&world, &options, &named).run().done();
    assert_eq!(fs::read(far.join("t.ibd")).unwrap(), noise(9000, 3));
}

#[test]
fn an_undo_tablespace_elsewhere_that_the_backup_has_not_is_refused_with_what_moves_it_away() {
    let (world, undo) = with_files_elsewhere("innodb_undo_directory", &["undo002"]);
    let external = format!("--external {}", undo.display());
    fs::write(undo.join("undo003"), "x").unwrap();
    let by_options = with_options(&world, &format!("innodb_undo_directory = {}", undo.display()), &external);
    let by_name = world.delta(&format!("{external} --replace {}", undo.display()));
    let cure = format!("mkdir {0}.old && mv {0}/undo003 {0}.old/", undo.display());
    for command in [&by_options, &by_name] {
        let text =
            format!("'{}' (innodb_undo_directory) is not in the backup", undo.join("undo003").display());
        refused(&world, command, &text);
        refused(&world, command, &cure);
    }
    assert!(Command::new("sh").args(["-c", &cure]).status().unwrap().success());
    by_options.run().done();
    by_name.run().done();
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
    // A database whose name leaves no room for ours behind it.
    let long = world.node().join("x".repeat(240));
    fs::create_dir(&long).unwrap();
    for name in ["db.opt", "t.frm", "t.ibd"] {
        fs::write(long.join(name), "x").unwrap();
    }
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
fn tables_of_engines_that_no_backup_has_are_not_left_beside_restored_files() {
    let world = World::new();
    let rocks = world.node().join("#rocksdb");
    fs::create_dir(&rocks).unwrap();
    world.delta("").run().done();
    world.assert_restored(&["#rocksdb"]);
    fs::write(rocks.join("CURRENT"), "x").unwrap();
    let away = format!("{}.MyRocks", world.node().display());
    let cure = format!("mkdir {away} && mv {} {away}/", rocks.display());
    refused(&world, &world.delta(""), &format!("'{}' has the tables of MyRocks, which no", rocks.display()));
    refused(&world, &world.delta("--dry-run"), &cure);
    assert!(Command::new("sh").args(["-c", &cure]).status().unwrap().success());
    world.delta("").run().done();
    world.assert_restored(&[]);
    fs::write(world.node().join("log000000000001.tokulog29"), "x").unwrap();
    refused(&world, &world.delta(""), "has the tables of TokuDB");
    fs::remove_file(world.node().join("log000000000001.tokulog29")).unwrap();
    // Where the option files have them.
    let command = with_options(&world, &format!("rocksdb_datadir = {away}"), "");
    refused(&world, &command, &format!("'{away}' has the tables of MyRocks"));
}

#[test]
fn that_no_option_file_tells_of_the_server_is_told() {
    let world = World::new();
    let text = format!("no option file here names '{}' as data directory", world.node().display());
    let position =
        "or its position (grastate.dat; wsrep_data_home_dir, base_dir of wsrep_provider_options) elsewhere";
    for command in [
        cli("restore latest --delta --dry-run").on(&world.repository()).to(&world.node()),
        cli("restore latest --delta").on(&world.repository()).to(&world.node()),
    ] {
        let answer = command.run();
        let told = [&text, position].map(|text| answer.stderr.matches(text).count());
        assert_eq!((answer.status, told), (Some(0), [1, 1]), "{}", answer.stderr);
    }
    with_options(&world, "", "").run().done();
    world.delta("--any-server").run().done();
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
    // Nor may this user hold a backup of another one.
    let answer = world.delta("").user(&user, world.folder.path()).run();
    assert_eq!(answer.status, Some(0), "{answer:?}");
    assert!(answer.stderr.contains("so the backup is not held while it is read"), "{answer:?}");
}
