//! Archives and indexes that somebody has made to do harm: digests and sizes are right, what they say is not.

#[path = "malice/places.rs"]
mod places;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::restore;
use crate::support::cli::forge::{Forge, ID, adopt_archive, edit_index, edit_manifest, edit_member};
use crate::support::cli::tree::{assert_same, tree};
use crate::support::cli::{cli, open_folder};
use crate::support::scratch::ServerUser;

/// More than the program needs, less than any of the lies asks for.
pub(crate) const MEMORY_KIB: u64 = 96 << 10;

/// `restore` and `verify` find it damaged, name this, take little memory, and write nothing anywhere.
#[track_caller]
pub(crate) fn assert_refused(folder: &Path, text: &str) {
    let (repository, target) = (folder.join("r"), folder.join("data"));
    let before = tree(folder);
    for (command, answer) in [
        ("restore", restore(&repository, &target, "--threads 2")),
        ("verify", cli("verify latest --threads 2 --no-record").on(&repository).run()),
    ] {
        let words = format!("{}{}", answer.stdout, answer.stderr);
        assert_eq!(answer.status, Some(4), "{command}: {words}");
        assert!(words.contains(text), "{command}: no '{text}' in {words}");
        assert!(answer.peak_kib < MEMORY_KIB, "{command}: {} KiB for {text}", answer.peak_kib);
    }
    let mut after = tree(folder);
    for (path, entry) in &before {
        // Making and removing the target changes the time of its folder, which is not in the tree.
        after.insert(path.clone(), entry.clone());
    }
    assert_same(&after, &before);
    assert!(!target.exists(), "the target is left");
}

#[test]
fn no_path_leads_out_of_the_target() {
    for path in
        ["/etc/evil", "../evil", "db/../../evil", "db/..", "..", ".", "./db/t.MYD", "", "db/\u{0}evil"]
    {
        let folder = open_folder();
        let backup = Forge::new(ID).write(&folder.path().join("r"));
        edit_member(&backup, "db/t.MYD", |member| member["path"] = path.into());
        assert_refused(folder.path(), "does not follow the one before, or has an unsafe path");
    }
    // The tar says another name than the index.
    for path in ["../../evil", "/tmp/evil"] {
        let folder = open_folder();
        let backup = Forge::new(ID).file(path, "evil").write(&folder.path().join("r"));
        edit_member(&backup, path, |member| member["path"] = "db/good".into());
        assert_refused(folder.path(), &format!("its tar header names '{path}'"));
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let folder = open_folder();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let outside = outside.to_str().unwrap();
    for (forge, text) in [
        (
            Forge::new(ID).link("evil", outside).file("evil/file", "x"),
            "member 'evil/file' lies behind 'evil'",
        ),
        (
            Forge::new(ID).file("evil/file", "x").link("evil", outside),
            "member 'evil/file' lies behind 'evil'",
        ),
        (Forge::new(ID).link("evil", outside).directory("evil/a/b"), "member 'evil/a/b' lies behind 'evil'"),
        (Forge::new(ID).link("evil", outside).file("evil", "x"), "member 'evil' occurs twice"),
        (Forge::new(ID).directory("evil").link("evil", outside), "member 'evil' occurs twice"),
        (Forge::new(ID).file("evil", "x").file("evil/file", "x"), "member 'evil/file' lies behind 'evil'"),
        (Forge::new(ID).file("db/t.MYD", "twice"), "member 'db/t.MYD' occurs twice"),
        (
            Forge::new(ID).link("evil", outside).with(|member| member.system_tablespace = true),
            "member 'evil' cannot be a system tablespace",
        ),
    ] {
        forge.write(&folder.path().join("r"));
        assert_refused(folder.path(), text);
    }
}

#[test]
fn names_of_the_restores_own_do_not_help() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    // Who has the name of the hidden system tablespace is in the way; the restore ends as it began.
    Forge::new(ID).file("ibdata1.wsrep_sst_backup-restoring", "x").write(&repository);
    let place = target.display();
    restore(&repository, &target, "").fails(
        1,
        &format!(
            "cannot create '{place}/ibdata1.wsrep_sst_backup-restoring': File exists (os error 17); what had been \
             restored is removed"
        ),
    );
    assert!(!target.exists());
    // A grastate.dat that is not the one of the donor program plays no part, and no name passes for another.
    Forge::empty(ID).system("ibdata1", "x").own("grastate.dat", Some("seqno: 999")).write(&repository);
    restore(&repository, &target, "").done();
    assert!(fs::read_to_string(target.join("grastate.dat")).unwrap().contains("seqno:   417\n"));
    fs::remove_dir_all(&target).unwrap();
    let backup = Forge::new(ID).file("grastate.dat.", "seqno: 999").write(&repository);
    edit_member(&backup, "grastate.dat.", |member| member["path"] = "grastate.dat/".into());
    restore(&repository, &target, "").fails_with(4, "occurs twice");
    assert!(!target.exists());
}

