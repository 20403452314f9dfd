//! Which files a backup holds, found without SQL: from option files, mysqld's arguments and the directory itself.
//! What is unpacked by stock `tar` and `zstd` is compared with the server's own files.

mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use support::ScriptedMysqld;
use support::scripted_mysqld::{Backup, Outcome, names_in};

/// Everything below a folder: path, and the content, or the target of a link, or nothing for a folder.
fn tree(root: &Path) -> BTreeMap<PathBuf, (char, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let value = if kind.is_symlink() {
                ('l', fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec())
            } else if kind.is_dir() {
                folders.push(path.clone());
                ('d', Vec::new())
            } else if kind.is_file() {
                ('f', fs::read(&path).unwrap())
            } else {
                continue;
            };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), value);
        }
    }
    found
}

/// A backup, unpacked by stock tools.
fn back_up(server: &ScriptedMysqld) -> (Outcome, Backup, PathBuf) {
    let outcome = server.asks().run();
    outcome.assert_backed_up(server);
    let backup = server.backup();
    let unpacked = backup.unpack(&server.path("unpacked"));
    (outcome, backup, unpacked)
}

/// The same, where nothing but what belongs to one run of the server is missing or more.
fn assert_whole(server: &ScriptedMysqld, left_out: &[&str]) -> (Backup, PathBuf) {
    let mut wanted = tree(&server.datadir());
    wanted.retain(|path, _| {
        path != Path::new("grastate.dat") && !left_out.iter().any(|name| path.starts_with(OsStr::new(name)))
    });
    let (_, backup, unpacked) = back_up(server);
    let mut found = tree(&unpacked);
    for ours in ["wsrep_sst_backup.json", "grastate.dat", "SHA256SUMS"] {
        assert!(found.remove(Path::new(ours)).is_some(), "no {ours}");
    }
    found.retain(|path, _| !path.starts_with(".wsrep_sst_backup"));
    let names = |tree: &BTreeMap<PathBuf, _>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&wanted));
    for (path, value) in &wanted {
        assert!(found[path] == *value, "'{}' is not what the server has", path.display());
    }
    (backup, unpacked)
}

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
fn a_small_server_is_copied_file_by_file() {
    for compression in ["zstd", "gzip", "bzip2", "none"] {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", &format!("compression={compression}"));
        let odd = server.write("db/odd.frm", "x");
        fs::set_permissions(&odd, fs::Permissions::from_mode(0o604)).unwrap();
        std::os::unix::fs::chown(&odd, Some(12345), Some(54321)).unwrap();
        File::options()
            .write(true)
            .open(&odd)
            .unwrap()
            .set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000))
            .unwrap();
        let (backup, unpacked) = assert_whole(&server, &[]);
        let copy = fs::metadata(unpacked.join("db/odd.frm")).unwrap();
        assert_eq!(
            (copy.mode() & 0o7777, copy.uid(), copy.gid(), copy.mtime()),
            (0o604, 12345, 54321, 1_000_000_000)
        );
        let members = backup.members();
        assert_eq!(members[0], "wsrep_sst_backup.json");
        assert_eq!(members[members.len() - 2..], ["grastate.dat", "SHA256SUMS"]);
        assert_eq!(backup.manifest["files"], 15);
    }
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
    symlink("/nowhere/at/all", server.datadir().join("db/broken.MYI")).unwrap();
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
    assert!(warnings.contains("gone.isl' names") && warnings.contains("broken.MYI' points to"), "{warnings}");
    let mut unique = members.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), members.len(), "each file once: {members:?}");
}

