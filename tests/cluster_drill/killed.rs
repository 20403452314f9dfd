//! Drills that are killed, or asked to end.

use std::process::Child;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::scene::Scene;
use super::support::program::Ran;
use super::support::{PATIENCE, wait_until};

/// Each step by the file that shows that it has begun.
const STEPS: [(&str, &str); 3] =
    [("the restore", "data"), ("the recovery", "home/error.log"), ("the server", "home/s")];
/// The same with a dump: `mariadb-install-db` has made the first database.
const STEPS_OF_DUMP: [(&str, &str); 2] = [("the new server's files", "data/mysql"), ("the load", "home/s")];

pub(super) fn at_each_step_nothing_runs_and_the_next_one_sweeps(scene: &Scene, backup: &Value) {
    killed_at(scene, backup, &STEPS);
    asked_to_end(scene, backup);
}

pub(super) fn at_each_step_of_a_dump(scene: &Scene, dump: &Value) {
    killed_at(scene, dump, &STEPS_OF_DUMP);
}

fn killed_at(scene: &Scene, backup: &Value, steps: &[(&str, &str)]) {
    for (step, file) in steps {
        let mut child = begun(scene, backup, step, file);
        child.kill().unwrap();
        let ran = Ran::finish(child);
        assert_eq!(ran.status, None, "{ran:?}");
        assert!(wait_until(PATIENCE, || scene.running().is_empty()), "{step}: {:?}", scene.running());
        assert!(scene.inside("").exists(), "{step}: nothing is left, nothing is proved");
    }
    let ran = scene.drill(backup, &["--tables", "none"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    assert!(ran.err.contains("had what a drill that was killed has left: it is removed"), "{ran:?}");
    scene.assert_swept();
}

/// Nothing is left, and nothing is said of the backup.
fn asked_to_end(scene: &Scene, backup: &Value) {
    let before = scene.record(backup);
    for (step, file) in STEPS {
        let child = begun(scene, backup, step, file);
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let ran = Ran::finish(child);
        assert!(ran.status == Some(1) && ran.err.contains("interrupted"), "{step}: {ran:?}");
        scene.assert_swept();
    }
    assert_eq!(scene.record(backup), before);
}

/// A drill that has come to that step.
fn begun(scene: &Scene, backup: &Value, step: &str, file: &str) -> Child {
    let file = scene.inside(file);
    let mut child = scene.words(backup, &[]).spawn().unwrap();
    let mut has_ended = false;
    wait_until(PATIENCE, || {
        has_ended = child.try_wait().unwrap().is_some();
        has_ended || file.exists()
    });
    assert!(!has_ended, "it has ended before {step}: {:?}", Ran::finish(child));
    child
}
