//! What a `prune` leaves that is killed, stopped, or fails, and what two of them do at once.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use super::*;
use crate::support::scratch::ServerUser;

/// Runs `prune` and lets the kernel do something at the `nth` call of those named; its exit status and what it said.
fn prune_with(repository: &Path, calls: &str, fault: &str, nth: usize) -> (std::process::ExitStatus, String) {
    let asked = cli("prune --keep-last 1").on(repository).command();
    let output = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")])
        .args(["-e", &format!("inject={calls}:{fault}:when={nth}")])
        .arg(asked.get_program())
        .args(asked.get_args())
        .env_clear()
        .output()
        .unwrap_or_else(|error| panic!("this test needs strace: {error}"));
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whatever has a manifest is whole.
fn assert_no_half_backup(repository: &Path, ids: &[String]) {
    let mut whole = 0;
    for id in ids {
        if repository.join("c").join(id).join("manifest.json").exists() {
            cli("verify").arg(id).on(repository).run().done();
            whole += 1;
        }
    }
    assert!(whole > 0);
    let list = cli("list --json").on(repository).run().json();
    assert_eq!(list["backups"].as_array().unwrap().len(), whole);
}

#[test]
#[ignore = "needs strace"]
fn one_that_is_killed_at_any_removal_is_finished_by_the_next() {
    let ids: Vec<String> = [5, 4, 0].map(ago).into();
    // Before each removal, and after it before it is durable.
    for (calls, at_least) in [("unlinkat", 11), ("fsync", 11)] {
        let mut kills = 0;
        loop {
            let folder = repository(&ids);
            let place = folder.path();
            fs::write(place.join("c").join(&ids[0]).join(".x.1.0.tmp"), "half").unwrap();
            grow_old(&place.join("c").join(&ids[0]));
            let (status, said) = prune_with(place, calls, "signal=KILL", kills + 1);
            if status.success() {
                assert_eq!(folders(place), ids[2..]);
                break;
            }
            // strace ends as its tracee does.
            assert_eq!(status.signal(), Some(9), "{said}");
            kills += 1;
            assert_no_half_backup(place, &ids);
            cli("prune --keep-last 1").on(place).run().done();
            assert_eq!(folders(place), ids[2..], "{calls} {kills}");
        }
        // Manifest, archive, index, status and folder of two, and a temporary file.
        assert!(kills >= at_least, "{calls}: {kills}");
    }
}

#[test]
#[ignore = "needs strace"]
fn one_that_is_interrupted_ends_in_good_order() {
    let ids: Vec<String> = [5, 4, 0].map(ago).into();
    let folder = repository(&ids);
    let (status, said) = prune_with(folder.path(), "unlink,unlinkat", "signal=TERM", 2);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("error: interrupted: what is left of the plan is for the next 'prune'"), "{said}");
    let first = folder.path().join("c").join(&ids[0]);
    assert!(!first.join("manifest.json").exists() && first.join("index.json.zst").exists());
    assert_no_half_backup(folder.path(), &ids);
    cli("prune --keep-last 1").on(folder.path()).run().done();
    assert_eq!(folders(folder.path()), ids[2..]);
}

#[test]
#[ignore = "needs strace"]
fn a_storage_that_fails_is_told_and_loses_nothing() {
    let ids: Vec<String> = [5, 4, 0].map(ago).into();
    let folder = repository(&ids);
    // The first manifest cannot be removed: nothing of that backup is, and the other goes.
    let (status, said) = prune_with(folder.path(), "unlink,unlinkat", "error=EIO", 1);
    assert_eq!(status.code(), Some(1), "{said}");
    let place = folder.path().join("c").join(&ids[0]).join("manifest.json");
    assert_eq!(
        said,
        format!("error: cannot remove '{}': Input/output error (os error 5)\n", place.display())
    );
    assert_eq!(folders(folder.path()), [ids[0].clone(), ids[2].clone()]);
    cli("verify").arg(&ids[0]).on(folder.path()).run().done();

    let user = ServerUser::current();
    let denied = cli("prune --keep-last 1").on(folder.path()).user(&user, folder.path()).run();
    assert_eq!(denied.status, Some(1), "{denied:?}");
    assert!(denied.stderr.contains("Permission denied"), "{denied:?}");
    assert_eq!(folders(folder.path()), [ids[0].clone(), ids[2].clone()]);
}

#[test]
fn two_at_once_do_what_one_does() {
    let ids: Vec<String> = (0..25).rev().map(ago).collect();
    let folder = repository(&ids);
    let prune = || cli("prune --keep-last 3").on(folder.path()).start();
    let (one, two) = (prune(), prune());
    for answer in [one.finish(), two.finish()] {
        answer.done();
    }
    assert_eq!(folders(folder.path()), ids[22..]);
}
