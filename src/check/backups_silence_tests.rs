//! What is said of runs that may go on.

use super::*;

#[test]
fn a_run_that_was_not_heard_of_lately_is_not_said_to_run() {
    let of = |id, state, heard: &str| {
        let records = vec![record(manifest("20261120T060000Z_n1"))];
        let attempts = vec![attempt(id, state, heard)];
        told(&Catalog { records, attempts, ..Catalog::default() }, None).split_off(1)
    };
    // Killed just now, or slow: nobody knows.
    for (heard, said) in [
        ("11:59:58", "runs"),
        ("11:59:50", "runs"),
        ("11:59:49", "was alive 11.0 s ago"),
        ("11:59:10", "was alive 50.0 s ago"),
    ] {
        let copying = of("20261120T115000Z_n1", Some(BackupState::Copying), &format!("2026-11-20T{heard}Z"));
        assert_eq!(copying, [(Level::Ok, format!("20261120T115000Z_n1 {said} | "))]);
    }
    assert_eq!(of("20261120T115959Z_n1", None, NOW)[0].1, "20261120T115959Z_n1 runs | ");
    let mute = of("20261120T115930Z_n1", None, NOW);
    assert_eq!(
        mute,
        [(Level::Ok, "20261120T115930Z_n1 began 30.0 s ago, and has told nothing since | ".to_owned())]
    );
}
