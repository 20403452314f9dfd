//! The donor program is killed by SIGKILL, or its repository becomes full.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::signal::Signal;

use crate::stage::{SLOW, Stage};
use crate::support::cli::SmallDisk;

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_donor_program_that_is_killed_or_has_no_room_leaves_a_synced_node_and_no_backup() {
    let stage = Stage::start(2);
    for state in ["starting", "freezing", "copying", "thawed", "publishing"] {
        kill_at(&stage, state, SLOW);
        stage.back_up();
        assert!(!stage.donor().datadir().join("tables_flushed").exists());
    }
    a_repository_that_becomes_full(&stage, "");
    if stage.donor().has_followable_redo() {
        let ahead = format!("{SLOW}method=precopy\n");
        for state in ["ahead", "copying", "thawed"] {
            kill_at(&stage, state, &ahead);
            stage.back_up();
        }
        a_repository_that_becomes_full(&stage, "method=precopy\n");
    }
    assert_eq!(stage.administrator.leftovers(), Vec::<String>::new());
}

fn kill_at(stage: &Stage, state: &str, settings: &str) {
    stage.configure(settings);
    let (asking, program, mark) = stage.ask_and_hold(state);
    assert_eq!(program.children(), Vec::<String>::new(), "the program has started others");
    program.signal(Signal::SIGKILL);
    let killed = Instant::now();
    stage.assert_released(mark);
    let released = killed.elapsed();
    let told = asking.finish();
    if state == "publishing" && told.text("outcome") == "complete" {
        // The state is stored by another thread than the manifest, which was faster.
        stage.assert_whole(told.complete());
    } else {
        told.ended("failed", "the program on n2 has died");
        stage.assert_absent(told.text("request"));
    }
    println!("killed while {state}: Synced after {released:?}, told after {:?}", killed.elapsed());
    stage.configure("");
}

/// Too little for a backup of some 30 MiB, and enough for everything before it.
const MEBIBYTES: usize = 8;

fn a_repository_that_becomes_full(stage: &Stage, settings: &str) {
    let place = stage.cluster.dir().join("small");
    let disk = SmallDisk::mount(&place, MEBIBYTES);
    stage.cluster.scratch().user().own(&place);
    stage.configure(&format!("repository={}\n{settings}", place.display()));
    let mark = stage.donor().log_mark();
    let told = stage.ask(&[]).finish();
    told.ended("failed", "No space left on device");
    assert!(told.text("error").contains("backup.tar.zst"), "{told}");
    assert_eq!(told.json["donor_synced"], true, "{told}");
    stage.assert_released(mark);
    let log = stage.donor().log_since(mark);
    // The provider also rests for a moment when the lock is tried before the freeze: the last time counts.
    let said = |text: &str| log.rfind(text).unwrap_or_else(|| panic!("no '{text}' in:\n{log}"));
    // What is copied ahead may be refused before the server stands still, or be on its way then.
    let is_ahead = log.contains("the method is precopy");
    if !is_ahead || log.contains("the server is frozen at") {
        assert!(said("the server is frozen at") < said("Provider resumed"), "{log}");
        assert!(said("the server is frozen at") < said("no backup was made"), "{log}");
    }
    let left = files_below(&place);
    assert_eq!(left, ["status.json"], "{log}");

    // Not even a status fits.
    let mut fill = Command::new("dd");
    fill.args(["if=/dev/zero", "bs=4k", &format!("of={}", place.join("x").display())]);
    assert!(!fill.output().expect("cannot run dd").status.success(), "the disk is not full");
    let told = stage.ask(&[]).finish();
    told.ended("failed", "The repository is full (0 B are free)");
    assert!(!told.text("error").contains("stock"), "{told}");
    drop(disk);
    stage.configure("");
    stage.back_up();
}

/// The names of all files, hidden ones too.
fn files_below(folder: &Path) -> Vec<String> {
    let found = Command::new("find").arg(folder).args(["-type", "f", "-printf", "%f\\n"]).output();
    let found = String::from_utf8(found.expect("cannot run find").stdout).expect("names are UTF-8");
    found.lines().map(str::to_owned).collect()
}
