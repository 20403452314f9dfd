//! What is refused, and that nothing is touched then.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::cli::forge::{Forge, ID, edit_manifest, edit_member};
use crate::support::cli::tree::{Tree, assert_same, entry, tree};
use crate::support::cli::{FakeServer, SmallDisk, cli, open_folder};
use crate::support::damage::{BROKEN, Outcome, copy_fixture};
use crate::support::scratch::ServerUser;
use crate::{restore, restoring};

/// `restore` is refused with this status and text, and nothing below `folder` is another than before.
#[track_caller]
fn refused(folder: &Path, repository: &Path, target: &Path, more: &str, status: i32, text: &str) {
    let before = tree(folder);
    // What lies outside may go back to where it was.
    let more = format!("{more} --external {}", folder.display());
    restore(repository, target, &more).fails_with(status, text);
    assert_same(&tree(folder), &before);
}

#[test]
fn a_target_that_is_not_empty_is_never_touched() {
    let folder = open_folder();
    Forge::new(ID).write(&folder.path().join("r"));
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let place = target.display();
    let message = format!(
        "'{place}' is not empty; a restore overwrites nothing. Move its content away, or name another directory"
    );
    for name in ["ibdata1", ".hidden", "db/t.ibd", "grastate.dat"] {
        fs::create_dir_all(target.join(name).parent().unwrap()).unwrap();
        fs::write(target.join(name), "precious").unwrap();
        for more in ["", "--as cluster", "--as standalone", "--as replica"] {
            refused(folder.path(), &repository, &target, more, 1, &message);
        }
        fs::remove_dir_all(&target).unwrap();
    }
    fs::write(&target, "a file").unwrap();
    for (target, message) in [
        (target.clone(), format!("'{place}' is not a directory; name one that is empty, or a new one")),
        (target.join("below"), format!("'{place}/below' is not a directory")),
    ] {
        refused(folder.path(), &repository, &target, "", 1, &message);
    }
}

#[test]
fn a_directory_that_a_server_uses_is_refused() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let undo = folder.path().join("undo");
    Forge::new(ID).external("innodb_undo_directory", &undo, &undo.join("undo002"), "x").write(&repository);
    let programs = open_folder();
    for used in [&target, &undo] {
        fs::create_dir_all(&target).unwrap();
        fs::create_dir_all(&undo).unwrap();
        for name in ["mariadbd", "mysqld"] {
            let works = FakeServer::start(name, programs.path(), used, Stdio::null());
            let message = |server: &FakeServer| {
                format!(
                    "'{}' is in use by {name} (pid {}); stop that server first",
                    used.display(),
                    server.pid()
                )
            };
            refused(folder.path(), &repository, &target, "", 1, &message(&works));
            drop(works);
            let handle = File::open(used).unwrap();
            let reads = FakeServer::start(name, programs.path(), programs.path(), handle.into());
            refused(folder.path(), &repository, &target, "", 1, &message(&reads));
        }
        // Through a link, and with a file of its own in it.
        let link = folder.path().join("link");
        symlink(used, &link).unwrap();
        fs::write(target.join("ibdata1"), "live").unwrap();
        let _server = FakeServer::start("mariadbd", programs.path(), &link, Stdio::null());
        refused(folder.path(), &repository, &target, "", 1, "is in use by mariadbd");
        fs::remove_file(link).unwrap();
        fs::remove_dir_all(&target).unwrap();
    }
    // A server elsewhere, and somebody else here, are not in the way.
    fs::create_dir_all(&target).unwrap();
    let _elsewhere = FakeServer::start("mariadbd", programs.path(), programs.path(), Stdio::null());
    let _shell = FakeServer::start("bash", programs.path(), &target, Stdio::null());
    restore(&repository, &target, &format!("--external {}", folder.path().display())).done();
}

#[test]
fn too_little_space_is_known_before_a_byte_is_written() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let (small, large) = (folder.path().join("small"), folder.path().join("large"));
    let rows = vec![b'x'; 3 << 20];
    Forge::new(ID)
        .file("db/big.MYD", rows.clone())
        .external("innodb_undo_directory", &small, &small.join("undo002"), rows)
        .write(&repository);
    fs::create_dir(&large).unwrap();
    let _disk = SmallDisk::mount(&small, 2);
    let message = |needs: u64| {
        format!(
            "'{}' has 2 MiB free, the restore needs {needs} MiB there; nothing was written",
            small.display()
        )
    };
    // Only what is external goes there; all of it, by a map or as a data directory; a file system is asked once.
    refused(folder.path(), &repository, &large.join("data"), "", 1, &message(3));
    refused(folder.path(), &repository, &small.join("data"), "", 1, &message(7));
    let map = format!("--map innodb_undo_directory={}", large.join("undo").display());
    refused(folder.path(), &repository, &small.join("data"), &map, 1, &message(4));
    restore(&repository, &large.join("data"), &map).done();
}

