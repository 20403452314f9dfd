//! Every byte, name, mode, owner, time and hole.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use wsrep_sst_backup::model::Compression;

use crate::restore;
use crate::support::ScriptedMysqld;
use crate::support::cli::forge::{Forge, ID, edit_member};
use crate::support::cli::tree::{Tree, assert_same, entry, tree};
use crate::support::cli::{cli, open_folder};
use crate::support::scratch::ServerUser;

/// A server with everything in it that is hard to keep.
fn server() -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    for name in [
        OsStr::new("db/gr\u{f6}\u{df}e \u{20ac}.frm"),
        OsStr::from_bytes(b"db/caf\xe9 \xff.frm"),
        OsStr::new("db/line\nbreak and back\\slash.frm"),
        OsStr::new("db/ blanks at both ends "),
        OsStr::new("db/percent%41%.frm"),
        OsStr::new("db/-rf"),
        OsStr::new("db/quote'\".frm"),
        OsStr::new("db/#sql-temporary.frm"),
    ] {
        server.write(name, name.as_bytes());
    }
    server.write(format!("db/{}.frm", "@20ac".repeat(50)), "a long name");
    server.write("db/empty.MYD", "");
    let deep = "a/".repeat(40);
    server.write(format!("db/{deep}file"), "deep");
    holes(
        &server.datadir().join("db/compressed.ibd"),
        1 << 20,
        &[(0, 16384), (65536, 4096), (500 * 1024, 8192)],
    );
    holes(&server.datadir().join("db/all_hole.ibd"), 300_000, &[]);
    holes(&server.datadir().join("db/ends_in_data.ibd"), 200_000, &[(131_072, 68_928)]);
    symlink("t.frm", server.datadir().join("db/link.frm")).unwrap();
    symlink("../nowhere", server.datadir().join("db/dangling")).unwrap();
    fs::create_dir(server.datadir().join("db2")).unwrap();
    let mode =
        |name: &str, mode| fs::set_permissions(server.datadir().join(name), fs::Permissions::from_mode(mode));
    mode("db/t.frm", 0o604).unwrap();
    mode("db/t.ibd", 0o400).unwrap();
    mode("emptydb", 0o2750).unwrap();
    mode("db2", 0o1777).unwrap();
    let times = [
        ("db/t.ibd", 1_000_000_000, 1),
        ("db/t.frm", 0, 999_999_999),
        ("emptydb", 2_000_000_000, 123_456_789),
    ];
    for (name, seconds, nanoseconds) in times {
        let time = UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        let file = File::open(server.datadir().join(name)).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    }
    server
}

/// A file of this size with data in these places only.
fn holes(path: &Path, size: u64, segments: &[(u64, usize)]) {
    let mut file = File::create(path).unwrap();
    for (offset, length) in segments {
        file.seek(SeekFrom::Start(*offset)).unwrap();
        file.write_all(&vec![b'x'; *length]).unwrap();
    }
    file.set_len(size).unwrap();
}

/// What a restore gives of the server's files: all but the bits that lend rights.
fn wanted(server: &ScriptedMysqld) -> Tree {
    let mut tree = tree(&server.datadir());
    for entry in tree.values_mut() {
        entry.mode &= 0o777;
    }
    tree.retain(|path, _| path != Path::new("grastate.dat") && path != Path::new("backup_sst_complete"));
    tree
}

/// What was restored, without the state that the restore writes.
fn found(target: &Path, state: &str) -> Tree {
    let mut tree = tree(target);
    assert!(state.is_empty() || tree.remove(Path::new(state)).is_some(), "no {state}");
    tree
}