#[test]
fn holes_stay_holes() {
    let server = ScriptedMysqld::new();
    // 16 KiB pages, each compressed to 4 KiB and the rest punched out, more of them than one tar header holds.
    let mut file = File::create(server.datadir().join("db/compressed.ibd")).unwrap();
    for page in 0..200_u64 {
        file.seek(SeekFrom::Start(page * 16384)).unwrap();
        file.write_all(&[0; 4096]).unwrap();
    }
    file.set_len(200 * 16384).unwrap();
    let empty = File::create(server.datadir().join("db/all_hole.ibd")).unwrap();
    empty.set_len(1 << 20).unwrap();
    let mut begins_with_hole = File::create(server.datadir().join("db/late.MYD")).unwrap();
    begins_with_hole.seek(SeekFrom::Start(1 << 20)).unwrap();
    begins_with_hole.write_all(b"end").unwrap();
    drop((file, empty, begins_with_hole));
    let (backup, unpacked) = assert_whole(&server, &[]);
    for (name, most) in [("db/compressed.ibd", 200 * 8), ("db/all_hole.ibd", 0), ("db/late.MYD", 8)] {
        let (here, there) =
            (fs::metadata(server.datadir().join(name)).unwrap(), fs::metadata(unpacked.join(name)).unwrap());
        assert_eq!(here.len(), there.len(), "{name}");
        assert_eq!(here.blocks(), most, "{name}: this file system makes no holes");
        assert!(
            there.blocks() <= here.blocks(),
            "{name}: {} blocks became {}",
            here.blocks(),
            there.blocks()
        );
        let member = backup.member(name).unwrap();
        assert_eq!((&member["sparse"], &member["size"]), (&true.into(), &here.len().into()), "{member}");
        assert!(member["stored"].as_u64().unwrap() <= here.blocks() * 512, "{member}");
    }
}

#[test]
fn names_are_bytes() {
    let server = ScriptedMysqld::new();
    let long = format!("{}/{}.ibd", "l".repeat(64), "@20ac".repeat(50));
    server.write(&long, vec![0; 16384]);
    server.write(format!("{}/{}", "d".repeat(200), "f".repeat(250)), "deep");
    symlink(format!("{}/target", "t".repeat(150)), server.datadir().join("db/long_link.MYD")).unwrap();
    for name in [
        &b"db/new\nline.MYD"[..],
        b"db/back\\slash.MYD",
        b"db/tab\tand\rreturn.MYD",
        b"db/latin\xe9\xff.MYD",
        b"db/%41percent%.MYD",
        b"db/ leading and trailing ",
        b"db/-rf",
        b"db/*?[glob].MYD",
        "db/größe_表.MYD".as_bytes(),
    ] {
        server.write(OsStr::from_bytes(name), name);
    }
    let (backup, _) = assert_whole(&server, &[]);
    assert!(backup.member("db/latin%E9%FF.MYD").is_some(), "{:?}", backup.members());
    assert!(backup.member("db/%2541percent%25.MYD").is_some());
}

#[test]
fn what_belongs_to_one_run_of_the_server_is_left_out() {
    let left = [
        "auto.cnf",
        "backup_sst_complete",
        "core.4711",
        "donor1.err",
        "donor1.pid",
        "galera.cache",
        "gcache.page.000001",
        "gvwstate.dat",
        "ibtmp1",
        "master.info",
        "mysql.sock.lock",
        "relay-log.info",
        "tables_flushed.tmp",
        "tc.log",
        "wsrep_sst.pid",
        "#innodb_temp",
        "lost+found",
        ".snapshot",
        "db/.zfs",
        "named.log",
        "logs/slow.txt",
        "tmp",
    ];
    let server = ScriptedMysqld::new();
    for name in &left[..15] {
        server.write(name, "of one run");
    }
    for folder in
        ["#innodb_temp/temp_1.ibt", "lost+found/1", ".snapshot/hourly/x", "db/.zfs/x", "tmp/#sql1.MAD"]
    {
        server.write(folder, "of one run");
    }
    server.write("named.log", "general");
    server.write("logs/slow.txt", "slow");
    server.configure("mysqld", "general_log_file=named.log\nslow_query_log_file=logs/slow.txt\ntmpdir=tmp");
    let _socket = std::os::unix::net::UnixListener::bind(server.datadir().join("mysql.sock")).unwrap();
    // Good names for a database or a table.
    for name in [
        "core/t.ibd",
        "sst_in_progress/t.ibd",
        "ibtmp_1/t.ibd",
        "db/core",
        "db/galera.cache",
        "db/ibtmp1.frm",
        "00/t.frm",
    ] {
        server.write(name, vec![0; 16384]);
    }
    // A colon separates directories in tmpdir and nowhere else.
    server.configure("mysqld", "log_error=12:00");
    let (backup, _) = assert_whole(&server, &left);
    assert!(backup.member("logs").is_some());
    assert_eq!(backup.manifest["warnings"].as_array().unwrap().len(), 1, "{}", backup.manifest["warnings"]);
}

