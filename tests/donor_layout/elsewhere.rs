//! Files outside the data directory: named by options, by `.isl` files, by symbolic links.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::assert_whole;
use crate::support::ScriptedMysqld;
use crate::support::scripted_mysqld::Backup;

/// Something that is done to a server.
type Damage<'a> = &'a dyn Fn(&ScriptedMysqld);

/// The stored path and the origin of a file outside the data directory.
fn stored(backup: &Backup, variable: &str, original: &Path) -> PathBuf {
    let members: Vec<Value> = backup.index().into_iter().map(|mut line| line["member"].take()).collect();
    let wanted = original.to_str().unwrap();
    let member = members.iter().find(|member| member["origin"]["path"] == wanted);
    let member = member.unwrap_or_else(|| panic!("no member comes from '{wanted}'"));
    assert_eq!(member["origin"]["variable"], variable, "{member}");
    let root = member["origin"]["root"].as_str().unwrap();
    assert!(original.starts_with(root), "{member}");
    let path = PathBuf::from(member["path"].as_str().unwrap());
    assert!(path.starts_with(Path::new(".wsrep_sst_backup").join(variable)), "{member}");
    path
}

fn assert_stored(backup: &Backup, unpacked: &Path, variable: &str, original: &Path) {
    let path = unpacked.join(stored(backup, variable, original));
    assert_eq!(fs::read(&path).unwrap(), fs::read(original).unwrap(), "{}", path.display());
}

#[test]
fn directories_that_options_name_are_copied_with_their_own_files_only() {
    for by_arguments in [false, true] {
        let server = ScriptedMysqld::new();
        for (from, to) in [
            ("ibdata1", "home/ibdata1"),
            ("undo001", "undo/undo001"),
            ("ib_logfile0", "redo/ib_logfile0"),
            ("aria_log_control", "aria/aria_log_control"),
            ("aria_log.00000001", "aria/aria_log.00000001"),
        ] {
            server.write_outside(to, fs::read(server.datadir().join(from)).unwrap());
            fs::remove_file(server.datadir().join(from)).unwrap();
        }
        server.write_outside("home/ibdata2", vec![0; 65536]);
        server.write_outside("undo/extra_undo.ibu", vec![0; 65536]);
        server.write_outside("redo/#innodb_redo/#ib_redo7", "redo of MySQL 8.0.30");
        for folder in ["home", "undo", "redo", "aria"] {
            server.write_outside(&format!("{folder}/foreign.txt"), "of somebody else");
        }
        let at = |name: &str| server.path(name).to_string_lossy().into_owned();
        let options = [
            ("innodb_data_home_dir", at("home")),
            ("innodb-data-file-path", "ibdata1:1M;ibdata2:1M:autoextend:max:1G".to_owned()),
            ("innodb_undo_directory", at("undo/")),
            ("innodb_log_group_home_dir", "../redo".to_owned()),
            ("aria_log_dir_path", at("aria")),
        ];
        let outcome = if by_arguments {
            let words: Vec<String> =
                options.iter().map(|(name, value)| format!("'--{name}={value}'")).collect();
            server.asks().options(&format!("--mysqld-args {}", words.join(" "))).run()
        } else {
            let lines: Vec<String> =
                options.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            server.configure("mariadb", &lines.join("\n"));
            server.asks().run()
        };
        outcome.assert_backed_up(&server);
        let backup = server.backup();
        let unpacked = backup.unpack(&server.path("unpacked"));
        for (variable, file) in [
            ("innodb_data_home_dir", "home/ibdata1"),
            ("innodb_data_home_dir", "home/ibdata2"),
            ("innodb_undo_directory", "undo/undo001"),
            ("innodb_undo_directory", "undo/extra_undo.ibu"),
            ("aria_log_dir_path", "aria/aria_log_control"),
            ("aria_log_dir_path", "aria/aria_log.00000001"),
        ] {
            assert_stored(&backup, &unpacked, variable, &server.path(file));
        }
        for file in ["ib_logfile0", "#innodb_redo/#ib_redo7"] {
            let copy =
                fs::read(unpacked.join(".wsrep_sst_backup/innodb_log_group_home_dir").join(file)).unwrap();
            assert_eq!(copy, fs::read(server.path("redo").join(file)).unwrap(), "{file}");
        }
        assert!(!backup.members().iter().any(|path| path.contains("foreign")), "{:?}", backup.members());
        let system: Vec<Value> = ["ibdata1", "ibdata2"]
            .iter()
            .map(|name| backup.member(&format!(".wsrep_sst_backup/innodb_data_home_dir/{name}")).unwrap())
            .collect();
        assert!(system.iter().all(|member| member["system_tablespace"] == true), "{system:?}");
    }
}

#[test]
fn the_environment_names_the_data_home_where_nothing_else_does() {
    let server = ScriptedMysqld::new();
    fs::create_dir(server.path("home")).unwrap();
    fs::rename(server.datadir().join("ibdata1"), server.path("home/ibdata1")).unwrap();
    let home = server.path("home").to_string_lossy().into_owned();
    server.asks().env("INNODB_DATA_HOME_DIR", Some(&home)).run().assert_backed_up(&server);
    let backup = server.backup();
    assert_stored(
        &backup,
        &backup.unpack(&server.path("u")),
        "innodb_data_home_dir",
        &server.path("home/ibdata1"),
    );
}

