//! What is refused, with nothing changed.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;

use nix::fcntl::{FcntlArg, Flock, FlockArg, fcntl};
use nix::libc;

use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::records::{UUID, edit_manifest};
use crate::support::cli::{FakeServer, cli};
use crate::{World, mark, restoring, still};

/// Refused with this text in it, and nothing is another than before.
#[track_caller]
fn refused(world: &World, more: &str, status: i32, text: &str) {
    let before = still(world.folder.path());
    world.delta(more).run().fails_with(status, text);
    let now = still(world.folder.path());
    crate::assert_same(&now, &before);
}

#[test]
fn a_directory_of_another_history_or_of_none_is_not_touched() {
    let world = World::new();
    let state = world.node().join("grastate.dat");
    let write = |uuid: &str, seqno: &str| {
        let text = format!(
            "# GALERA saved state\nversion: 2.1\nuuid:    {uuid}\nseqno:   {seqno}\nsafe_to_bootstrap: 0\n"
        );
        fs::write(&state, text).unwrap();
    };
    let (other, none) = (UUID.replace('4', "5"), "00000000-0000-0000-0000-000000000000");
    write(&other, "417");
    refused(
        &world,
        "",
        1,
        &format!(
            "is of another cluster: '{}' says the history {other}, the backup is of {UUID}",
            state.display()
        ),
    );
    write(none, "-1");
    refused(
        &world,
        "",
        1,
        &format!("says that it is of the history {UUID}: grastate.dat is not there or has no history"),
    );
    fs::remove_file(&state).unwrap();
    refused(&world, "", 1, "grastate.dat is not there or has no history");
    // A node that has left its cluster as inconsistent has no history there; InnoDB has it.
    for (uuid, is_ours) in [(&other[..], false), (UUID, true)] {
        let mut note = b"WSREPXif".to_vec();
        let digits: String = uuid.chars().filter(|letter| *letter != '-').collect();
        note.extend(u128::from_str_radix(&digits, 16).unwrap().to_be_bytes());
        write(none, "-1");
        fs::write(world.node().join("undo001"), [vec![0; 5000], note, vec![0; 5000]].concat()).unwrap();
        if is_ours {
            world.delta("").run().done();
            world.assert_restored(&[]);
        } else {
            refused(&world, "", 1, "grastate.dat is not there or has no history");
        }
    }
    // One that crashed knows its history.
    write(UUID, "-1");
    world.delta("").run().done();
    world.assert_restored(&[]);
    // What is newer is told.
    write(UUID, "500");
    let answer = world.delta("").run();
    assert_eq!(answer.status, Some(0));
    assert!(answer.stderr.contains("are 83 write sets newer than the backup"), "{}", answer.stderr);
    world.assert_restored(&[]);
}

#[test]
fn what_an_interrupted_one_has_left_is_of_its_history_only() {
    let world = World::new();
    fs::remove_file(world.node().join("grastate.dat")).unwrap();
    fs::write(world.node().join("ibdata1"), mark(&UUID.replace('4', "5"))).unwrap();
    refused(&world, "", 1, "is of another cluster");
    fs::write(world.node().join("ibdata1"), mark(UUID)).unwrap();
    let usual = restoring(&world.repository(), &world.node(), "").run();
    assert!(usual.stderr.contains("holds a restore that was interrupted"), "{}", usual.stderr);
    world.delta("").run().done();
    world.assert_restored(&[]);
}