/// A server whose binary logs are 1 to 3, at these places.
fn with_binlogs(base: &str, index: &str) -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    let at = |name: String| server.datadir().join(name);
    let mut lines = String::new();
    for number in 1..=3 {
        let name = format!("{base}.00000{number}");
        fs::create_dir_all(at(name.clone()).parent().unwrap()).unwrap();
        fs::write(at(name.clone()), format!("events {number}")).unwrap();
        lines = format!(
            "{lines}{}\n",
            if base.starts_with("..") {
                at(name).to_string_lossy().into_owned()
            } else {
                format!("./{name}")
            }
        );
    }
    fs::create_dir_all(at(index.to_owned()).parent().unwrap()).unwrap();
    fs::write(at(index.to_owned()), lines).unwrap();
    fs::write(at(format!("{base}.state")), "0-1-3").unwrap();
    server
}

fn binlogs_of(backup: &Backup) -> Vec<String> {
    let mut found: Vec<String> =
        backup.members().into_iter().filter(|path| path.contains("bin.") || path.ends_with(".idx")).collect();
    found.sort();
    found
}

#[test]
fn binary_logs_are_copied_by_choice_and_the_index_names_what_is_there() {
    for (choice, wanted, index) in [
        (None, &["a-bin.000003", "a-bin.index"][..], "./a-bin.000003\n"),
        (Some("newest"), &["a-bin.000003", "a-bin.index"], "./a-bin.000003\n"),
        (
            Some("all"),
            &["a-bin.000001", "a-bin.000002", "a-bin.000003", "a-bin.index"],
            "./a-bin.000001\n./a-bin.000002\n./a-bin.000003\n",
        ),
        (Some("none"), &[], ""),
    ] {
        let server = with_binlogs("a-bin", "a-bin.index");
        if let Some(choice) = choice {
            server.configure("wsrep_sst_backup", &format!("binlogs={choice}"));
        }
        let outcome = server.asks().options("--binlog 'a-bin' --binlog-index 'a-bin.index'").run();
        outcome.assert_backed_up(&server);
        let backup = server.backup();
        assert_eq!(binlogs_of(&backup), wanted, "{choice:?}");
        let unpacked = backup.unpack(&server.path("unpacked"));
        assert_eq!(fs::read_to_string(unpacked.join("a-bin.index")).unwrap_or_default(), index, "{choice:?}");
    }
}

#[test]
fn binary_logs_elsewhere_are_found() {
    let kept = ".wsrep_sst_backup/log_bin";
    for (base, index, options, wanted) in [
        (
            "../logs/a-bin",
            "../logs/a-bin.index",
            "--binlog '../logs/a-bin'",
            vec![format!("{kept}/a-bin.000003"), format!("{kept}/a-bin.index")],
        ),
        (
            "../logs/a-bin",
            "../indexes/b-bin.index",
            "--binlog '../logs/a-bin' --binlog-index '../indexes/b-bin'",
            vec![format!("{kept}/a-bin.000003"), ".wsrep_sst_backup/log_bin_index/b-bin.index".to_owned()],
        ),
        (
            "a-bin",
            "../indexes/b-bin.index",
            "--binlog a-bin --binlog-index '../indexes/b-bin.index'",
            vec![".wsrep_sst_backup/log_bin_index/b-bin.index".to_owned(), "a-bin.000003".to_owned()],
        ),
        (
            "../logs/a-bin",
            "b-bin.index",
            "--binlog '../logs/a-bin' --binlog-index 'b-bin.index'",
            vec![format!("{kept}/a-bin.000003"), "b-bin.index".to_owned()],
        ),
        // MariaDB cuts the name at its first dot: --log-bin=db1.example.com-bin makes db1.000001 (seen, 10.11.19).
        (
            "db1bin",
            "db1bin.index",
            "--binlog 'db1bin.example.com-bin'",
            vec!["db1bin.000003".to_owned(), "db1bin.index".to_owned()],
        ),
    ] {
        let server = with_binlogs(base, index);
        let outcome = server.asks().options(options).run();
        outcome.assert_backed_up(&server);
        let backup = server.backup();
        assert_eq!(binlogs_of(&backup), wanted, "{options}");
        let unpacked = backup.unpack(&server.path("unpacked"));
        for path in &wanted {
            assert!(unpacked.join(path).is_file(), "{options}: {path}");
            assert_eq!(
                backup.member(path).unwrap()["origin"].is_null(),
                !path.starts_with(".wsrep_sst_backup"),
                "{path}"
            );
        }
    }
}