#[test]
fn a_file_system_that_is_mounted_read_only_is_refused_by_its_name() {
    let folder = open_folder();
    let (repository, fixed) = (folder.path().join("r"), folder.path().join("fixed"));
    Forge::new(ID)
        .external("innodb_undo_directory", &fixed, &fixed.join("undo/undo002"), "x")
        .write(&repository);
    let _disk = SmallDisk::mount(&fixed, 2);
    let remount = ["-o", "remount,ro"];
    assert!(Command::new("mount").args(remount).arg(&fixed).status().unwrap().success());
    let message = |place: &Path| {
        format!(
            "'{}' is on the file system '{disk}', which is mounted read-only: mount it read-write (mount -o \
             remount,rw '{disk}'), or name another directory",
            place.display(),
            disk = fixed.display()
        )
    };
    let away = format!("--map innodb_undo_directory={}", folder.path().join("undo").display());
    for target in [fixed.clone(), fixed.join("not/there/yet")] {
        refused(folder.path(), &repository, &target, &away, 1, &message(&target));
    }
    refused(folder.path(), &repository, &folder.path().join("data"), "", 1, &message(&fixed));
    let target = fixed.join("tables");
    refused(folder.path(), &repository, &target, "--only db.*", 1, &message(&target));
}

#[test]
fn the_pace_is_told_once_the_target_is_accepted() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    Forge::new(ID).write(&repository);
    let slow = |target: &Path| restore(&repository, target, "--limit-rate 100M");
    let refusal = slow(Path::new("/"));
    assert_eq!((refusal.status, refusal.stderr.lines().count()), (Some(1), 1), "{}", refusal.stderr);
    assert!(!target.exists());
    let told = slow(&target);
    assert_eq!(told.status, Some(0), "{}", told.stderr);
    assert_eq!(
        told.stderr.matches("limit-rate is 100 MiB a second: this takes ").count(),
        1,
        "{}",
        told.stderr
    );
}

#[test]
fn holes_need_no_space() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let mut content = vec![0; 64 << 20];
    content[..4096].fill(1);
    Forge::new(ID).sparse("db/holes.ibd", content, &[(0, 4096)]).write(&repository);
    let target = folder.path().join("data");
    let _disk = SmallDisk::mount(&target, 2);
    restore(&repository, &target, "").done();
    let file = entry(&target.join("db/holes.ibd"));
    assert_eq!((file.size, file.blocks.0), (64 << 20, 4));
}

#[test]
fn a_file_in_an_external_place_is_never_touched() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let undo = folder.path().join("undo");
    Forge::new(ID)
        .external("innodb_undo_directory", &undo, &undo.join("undo002"), "x")
        .external("innodb_undo_directory", &undo, &undo.join("undo003"), "x")
        .write(&repository);
    fs::create_dir(&undo).unwrap();
    for put in ["file", "link", "directory"] {
        let path = undo.join("undo003");
        match put {
            "file" => fs::write(&path, "precious").unwrap(),
            "link" => symlink("/nonexistent", &path).unwrap(),
            _ => fs::create_dir(&path).unwrap(),
        }
        let message = format!(
            "'{}' exists already; the backup has this file outside its data directory. Move it away, or give another \
             place with --map",
            path.display()
        );
        refused(folder.path(), &repository, &target, "", 1, &message);
        let _ = fs::remove_file(&path);
    }
    let map = format!("--map innodb_undo_directory={}", folder.path().join("other").display());
    restore(&repository, &target, &map).done();
}

/// What the fixture `none` has outside of the data directory.
const OUTSIDE: [&str; 4] = ["data_directory", "innodb_data_home_dir", "innodb_log_group_home_dir", "symlink"];