#[test]
fn all_that_a_file_has_comes_back() {
    let user = ServerUser::current();
    let server = server();
    user.own_tree(&server.datadir());
    chown(server.datadir().join("db/t.ibd"), Some(12345), Some(54321)).unwrap();
    // What root has put there becomes the server's, as everything else.
    chown(server.datadir().join("db/t.frm"), Some(0), Some(0)).unwrap();
    for compression in Compression::ALL {
        server.configure("wsrep_sst_backup", &format!("compression={compression}"));
        let _ = fs::remove_dir_all(server.repository());
        server.asks().run().assert_backed_up(&server);
        let target = server.path(compression.name());
        let answer = restore(&server.repository(), &target, "");
        let files = server.backup().manifest["files"].clone();
        assert!(answer.done().contains(&format!(": {files} files, ")), "{}", answer.stdout);
        // Sparse files of the same length, holes in the same number of blocks.
        let mut wanted = wanted(&server);
        let entry = wanted.get_mut(Path::new("db/t.frm")).unwrap();
        assert_eq!(entry.owner, (0, 0));
        entry.owner = (user.uid, user.gid);
        assert_same(&found(&target, "grastate.dat"), &wanted);
        let data = fs::metadata(&target).unwrap();
        // ibdata1 belongs to mysql, so the directory does.
        assert_eq!((data.uid(), data.gid(), data.mode() & 0o7777), (user.uid, user.gid, 0o750));
        let grastate = fs::metadata(target.join("grastate.dat")).unwrap();
        assert_eq!((grastate.uid(), grastate.gid(), grastate.mode() & 0o777), (user.uid, user.gid, 0o640));
    }
}

#[test]
fn without_root_the_files_belong_to_who_restores() {
    let user = ServerUser::current();
    let server = server();
    server.asks().run().assert_backed_up(&server);
    let _ = fs::remove_file(server.datadir().join("backup_sst_complete"));
    let mut wanted = wanted(&server);
    for entry in wanted.values_mut() {
        entry.owner = (user.uid, user.gid);
    }
    user.own_tree(&server.repository());
    let folder = open_folder();
    user.own(folder.path());
    let target = folder.path().join("data");
    let restored =
        cli("restore latest").on(&server.repository()).to(&target).user(&user, folder.path()).run();
    let place = target.display();
    let note = format!(
        "\nNote: The files belong to you, not to 'root': run  chown -R root: {place}  before you start the server.\n"
    );
    assert!(restored.done().contains(&note), "{}", restored.stdout);
    assert_same(&found(&target, "grastate.dat"), &wanted);
    let data = fs::metadata(&target).unwrap();
    assert_eq!((data.uid(), data.mode() & 0o7777), (user.uid, 0o750));

    // The server's own user needs no hint.
    let server = server_of(&user);
    let target = folder.path().join("own");
    let restored =
        cli("restore latest").on(&server.repository()).to(&target).user(&user, folder.path()).run();
    assert!(!restored.done().contains("chown"), "{}", restored.stdout);

    // Where it may not write it says so, and leaves nothing.
    let foreign = server.path("foreign");
    fs::create_dir(&foreign).unwrap();
    for (target, message) in [
        (
            foreign.join("data"),
            format!("cannot create '{}/data': Permission denied (os error 13)", foreign.display()),
        ),
        (
            foreign.clone(),
            format!("cannot create '{}/ibdata1': Permission denied (os error 13)", foreign.display()),
        ),
    ] {
        let refused =
            cli("restore latest").on(&server.repository()).to(&target).user(&user, folder.path()).run();
        // Nothing had been made, and nothing is said of removing.
        refused.fails(1, &message);
        assert_eq!(tree(&foreign), Tree::new());
    }
}

/// A server whose files are those of `user`.
fn server_of(user: &ServerUser) -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    user.own_tree(&server.datadir());
    server.asks().run().assert_backed_up(&server);
    user.own_tree(&server.repository());
    server
}