#[test]
fn files_that_change_while_they_are_read_break_nothing() {
    let server = ScriptedMysqld::new();
    // Three seconds of other data first, so that all of this happens between the listing and the copy.
    server.make_slow(20);
    let log = server.write("mysql/general_log.CSV", vec![b'g'; 100_000]);
    let shrinking = server.write("mysql/slow_log.CSV", vec![b's'; 3_000_000]);
    let vanishing = server.write("zz/vanishing.MYD", "soon gone");
    server.write("zz/staying.MYD", "stays");
    let run = server.asks().progress().start();
    run.wait_for("total ");
    // Shrinks and grows while it is open is played below; here before it is opened.
    File::options().append(true).open(&log).unwrap().write_all(b"one line more").unwrap();
    File::options().write(true).open(&shrinking).unwrap().set_len(10).unwrap();
    fs::remove_file(&vanishing).unwrap();
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    let unpacked = backup.unpack(&server.path("unpacked"));
    assert_eq!(fs::read(unpacked.join("mysql/general_log.CSV")).unwrap(), fs::read(&log).unwrap());
    assert_eq!(fs::read(unpacked.join("mysql/slow_log.CSV")).unwrap(), b"ssssssssss");
    assert!(!unpacked.join("zz/vanishing.MYD").exists() && unpacked.join("zz/staying.MYD").exists());
    assert!(
        backup.manifest["warnings"].to_string().contains("1 files vanished"),
        "{}",
        backup.manifest["warnings"]
    );
}

#[test]
fn a_file_that_changes_while_it_is_open_is_marked() {
    for grows in [true, false] {
        let server = ScriptedMysqld::new();
        server.make_slow(40);
        let noise = server.datadir().join("db/noise.MYD");
        let before = fs::read(&noise).unwrap();
        let run = server.asks().start();
        run.wait_for("flush tables");
        std::thread::sleep(Duration::from_millis(300));
        let file = File::options().write(true).open(&noise).unwrap();
        file.set_len(if grows { 50 << 20 } else { 39 << 20 }).unwrap();
        let outcome = run.finish();
        outcome.assert_backed_up(&server);
        let backup = server.backup();
        let copy = fs::read(backup.unpack(&server.path("unpacked")).join("db/noise.MYD")).unwrap();
        let mut wanted = before;
        if !grows {
            wanted[39 << 20..].fill(0);
        }
        assert!(copy == wanted, "grows: {grows}, {} bytes", copy.len());
        let member = backup.member("db/noise.MYD").unwrap();
        assert_eq!(member["changed"], true, "{member}");
        assert!(backup.member("db/t.ibd").unwrap()["changed"].is_null());
    }
}

#[test]
fn donors_that_write_at_the_same_time_do_not_disturb_each_other() {
    let home = ScriptedMysqld::new();
    let servers: Vec<ScriptedMysqld> =
        ["n1", "n2", "same", "same", "same"].iter().map(|name| ScriptedMysqld::new().named(name)).collect();
    let runs: Vec<_> = servers
        .iter()
        .enumerate()
        .map(|(number, server)| {
            server.write("db/own.MYD", format!("data of {number}"));
            server.make_slow(4);
            server.configure("wsrep_sst_backup", &format!("repository={}", home.repository().display()));
            server.asks().address(&format!("req-{number}")).start()
        })
        .collect();
    for (run, number) in runs.into_iter().zip(0..) {
        let outcome = run.finish();
        assert_eq!(outcome.code, Some(0), "{number}: {}", outcome.stderr);
    }
    let folders = home.attempts();
    assert_eq!(folders.len(), 5, "{folders:?}");
    let mut seen = Vec::new();
    for folder in &folders {
        assert_eq!(names_in(folder), ["backup.tar.bz2", "index.json.zst", "manifest.json"]);
        let backup = Backup::open(folder);
        assert_eq!(backup.manifest["id"], folder.file_name().unwrap().to_str().unwrap());
        let request = backup.manifest["request"].as_str().unwrap().to_owned();
        let unpacked = backup.unpack(&home.path(&request));
        let own = fs::read_to_string(unpacked.join("db/own.MYD")).unwrap();
        assert_eq!(
            Some(own.as_str()),
            request.strip_prefix("req-").map(|number| format!("data of {number}")).as_deref()
        );
        seen.push(backup.manifest["node"].as_str().unwrap().to_owned());
    }
    seen.sort();
    assert_eq!(seen, ["n1", "n2", "same", "same", "same"]);
}
