//! Archives and indexes that somebody has made to do harm: digests and sizes are right, what they say is not.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use serde_json::{Value, json};

use crate::restore;
use crate::support::cli::forge::{Forge, ID, adopt_archive, edit_index, edit_manifest, edit_member};
use crate::support::cli::tree::{assert_same, entry, paths, tree};
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
fn an_origin_stays_below_its_root() {
    let folder = open_folder();
    let root = folder.path().join("undo");
    for (there, path) in [
        (root.clone(), folder.path().join("elsewhere/undo002")),
        (root.clone(), root.join("../elsewhere/undo002")),
        (root.join("../elsewhere"), root.join("../elsewhere/undo002")),
        ("undo".into(), "undo/undo002".into()),
        ("".into(), root.join("undo002")),
        (root.clone(), folder.path().join("undo-not/undo002")),
        (root.join("x\0"), root.join("x\0/undo002")),
    ] {
        let forge = Forge::new(ID).external("innodb_undo_directory", &there, &path, "x");
        forge.write(&folder.path().join("r"));
        assert_refused(folder.path(), "has an origin that is not below its root");
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
fn places_outside_are_those_that_the_operator_names() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let at = |name: &str| folder.path().join(name);
    Forge::new(ID)
        .external("innodb_undo_directory", &at("undo"), &at("undo/undo002"), vec![0; 3 << 19])
        .external("symlink", &at("cron.d"), &at("cron.d/job"), "* * * * * root evil")
        .external("symlink", &at("cron.d/more"), &at("cron.d/more/job"), "x")
        .write(&repository);
    let before = tree(folder.path());
    let place = folder.path().display();
    let list = format!(
        "backup '{ID}' holds files that were outside of the donor's data directory. They go only to places that you \
         name; nothing was written:\n  \
         innodb_undo_directory  {place}/undo  (1 files, 2 MiB)\n  \
         symlink                {place}/cron.d  (1 files, 1 MiB)\n  \
         symlink                {place}/cron.d/more  (1 files, 1 MiB)\n\
         Where these are the places that you expect, this puts them back there:\n  \
         --external {place}/cron.d --external {place}/undo\n\
         Or into directories of your choice:\n  \
         --map innodb_undo_directory=DIR --map symlink=DIR"
    );
    restore(&repository, &target, "").fails(2, &list);
    // Named is what lies there, and not what only begins so; the rest is asked for again.
    for (more, asked) in [
        (format!("--external {place}/und"), "--external"),
        (format!("--external {place}/undo --external {place}/cron"), "symlink"),
        (format!("--map innodb_undo_directory={place}/x --external {place}/cron.d/more"), "symlink"),
    ] {
        let answer = restore(&repository, &target, &more);
        assert_eq!(answer.status, Some(2), "{more}");
        assert!(answer.stderr.contains(asked) && answer.stderr.contains("/cron.d  (1"), "{}", answer.stderr);
    }
    for (more, text) in [
        ("--external /", "--external '/': that is every place of this machine; name the directories"),
        ("--external undo", "--external 'undo': 'undo' is not an absolute path"),
        ("--external /srv/../etc", "--external '/srv/../etc': '/srv/../etc' has '..' in it"),
        ("--map symlink=/srv/../etc", "--map 'symlink=/srv/../etc': '/srv/../etc' has '..' in it"),
    ] {
        restore(&repository, &target, more).fails(2, text);
    }
    assert_same(&tree(folder.path()), &before);
    restore(&repository, &target, &format!("--external {place}/undo --external {place}/cron.d")).done();
    assert_eq!(fs::read_to_string(at("cron.d/more/job")).unwrap(), "x");
    // Directories are named once and for all in a script: a backup without files there takes the same flags.
    Forge::new(ID).write(&repository);
    fs::remove_dir_all(&target).unwrap();
    restore(&repository, &target, &format!("--external {place}/undo")).done();
}

#[test]
fn a_place_that_would_show_as_another_one_or_has_an_unknown_reason_is_refused() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let root = folder.path().join("x\x1b[2Kundo");
    Forge::new(ID).external("innodb_undo_directory", &root, &root.join("undo002"), "x").write(&repository);
    let more = format!("--external {}", folder.path().display());
    restore(&repository, &target, &more)
        .fails_with(1, "with letters in its name that a terminal does not show; nothing was written");
    let root = folder.path().join("x");
    let backup = Forge::new(ID).external("symlink", &root, &root.join("y"), "x").write(&repository);
    edit_member(&backup, ".wsrep_sst_backup/symlink/7y", |member| {
        member["origin"]["variable"] = "init_file".into();
    });
    restore(&repository, &target, &more).fails_with(1, "by 'init_file', which this program does not know");
    assert!(!target.exists() && !root.exists());
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

#[test]
fn a_link_leads_only_to_places_that_the_operator_names() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let far = folder.path().join("far").display().to_string();
    Forge::new(ID)
        .link("host.err", "/etc/cron.d/evil")
        .link("db/up.MYD", "../../../../../../../etc/shadow")
        .link("db/turns.MYD", "t.MYD/../../../far/t.MYD")
        .link("db/far.MYD", &format!("{far}/t.MYD"))
        .link("db/inside.MYD", "t.MYD")
        .write(&repository);
    let answer = restore(&repository, &target, "");
    for name in ["host.err", "db/up.MYD", "db/turns.MYD", "db/far.MYD"] {
        let note = format!(
            "Note: The link '{name}' was not made: it leads to a place outside of the data directory"
        );
        assert!(answer.done().contains(&note), "{name}: {}", answer.stdout);
        assert!(target.join(name).symlink_metadata().is_err(), "{name}");
    }
    assert_eq!(fs::read_link(target.join("db/inside.MYD")).unwrap(), Path::new("t.MYD"));
    fs::remove_dir_all(&target).unwrap();
    restore(&repository, &target, &format!("--external {far}")).done();
    assert_eq!(fs::read_link(target.join("db/far.MYD")).unwrap(), Path::new(&far).join("t.MYD"));
    assert!(target.join("host.err").symlink_metadata().is_err());
}