#[test]
fn owners_are_found_by_name_and_else_by_number() {
    let user = ServerUser::current();
    let folder = open_folder();
    let backup = Forge::new(ID).write(&folder.path().join("r"));
    for (path, name, number) in [
        ("ibdata1", Some(user.name.as_str()), 4711),
        ("undo001", Some("nobody-of-that-name"), 4712),
        ("db", None, 4713),
    ] {
        edit_member(&backup, path, |member| {
            (member["user"], member["group"]) = (name.into(), name.into());
            (member["uid"], member["gid"]) = (number.into(), number.into());
        });
    }
    let target = folder.path().join("data");
    restore(&folder.path().join("r"), &target, "--as standalone").done();
    let owner = |path: PathBuf| fs::symlink_metadata(path).map(|data| (data.uid(), data.gid())).unwrap();
    assert_eq!(owner(target.join("ibdata1")), (user.uid, user.gid));
    assert_eq!(owner(target.clone()), (user.uid, user.gid), "the directory belongs to whom the data belongs");
    assert_eq!(owner(target.join("undo001")), (4712, 4712));
    assert_eq!(owner(target.join("db")), (4713, 4713));
    // Root's, where the data is not: that would be trusted by others than the server.
    assert_eq!(owner(target.join("aria_log_control")), (user.uid, user.gid));
}

#[test]
fn an_empty_directory_keeps_its_mode_and_what_a_file_system_put_there() {
    let user = ServerUser::current();
    let folder = open_folder();
    let repository = folder.path().join("r");
    let backup = Forge::new(ID).write(&repository);
    edit_member(&backup, "ibdata1", |member| {
        (member["user"], member["group"]) = (user.name.as_str().into(), user.name.as_str().into());
    });
    for (owner, wanted) in [((0, 0), (user.uid, user.gid)), ((4711, 4712), (4711, 4712))] {
        let target = folder.path().join("data");
        fs::create_dir(&target).unwrap();
        fs::create_dir(target.join("lost+found")).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o711)).unwrap();
        chown(&target, Some(owner.0), Some(owner.1)).unwrap();
        restore(&repository, &target, "").done();
        let data = fs::metadata(&target).unwrap();
        // Root made it for the server, or somebody knew what he did.
        assert_eq!(((data.uid(), data.gid()), data.mode() & 0o7777), (wanted, 0o711));
        assert!(target.join("lost+found").is_dir() && target.join("ibdata1").is_file());
        fs::remove_dir_all(&target).unwrap();
    }
    // A link to a directory is that directory, which the server's user gets; a relative path counts from here.
    let real = folder.path().join("real");
    fs::create_dir(&real).unwrap();
    let link = folder.path().join("link");
    symlink(&real, &link).unwrap();
    let before = entry(&link);
    let answer = cli("restore latest --to link").on(&repository).within(folder.path()).run();
    let note = format!(
        "Note: '{}' leads to '{}' by a symbolic link; the files are there.",
        link.display(),
        real.display()
    );
    assert!(answer.done().contains(&note), "{}", answer.stdout);
    assert!(real.join("ibdata1").is_file());
    assert_eq!((entry(&link), entry(&real).owner), (before, (user.uid, user.gid)));
    let answer = cli("restore latest --to ./new/").on(&repository).within(folder.path()).run();
    assert!(answer.done().contains(&format!(" to {}/new: ", folder.path().display())), "{}", answer.stdout);
}

#[test]
fn json_tells_what_was_done() {
    let folder = open_folder();
    Forge::new(ID).write(&folder.path().join("r"));
    let target = folder.path().join("data");
    let told = restore(&folder.path().join("r"), &target, "--json --threads 3").json();
    let fields: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        [
            "bytes",
            "datadir",
            "external",
            "files",
            "gtid",
            "id",
            "init_file",
            "ist",
            "mariadb_gtid",
            "notes",
            "options",
            "replication",
            "steps",
            "sst_accounts"
        ]
        .into_iter()
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
    );
    assert_eq!((&told["id"], &told["files"], &told["bytes"]), (&ID.into(), &5.into(), &44850.into()));
    assert_eq!((&told["datadir"], &told["gtid"]["seqno"]), (&target.to_str().unwrap().into(), &417.into()));
    assert_eq!(told["steps"].as_array().unwrap().len(), 3);
    assert_eq!((&told["notes"], &told["external"]), (&serde_json::json!([]), &serde_json::json!([])));
}