#[test]
fn tables_elsewhere_are_copied_with_the_links_to_them() {
    let server = ScriptedMysqld::new();
    // DATA DIRECTORY of InnoDB: a text file with the path.
    let elsewhere = server.write_outside("space/db/far.ibd", vec![0; 65536]);
    server.write("db/far.isl", elsewhere.to_str().unwrap());
    let part = server.write_outside("space/db/part#P#p0.ibd", vec![0; 65536]);
    server.write("db/part#P#p0.isl", format!("{}\n", part.display()));
    server.write_outside("space/db/foreign.ibd", "of another server");
    server.write("db/gone.isl", server.path("space/db/gone.ibd").to_str().unwrap());
    // DATA DIRECTORY of MyISAM: a symbolic link.
    let myd = server.write_outside("myisam/t.MYD", "rows");
    server.write_outside("myisam/other.MYD", "of somebody else");
    symlink(&myd, server.datadir().join("db/t.MYD")).unwrap();
    // A whole database behind a link, and one inside the data directory.
    server.write_outside("bigdisk/linked/t.ibd", vec![0; 65536]);
    server.write_outside("bigdisk/linked/db.opt", "default-character-set=utf8mb4");
    symlink(server.path("bigdisk/linked"), server.datadir().join("linked")).unwrap();
    symlink("db", server.datadir().join("alias")).unwrap();
    symlink("/nowhere/at/all", server.datadir().join("db/broken.txt")).unwrap();
    let (backup, unpacked) = assert_whole(&server, &[]);
    assert_stored(&backup, &unpacked, "data_directory", &elsewhere);
    assert_stored(&backup, &unpacked, "data_directory", &part);
    assert_stored(&backup, &unpacked, "symlink", &myd);
    assert_stored(&backup, &unpacked, "symlink", &server.path("bigdisk/linked/t.ibd"));
    assert_stored(&backup, &unpacked, "symlink", &server.path("bigdisk/linked/db.opt"));
    let members = backup.members();
    assert!(
        !members.iter().any(|path| path.contains("foreign") || path.contains("other.MYD")),
        "{members:?}"
    );
    let warnings = backup.manifest["warnings"].to_string();
    assert!(warnings.contains("gone.isl' names") && warnings.contains("broken.txt' points to"), "{warnings}");
    let mut unique = members.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), members.len(), "each file once: {members:?}");
}

#[test]
fn a_system_tablespace_behind_a_link_is_restored_where_the_link_leads() {
    let server = ScriptedMysqld::new();
    let real = server.path("disk/system");
    fs::create_dir(server.path("disk")).unwrap();
    fs::rename(server.datadir().join("ibdata1"), &real).unwrap();
    symlink(&real, server.datadir().join("ibdata1")).unwrap();
    let (backup, unpacked) = assert_whole(&server, &[]);
    assert_stored(&backup, &unpacked, "symlink", &real);
    let content = fs::read(&real).unwrap();
    let tool = |words: &[&str]| {
        let repository = format!("--repository={}", server.repository().display());
        let program = env!("CARGO_BIN_EXE_wsrep_sst_backup");
        let ran = std::process::Command::new(program).args(words).arg(repository).output().unwrap();
        assert!(ran.status.success(), "{words:?}: {}", String::from_utf8_lossy(&ran.stderr));
    };
    tool(&["verify", "latest"]);
    fs::remove_file(&real).unwrap();
    let target = server.path("restored");
    let disk = real.parent().unwrap().to_str().unwrap();
    tool(&["restore", "latest", "--to", target.to_str().unwrap(), "--external", disk]);
    assert_eq!(fs::read_link(target.join("ibdata1")).unwrap(), real);
    assert!(fs::read(target.join("ibdata1")).unwrap() == content);
}

#[test]
fn what_is_not_there_is_refused_before_the_freeze() {
    let damage: [(&str, Damage<'_>, &str); 6] = [
        (
            "a raw device",
            &|server| {
                server.configure("mysqld", "innodb_data_file_path=ibdata1:1M;/dev/loop0:1Gnewraw");
            },
            "names the raw device '/dev/loop0'",
        ),
        (
            "a device",
            &|server| {
                server.configure("mysqld", "innodb_data_home_dir=\ninnodb_data_file_path=/dev/zero:1G");
            },
            "names the raw device '/dev/zero'",
        ),
        (
            "a DATA DIRECTORY that is not mounted",
            &|server| {
                server.write("db/t.isl", server.path("gone/db/t.ibd").to_str().unwrap());
            },
            "db/t.isl' names",
        ),
        (
            "a database that is not mounted",
            &|server| {
                symlink(server.path("gone"), server.datadir().join("other")).unwrap();
            },
            "data/other' points to",
        ),
        (
            "no redo log",
            &|server| {
                fs::remove_file(server.datadir().join("ib_logfile0")).unwrap();
            },
            "ib_logfile0', which innodb_log_group_home_dir names, is not there",
        ),
        (
            "an archive unpacked by hand",
            &|server| {
                let undo = ".wsrep_sst_backup/innodb_undo_directory/undo001";
                server.write(undo, vec![0; 65536]);
                server.configure("mysqld", "innodb_undo_directory=.wsrep_sst_backup/innodb_undo_directory");
            },
            "undo001', which innodb_undo_directory names, lies in '.wsrep_sst_backup'",
        ),
    ];
    for (what, damage, message) in damage {
        let server = ScriptedMysqld::new();
        damage(&server);
        let outcome = server.asks().run();
        assert_eq!(outcome.stdout, "", "{what}");
        outcome.assert_refused(&server, 22, message);
    }
}