#[test]
fn nothing_is_written_through_links_that_meet_only_here() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("etc")).unwrap();
    let outside = at("etc").display().to_string();
    // Two directories of the donor, one here: the link of one is a folder of the other.
    let forge = Forge::new(ID).external("symlink", &at("one"), &at("one/link"), "x").external(
        "data_directory",
        &at("two"),
        &at("two/link/job"),
        "evil",
    );
    let backup = forge.write(&repository);
    edit_member(&backup, ".wsrep_sst_backup/symlink/7link", |member| {
        member["kind"] = "symlink".into();
        member["target"] = outside.as_str().into();
        (member["size"], member["stored"]) = (0.into(), 0.into());
        member.as_object_mut().unwrap().remove("sha256");
    });
    edit_manifest(&backup, |manifest| {
        manifest["files"] = 6.into();
        manifest["data_bytes"] = 44_854.into();
    });
    let place = at("here").display().to_string();
    let maps = format!("--map symlink={place} --map data_directory={place} --external {outside}");
    restore(&repository, &target, &maps).fails_with(2, "behind a symbolic link of the archive");
    // The link was there before: somebody who owns that directory has made it.
    Forge::new(ID).external("symlink", &at("here"), &at("here/link/job"), "evil").write(&repository);
    fs::create_dir(at("here")).unwrap();
    symlink(at("etc"), at("here/link")).unwrap();
    restore(&repository, &target, &format!("--external {place}")).fails_with(
        1,
        "is a symbolic link, through which nothing is written; what had been restored is removed",
    );
    // So a root is what it leads to, and that was not named.
    Forge::new(ID).external("symlink", &at("here/link"), &at("here/link/job"), "evil").write(&repository);
    let answer = restore(&repository, &target, &format!("--external {place}"));
    assert_eq!(answer.status, Some(2), "{}", answer.stderr);
    assert_eq!(paths(&tree(&at("etc"))), Vec::<String>::new());
    assert_eq!((entry(&at("etc")).owner, target.exists()), ((0, 0), false));
    // In a directory of the server's user, while it is written to: a link that appears is not followed.
    let backup = Forge::new(ID).directory("zz").file("zz/job", "evil").write(&repository);
    edit_member(&backup, "zz", |member| {
        member["kind"] = "symlink".into();
        member["target"] = outside.as_str().into();
    });
    restore(&repository, &target, &format!("--external {outside}")).fails_with(4, "lies behind 'zz'");
    assert_eq!(paths(&tree(&at("etc"))), Vec::<String>::new());
    assert_eq!(fs::symlink_metadata(at("here/link")).unwrap().uid(), 0);
}
