//! Repositories that cannot be written, fill up, or do not take the last rename; and a mysqld that does not listen.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::support::ScriptedMysqld;
use crate::support::scratch::ServerUser;
use crate::support::scripted_mysqld::{PAUSED, Reply, names_in};
use crate::{ASKED_AND_RELEASED, assert_released};

#[test]
fn a_repository_that_cannot_be_is_refused_without_a_word_to_mysqld() {
    let server = ScriptedMysqld::new();
    let file = server.write_outside("file", "");
    for (repository, message) in [
        (server.path("no/such/place"), "No such file or directory"),
        (file.clone(), "cannot create"),
        (file.join("below"), "Not a directory"),
    ] {
        server.configure("wsrep_sst_backup", &format!("repository={}", repository.display()));
        let outcome = server.asks().run();
        assert_eq!(outcome.stdout, "");
        outcome.assert_refused_early(5, message);
        assert!(
            outcome.messages("ERROR")[0].contains(file.parent().unwrap().to_str().unwrap()),
            "{}",
            outcome.stderr
        );
    }
}

#[test]
fn a_repository_among_the_servers_files_is_refused_before_the_freeze() {
    for place in ["inside", "around", "behind a link"] {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", "cluster=scripted");
        std::os::unix::fs::symlink(server.datadir(), server.path("link")).unwrap();
        let repository = match place {
            "inside" => server.datadir().join("backups"),
            "around" => server.path(""),
            _ => server.path("link/backups"),
        };
        server.configure("wsrep_sst_backup", &format!("repository={}", repository.display()));
        let outcome = server.asks().run();
        assert_eq!(outcome.stdout, "", "{place}: the server was frozen");
        let message = if place == "around" { "lies in the repository '" } else { "which is backed up" };
        outcome.assert_refused_early(22, message);
        // Whoever has asked reads the reason.
        let run = names_in(&repository.join("scripted")).pop().unwrap();
        let status = fs::read_to_string(repository.join("scripted").join(run).join("status.json")).unwrap();
        assert!(status.contains(message) && status.contains("failed"), "{status}");
    }
}

#[test]
fn what_mysqlds_user_may_not_do_is_told() {
    let user = ServerUser::current();
    let server = ScriptedMysqld::new();
    let asks = server.asks().run_as(&user);
    let foreign = server.path("foreign");
    fs::create_dir(&foreign).unwrap();
    server.configure("wsrep_sst_backup", &format!("repository={}", foreign.display()));
    let outcome = asks.run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused_early(
        5,
        &format!("cannot create '{}/scripted': Permission denied", foreign.display()),
    );

    let server = ScriptedMysqld::new();
    let asks = server.asks().run_as(&user);
    let secret = server.write("db/unreadable.ibd", vec![0; 65536]);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let outcome = asks.run();
    assert_eq!(outcome.stdout, "", "the server was frozen");
    let message = format!("'{}' cannot be read (Permission denied (os error 13)): give it", secret.display());
    outcome.assert_refused(&server, 22, &message);

    // What is none of the server's is left out, and named.
    let server = ScriptedMysqld::new();
    let asks = server.asks().run_as(&user);
    let secrets = ["db/notes.sql", ".cache/x", "db/old/t.ibd"];
    for (secret, closed) in secrets.iter().zip(["db/notes.sql", ".cache", "db/old"]) {
        server.write(secret, "of the administrator");
        fs::set_permissions(server.datadir().join(closed), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let outcome = asks.run();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    let warnings = backup.manifest["warnings"].to_string();
    for closed in ["data/db/notes.sql", "data/.cache", "data/db/old"] {
        assert!(warnings.contains(&format!("{closed}' cannot be read")), "{closed}: {warnings}");
    }
    assert!(!backup.members().iter().any(|name| secrets.contains(&name.as_str())), "{:?}", backup.members());

    // A directory that may be a database is not left out.
    let server = ScriptedMysqld::new();
    let asks = server.asks().run_as(&user);
    server.write("closed/t.frm", "of a table");
    fs::set_permissions(server.datadir().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    let outcome = asks.run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused(&server, 22, "data/closed' cannot be read");
}

/// A file system of this many MiB, taken away again when the test ends.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: PathBuf, mebibytes: usize) -> Self {
        fs::create_dir(&at).unwrap();
        let size = format!("size={mebibytes}m");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).status().unwrap();
        assert!(status.success(), "cannot mount a tmpfs: this test needs root");
        Self(at)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_repository_releases_the_server_and_is_cleaned_up() {
    for compression in ["gzip", "zstd"] {
        let server = ScriptedMysqld::new();
        let _disk = SmallDisk::mount(server.repository(), 6);
        server.make_slow(40);
        server.configure("wsrep_sst_backup", &format!("compression={compression}"));
        let outcome = server.asks().run();
        assert_released(&outcome);
        outcome.assert_refused(&server, 28, "No space left on device");
        assert!(outcome.stderr.contains("/backup.tar"), "the object is named: {}", outcome.stderr);
        let told = outcome.messages("WARNING").concat();
        assert!(told.contains("free; the data is") && told.contains("it may not fit"), "{}", outcome.stderr);
    }
}

#[test]
fn a_repository_that_is_too_small_for_certain_is_refused_before_the_freeze() {
    let server = ScriptedMysqld::new();
    let _disk = SmallDisk::mount(server.repository(), 6);
    server.make_slow(40);
    server.configure("wsrep_sst_backup", "compression=none");
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "", "the server was frozen");
    outcome.assert_refused(&server, 28, "as it is not compressed: it does not fit");
    let outcome = server.asks().address("by-hand.force").run();
    assert_released(&outcome);
    assert!(outcome.messages("ERROR")[0].contains("No space left on device"), "{}", outcome.stderr);
}

#[test]
fn the_last_backup_tells_how_much_room_the_next_one_needs() {
    let server = ScriptedMysqld::new();
    let _disk = SmallDisk::mount(server.repository(), 16);
    server.make_slow(10);
    server.configure("wsrep_sst_backup", "compression=zstd");
    server.asks().run().assert_backed_up(&server);
    server.write("db/more.MYD", fs::read(server.datadir().join("db/noise.MYD")).unwrap());
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "", "the server was frozen");
    outcome.assert_refused_early(28, "it does not fit");
    let error = outcome.messages("ERROR")[0];
    assert!(error.contains("takes about 19.") && error.contains(" took 10."), "{error}");
}

