//! Repositories that hang: no error comes, a call does not return. `stall-timeout` ends it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::assert_released;
use crate::support::scripted_mysqld::{Outcome, names_in};
use crate::support::{ScriptedMysqld, wait_until};

/// The last resort comes 10 s behind the limit. `strace` lets the process go when its delay is over, which is 20 s.
const LAST_RESORT: Duration = Duration::from_secs(60);

/// Given up because of `stall-timeout`, by the last resort.
fn assert_stalled(outcome: &Outcome, operation: &str) {
    assert_eq!(outcome.code, Some(110), "{}", outcome.stderr);
    let errors = outcome.messages("ERROR");
    assert_eq!(errors.len(), 1, "{errors:?}");
    for text in [operation, "for 1 s, the limit set by stall-timeout", "a disk or the repository hangs"] {
        assert!(errors[0].contains(text), "{text}: {errors:?}");
    }
    assert!(outcome.took < LAST_RESORT, "{:?}", outcome.took);
}

#[test]
#[ignore = "needs strace"]
fn a_repository_that_hangs_at_once_is_given_up_without_a_word_to_mysqld() {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "stall-timeout=1s");
    let outcome = server.asks().strace("-e trace=fsync -e inject=fsync:delay_enter=20s:when=1+").run();
    assert_eq!(outcome.stdout, "");
    assert_stalled(&outcome, "has not returned from 'create' of '");
    assert!(outcome.stderr.contains(&format!("{}/scripted/", server.repository().display())));
}

#[test]
#[ignore = "needs strace"]
fn a_sync_that_hangs_is_given_up_behind_the_freeze() {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "stall-timeout=1s");
    // The main thread syncs three folders when it claims its own, then the archive; the status has its own thread.
    let hang = "-e trace=fsync -e inject=fsync:delay_enter=20s:when=4+";
    let outcome = server.asks().strace(hang).run();
    assert_released(&outcome);
    assert_stalled(&outcome, "has not returned from 'sync' of '");
    assert!(outcome.stderr.contains("/backup.tar.zst'"), "{}", outcome.stderr);
    assert!(!server.attempts()[0].join("manifest.json").exists());
    // The next one takes over; it may wait for a disk that is busy with other tests.
    server.configure("wsrep_sst_backup", "stall-timeout=1m");
    let next = server.asks().run();
    assert!(server.attempts()[1].join("manifest.json").exists(), "{}", next.stderr);
}

#[test]
#[ignore = "needs strace"]
fn a_status_that_hangs_keeps_no_backup_from_its_end() {
    let server = ScriptedMysqld::new();
    // Only the thread of the status renames four times and more before the archive is there.
    server.configure("wsrep_sst_backup", "stall-timeout=1s");
    server.make_slow(40);
    let outcome = server
        .asks()
        .strace("-e trace=rename,renameat -e inject=rename,renameat:delay_enter=20s:when=4+")
        .run();
    assert_eq!((outcome.code, outcome.manifest_at_done), (Some(0), Some(true)), "{}", outcome.stderr);
    assert!(outcome.took < LAST_RESORT, "{:?}", outcome.took);
    let warnings = outcome.messages("WARNING");
    assert!(warnings.iter().any(|text| text.starts_with("status.json does not say")), "{warnings:?}");
    assert_ne!(server.status()["state"], "done");
}

/// A file system of its own that can be made to hang; it is let go and taken away when the test ends.
struct Freezable(PathBuf);

impl Freezable {
    fn mount(image: &Path, at: PathBuf, mebibytes: u64) -> Self {
        fs::File::create(image).unwrap().set_len(mebibytes << 20).unwrap();
        fs::create_dir(&at).unwrap();
        run(Command::new("mkfs.ext4").arg("-q").arg(image));
        run(Command::new("mount").args(["-o", "loop"]).arg(image).arg(&at));
        Self(at)
    }

    fn hang(&self, on: bool) {
        run(Command::new("fsfreeze").arg(if on { "-f" } else { "-u" }).arg(&self.0));
    }
}

impl Drop for Freezable {
    fn drop(&mut self) {
        let _ = Command::new("fsfreeze").arg("-u").arg(&self.0).output();
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs root and a loop device"]
fn a_repository_that_hangs_while_files_are_copied_releases_the_server_and_is_cleaned_up() {
    let server = ScriptedMysqld::new();
    let disk = Freezable::mount(&server.path("image"), server.repository(), 200);
    server.make_slow(60);
    server.configure("wsrep_sst_backup", "stall-timeout=2s");
    let run = server.asks().progress().start();
    run.wait_for("total ");
    let begun =
        wait_until(Duration::from_secs(30), || server.status()["bytes_done"].as_u64() > Some(8 << 20));
    assert!(begun, "{}", server.status());
    disk.hang(true);
    let hung = Instant::now();
    let released = run.wait_for("continue").at - hung;
    // A block later the first write hangs; two seconds later it is noticed.
    assert!(released < Duration::from_secs(9), "{released:?}");
    disk.hang(false);
    let outcome = run.finish();
    assert_released(&outcome);
    outcome.assert_refused(&server, 110, "for 2 s, the limit set by stall-timeout");
    assert!(
        outcome.messages("ERROR")[0].contains("has not returned from 'write' of '"),
        "{}",
        outcome.stderr
    );
    assert_eq!(names_in(&server.attempts()[0]), ["status.json"]);
}