#[test]
fn what_is_no_data_directory_is_not_touched() {
    let world = World::new();
    let other = world.folder.path().join("other");
    let attempt = |target: &Path, text: &str| {
        let before = still(world.folder.path());
        restoring(&world.repository(), target, "--delta").run().fails_with(1, text);
        crate::assert_same(&still(world.folder.path()), &before);
    };
    attempt(&other, "there is no data directory at '");
    fs::write(&other, "x").unwrap();
    attempt(&other, "there is no data directory at '");
    fs::remove_file(&other).unwrap();
    fs::create_dir(&other).unwrap();
    attempt(&other, "/other/ibdata1' is not there: '");
    fs::copy(world.node().join("grastate.dat"), other.join("grastate.dat")).unwrap();
    fs::write(other.join("precious"), "x").unwrap();
    attempt(&other, "/other/ibdata1' is not there: '");
    // A directory stands where the backup has a file, or a link.
    for name in ["db/t.MYD", "db/link.MYD"] {
        let place = world.node().join(name);
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        refused(&world, "", 1, &format!("'{}' is a directory, where the backup has none", place.display()));
        fs::remove_dir(&place).unwrap();
    }
    // A link to the data directory is that directory.
    let link = world.folder.path().join("link");
    symlink(world.node(), &link).unwrap();
    restoring(&world.repository(), &link, "--delta").run().done();
    world.assert_restored(&[]);
}

#[test]
fn a_server_or_another_restore_keeps_it() {
    let world = World::new();
    let programs = tempfile::tempdir().unwrap();
    let server = FakeServer::start("mariadbd", programs.path(), &world.node(), Stdio::null());
    refused(&world, "", 1, "is in use by mariadbd (pid ");
    drop(server);
    // One that cannot be seen, in another container, holds its locks all the same.
    for name in ["ibdata1", "aria_log_control"] {
        let file = File::options().read(true).write(true).open(world.node().join(name)).unwrap();
        let short = |number: i32| i16::try_from(number).unwrap();
        let lock = libc::flock {
            l_type: short(libc::F_WRLCK),
            l_whence: short(libc::SEEK_SET),
            l_start: 0,
            l_len: 0,
            l_pid: 0,
        };
        fcntl(&file, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        refused(
            &world,
            "",
            1,
            &format!("/{name}' is locked by another process, as a server locks it; stop that server first"),
        );
        refused(&world, "--dry-run", 1, "is locked by another process");
    }
    let folder = Flock::lock(File::open(world.node()).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    refused(&world, "", 1, "another restore (pid ");
    drop(folder);
    world.delta("").run().done();
    world.assert_restored(&[]);
}

#[test]
fn what_goes_together_with_it() {
    let world = World::new();
    for (line, text) in [
        ("restore latest --delta --only db.t", "cannot be used with"),
        ("restore latest --dry-run", "required"),
    ] {
        let answer = cli(line).on(&world.repository()).to(&world.node()).run();
        assert_eq!(answer.status, Some(2), "{}", answer.stderr);
        assert!(answer.stderr.contains(text), "{}", answer.stderr);
    }
    // Backups whose files cannot be reached one by one, and one of a server that is in no cluster.
    for (fixture, text) in [
        ("xbstream", "is a stream of mariadb-backup (content xbstream)"),
        ("dump", "is a dump (content sql)"),
    ] {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/fixtures/format-2")
            .join(fixture)
            .join("repository");
        let answer = restoring(&repository, &world.node(), "--delta --as standalone --any-server").run();
        assert!(answer.status != Some(0) && answer.stderr.contains(text), "{fixture}: {}", answer.stderr);
        world.assert_restored(&[]);
    }
    let alone = World::new();
    edit_manifest(&alone.backup, |manifest| {
        (manifest["format"], manifest["gtid"]) = (2.into(), serde_json::Value::Null);
    });
    refused(&alone, "--as standalone", 1, "is of a server that was no Galera node");
    let mut backup =
        Forge::new(ID).manifest(|manifest| manifest["gtid"]["uuid"] = UUID.replace('4', "6").into());
    backup = backup.manifest(|manifest| manifest["donor_gtid"] = serde_json::Value::Null);
    let other = World::of(&backup);
    let answer = restoring(&other.repository(), &world.node(), "--delta").run();
    assert!(answer.stderr.contains("is of another cluster"), "{}", answer.stderr);
}