#[test]
fn an_object_that_cannot_be_published_takes_the_others_with_it() {
    for obstacle in ["backup.tar.zst", "index.json.zst", "manifest.json"] {
        let server = ScriptedMysqld::new();
        let run = server.asks().reply(Reply::never()).start();
        run.wait_for("flush tables");
        let folder = server.attempts()[0].clone();
        fs::create_dir(folder.join(obstacle)).unwrap();
        run.answer(&Reply::once(PAUSED));
        let outcome = run.finish();
        assert_eq!(outcome.stdout, ASKED_AND_RELEASED, "{obstacle}");
        fs::remove_dir(folder.join(obstacle)).unwrap();
        outcome.assert_refused(&server, 5, &format!("{obstacle}': Is a directory"));
    }
}

#[test]
fn a_backup_that_mysqld_does_not_hear_of_is_a_backup() {
    let server = ScriptedMysqld::new();
    // What was read is compressed for a while yet, so that mysqld is deaf before there is something to tell.
    server.make_slow(1);
    let outcome = server.asks().deaf_after("continue").run();
    assert_eq!(outcome.code, Some(32), "{}", outcome.stderr);
    let backup = server.backup();
    assert_eq!(
        names_in(&backup.folder),
        ["backup.tar.bz2", "index.json.zst", "manifest.json", "status.json"]
    );
    let errors = outcome.messages("ERROR");
    let id = backup.manifest["id"].as_str().unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(
        errors[0].starts_with(&format!("backup {id} is complete, but mysqld could not be told")),
        "{errors:?}"
    );
    let status = server.status();
    assert_eq!((&status["state"], &status["error"]), (&"done".into(), &errors[0].into()), "{status}");
}

#[test]
fn a_repository_that_vanishes_is_not_made_anew() {
    let server = ScriptedMysqld::new();
    server.make_slow(20);
    let run = server.asks().progress().start();
    run.wait_for("total ");
    // The donor may write its state between the listing of the folder and its removal.
    while fs::remove_dir_all(server.repository()).is_err_and(|error| error.kind() != ErrorKind::NotFound) {}
    let outcome = run.finish();
    assert_released(&outcome);
    outcome.assert_refused_early(5, "/backup.tar.bz2': No such file or directory");
    assert!(!server.repository().exists());
}

#[test]
fn a_folder_that_is_closed_while_files_are_copied_gets_no_backup() {
    let user = ServerUser::current();
    let server = ScriptedMysqld::new();
    server.make_slow(20);
    let run = server.asks().run_as(&user).progress().start();
    run.wait_for("total ");
    let folder = server.attempts()[0].clone();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    let outcome = run.finish();
    assert_released(&outcome);
    outcome.assert_refused_early(5, "cannot rename to");
    assert!(
        outcome.messages("ERROR")[0].contains("/backup.tar.bz2': Permission denied"),
        "{}",
        outcome.stderr
    );
    assert!(
        outcome.stderr.contains("status.json"),
        "what cannot be told there is told here: {}",
        outcome.stderr
    );
    // Nothing can be removed there; what is left is hidden, or the status.
    let names = names_in(&folder);
    assert!(names.iter().all(|name| name.starts_with('.') || name == "status.json"), "{names:?}");
}

#[test]
fn a_repository_that_is_mounted_read_only_is_refused_without_a_word_to_mysqld() {
    let server = ScriptedMysqld::new();
    let disk = SmallDisk::mount(server.repository(), 6);
    let status = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.0).status().unwrap();
    assert!(status.success());
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused_early(5, "Read-only file system");
}