#[test]
fn a_damaged_backup_leaves_the_target_as_it_was() {
    let user = ServerUser::current();
    for broken in BROKEN {
        for case in ["inside", "none"] {
            let fixture = broken.of(case);
            let folder = open_folder();
            let target = folder.path().join("data");
            // Missing, then empty with a mode and an owner of its own, then empty as an administrator makes it.
            for owner in [None, Some((user.uid, 4712)), Some((0, 0))] {
                if let Some((uid, gid)) = owner {
                    let _ = fs::create_dir(&target);
                    fs::set_permissions(&target, fs::Permissions::from_mode(0o2711)).unwrap();
                    chown(&target, Some(uid), Some(gid)).unwrap();
                }
                let before = still(&tree(folder.path()));
                let mut asked =
                    cli("restore").arg(crate::support::damage::ID).on(&fixture.repository()).to(&target);
                // Whatever it holds outside must not appear there either.
                let outside = if case == "none" { &OUTSIDE[..] } else { &[] };
                for variable in outside {
                    asked =
                        asked.arg("--map").arg(format!("{variable}={}/{variable}", folder.path().display()));
                }
                let answer = asked.run();
                let words = format!("{case}, {}: {}", broken.name, answer.stderr);
                assert_eq!(
                    (answer.status, answer.stdout.as_str()),
                    (Some(broken.outcome.exit_status()), ""),
                    "{words}"
                );
                assert_eq!(answer.stderr.lines().count(), 1, "{words}");
                if broken.outcome == Outcome::Damaged {
                    assert!(
                        answer.stderr.contains("damaged") || answer.stderr.contains("manifest is that of"),
                        "{words}"
                    );
                }
                assert_eq!(still(&tree(folder.path())), before, "{words}");
            }
        }
    }
    // The whole one can be restored.
    let folder = open_folder();
    cli("restore latest")
        .on(&copy_fixture("inside").repository())
        .to(&folder.path().join("data"))
        .run()
        .done();
}

/// Without the times, which a directory does not get back.
fn still(tree: &Tree) -> Tree {
    let mut tree = tree.clone();
    for entry in tree.values_mut() {
        entry.mtime = (0, 0);
    }
    tree
}

#[test]
fn damage_found_on_the_way_takes_external_files_back_too() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let (old, new) = (folder.path().join("old"), folder.path().join("new/deep"));
    fs::create_dir(&old).unwrap();
    fs::write(old.join("foreign"), "precious").unwrap();
    let backup = Forge::new(ID)
        .external("innodb_undo_directory", &old, &old.join("undo002"), "x")
        .external("aria_log_dir_path", &new, &new.join("aria_log.00000001"), "x")
        .external("log_bin", &new, &new.join("bin.000001"), "x")
        .write(&repository);
    edit_member(&backup, ".wsrep_sst_backup/log_bin/9bin.000001", |member| {
        member["sha256"] = "0".repeat(64).into();
    });
    let message = format!(
        "backup '{ID}' is damaged: .wsrep_sst_backup/log_bin/9bin.000001: its SHA-256 is \
         2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881, not that of the index; what had been restored \
         is removed ('verify' lists all damage)"
    );
    let before = still(&tree(folder.path()));
    restore(&repository, &target, &format!("--external {}", folder.path().display())).fails(4, &message);
    assert_eq!(still(&tree(folder.path())), before);
}

#[test]
fn a_manifest_that_contradicts_the_archive_is_not_followed() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    for (pointer, value, text) in [
        (
            "/mariadb_gtid/binlog_pos",
            "0-1-401",
            "it says mariadb_gtid.binlog_pos '0-1-401', the archive says '0-1-400'",
        ),
        ("/cluster", "d", "it says cluster 'd', the archive says 'c'"),
        ("/node", "n2", "it says node 'n2', the archive says 'n1'"),
        (
            "/gtid/uuid",
            "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5e",
            "it says position 4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5e:417 (domain 0)",
        ),
    ] {
        let backup = Forge::new(ID).write(&repository);
        edit_manifest(&backup, |manifest| *manifest.pointer_mut(pointer).unwrap() = value.into());
        let message = format!("backup '{ID}' is damaged: manifest.json: {text}");
        for more in ["", "--as replica"] {
            refused(folder.path(), &repository, &target, more, 4, &message);
        }
    }
    // What is only told does not keep anybody from restoring.
    let backup = Forge::new(ID).write(&repository);
    edit_manifest(&backup, |manifest| {
        for name in ["started", "frozen_at", "finished"] {
            manifest[name] = "2026-11-20T11:33:00Z".into();
        }
        manifest["server"]["datadir"] = "/flipped".into();
        manifest["request"] = "x".into();
    });
    restoring(&repository, &target, "").run().done();
}
