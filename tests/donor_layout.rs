//! Which files a backup holds, found without SQL: from option files, mysqld's arguments and the directory itself.
//! What is unpacked by stock `tar` and `zstd` is compared with the server's own files.

#[path = "donor_layout/binlogs.rs"]
mod binlogs;
#[path = "donor_layout/changing.rs"]
mod changing;
#[path = "donor_layout/elsewhere.rs"]
mod elsewhere;
#[path = "donor_layout/one_name.rs"]
mod one_name;
mod support;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use support::ScriptedMysqld;
use support::scripted_mysqld::Backup;

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
fn back_up(server: &ScriptedMysqld) -> (Backup, PathBuf) {
    let outcome = server.asks().run();
    outcome.assert_backed_up(server);
    let backup = server.backup();
    let unpacked = backup.unpack(&server.path("unpacked"));
    (backup, unpacked)
}

/// The same, where nothing but what belongs to one run of the server is missing or more.
fn assert_whole(server: &ScriptedMysqld, left_out: &[&str]) -> (Backup, PathBuf) {
    let mut wanted = tree(&server.datadir());
    wanted.retain(|path, _| {
        path != Path::new("grastate.dat") && !left_out.iter().any(|name| path.starts_with(OsStr::new(name)))
    });
    let (backup, unpacked) = back_up(server);
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
    for name in ["db/compressed.ibd", "db/all_hole.ibd", "db/late.MYD"] {
        let (here, there) =
            (fs::metadata(server.datadir().join(name)).unwrap(), fs::metadata(unpacked.join(name)).unwrap());
        assert_eq!(here.len(), there.len(), "{name}");
        assert!(here.blocks() < here.len() / 512 / 2, "{name}: this file system makes no holes");
        assert!(
            there.blocks() <= here.blocks() + 16,
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
    symlink(format!("{}/target", "t".repeat(150)), server.datadir().join("db/long_link")).unwrap();
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
        "multi-master.info",
        "master-src.info",
        "relay-log-src.info",
        "old@002dhost-relay-bin-src.000001",
        "db1-relay-bin.000002",
        "db1-relay-bin.index",
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
    for name in &left[..21] {
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
        "db/master-src.info",
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