#[test]
fn lengths_do_not_decide_how_much_memory_is_taken() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let with_block = |change: &dyn Fn(&mut Value)| {
        let backup = Forge::new(ID).write(&repository);
        edit_index(&backup, |lines| {
            let at = lines.iter().position(|line| line["block"].is_object()).unwrap();
            change(&mut lines[at]["block"]);
            let raw = lines[at]["block"]["raw"].clone();
            let end = lines.last_mut().unwrap();
            end["end"]["raw"] = raw;
        });
        backup
    };
    // A block that is said to hold the most that the format allows.
    with_block(&|block| block["raw"] = (1_u64 << 30).into());
    assert_refused(
        folder.path(),
        "block 0 has 1073741824 bytes of the tar stream, more than the 8388608 that",
    );
    with_block(&|block| block["raw"] = (8_u64 << 20).into());
    assert_refused(folder.path(), "it does not hold the 8388608 bytes that the index says");
    with_block(&|block| block["raw"] = u64::MAX.into());
    assert_refused(folder.path(), "block 0 has 18446744073709551615 bytes of the tar stream, more than");
    // A block as large as a file can be, in an archive that is one large hole.
    let backup = with_block(&|block| block["bytes"] = (1_u64 << 40).into());
    let archive = fs::File::options().write(true).open(backup.join("backup.tar.zst")).unwrap();
    archive.set_len(1 << 40).unwrap();
    edit_manifest(&backup, |manifest| manifest["archive"]["bytes"] = (1_u64 << 40).into());
    let answer = restore(&repository, &folder.path().join("data"), "");
    answer.fails_with(4, "block 0 has 1099511627776 bytes for ");
    assert!(answer.peak_kib < MEMORY_KIB, "{} KiB", answer.peak_kib);
    let answer = cli("verify latest").on(&repository).env("RUST_BACKTRACE", "0").start();
    // What is left is the digest of the whole object, which takes its time and no memory.
    std::thread::sleep(std::time::Duration::from_millis(300));
    answer.signal(nix::sys::signal::Signal::SIGTERM);
    let answer = answer.finish();
    assert!(answer.peak_kib < MEMORY_KIB, "{} KiB", answer.peak_kib);
}

#[test]
fn an_index_without_end_is_not_read_to_its_end() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    for (text, message) in [
        (vec![b' '; 256 << 20], "index.json.zst: EOF while parsing a value"),
        (format!("{{\"index\":{}", "[".repeat(1 << 20)).into_bytes(), "index.json.zst: "),
    ] {
        let backup = Forge::new(ID).write(&repository);
        let object = zstd::encode_all(text.as_slice(), 1).unwrap();
        fs::write(backup.join("index.json.zst"), &object).unwrap();
        let sha256 = wsrep_sst_backup::archive::hex(&<sha2::Sha256 as sha2::Digest>::digest(&object));
        edit_manifest(&backup, |manifest| {
            manifest["index"] = json!({"name": "index.json.zst", "bytes": object.len(), "sha256": sha256});
        });
        assert_refused(folder.path(), message);
    }
}

#[test]
fn a_frame_that_holds_more_than_it_may_is_not_unpacked() {
    let folder = open_folder();
    let backup = Forge::new(ID).write(&folder.path().join("r"));
    // 256 MiB of zeros where the index says 100 KiB.
    let bomb = zstd::encode_all(std::io::Read::take(std::io::repeat(0), 1 << 28), 1).unwrap();
    fs::write(backup.join("backup.tar.zst"), &bomb).unwrap();
    edit_index(&backup, |lines| {
        let block = lines.iter_mut().find(|line| line["block"].is_object()).unwrap();
        block["block"]["bytes"] = bomb.len().into();
    });
    adopt_archive(&backup);
    assert_refused(folder.path(), "bytes that the index says");
}

#[test]
fn sizes_that_lie_are_found() {
    let folder = open_folder();
    let backup = || Forge::new(ID).write(&folder.path().join("r"));
    for (size, text) in [
        (11_999_u64, "its tar header says 12000 bytes, the index 11999"),
        (12_001, "its tar header says 12000 bytes, the index 12001"),
    ] {
        edit_member(&backup(), "db/t.MYD", |member| {
            (member["size"], member["stored"]) = (size.into(), size.into());
        });
        edit_manifest(&folder.path().join("r/c").join(ID), |manifest| {
            manifest["data_bytes"] = (44_850 - 12_000 + size).into();
        });
        assert_refused(folder.path(), text);
    }
    edit_member(&backup(), "db/t.MYD", |member| {
        (member["size"], member["stored"]) = (u64::MAX.into(), u64::MAX.into());
    });
    assert_refused(folder.path(), "member 'db/t.MYD' has sizes that cannot be");
    // A data directory without that which mysqld starts from.
    Forge::empty(ID).file("db/t.MYD", "x").write(&folder.path().join("r"));
    restore(&folder.path().join("r"), &folder.path().join("data"), "")
        .fails(1, &format!("backup '{ID}' holds no InnoDB system tablespace: no server can start from it"));
}

#[test]
fn no_file_gets_rights_that_data_has_no_use_for() {
    let user = ServerUser::current();
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let backup = Forge::new(ID).write(&repository);
    edit_index(&backup, |lines| {
        for member in lines.iter_mut().filter_map(|line| line.get_mut("member")) {
            let is_system = member["path"] == "ibdata1";
            let (name, number) = if is_system { (user.name.as_str(), 4711) } else { ("root", 0) };
            (member["user"], member["group"]) = (name.into(), name.into());
            (member["uid"], member["gid"]) = (number.into(), number.into());
            member["mode"] = 0o7755.into();
        }
    });
    restore(&repository, &target, "--as standalone").done();
    for (path, entry) in tree(&target) {
        assert_eq!((entry.mode, entry.owner), (0o755, (user.uid, user.gid)), "{}", path.display());
    }
}
