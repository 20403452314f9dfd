//! `prune-after-backup`: older backups go behind `done`, within seconds, and nothing of it touches the backup.

mod support;

use std::fs;

use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::Signal;
use support::ScriptedMysqld;
use support::cli::forge::{manifest, put_manifest, put_object};
use support::scripted_mysqld::UUID;

/// A server whose repository has backups that began so many days and one hour ago; their names.
fn server(days: &[i64], settings: &str) -> (ScriptedMysqld, Vec<String>) {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", settings);
    let id = |days: &i64| {
        let at = Timestamp::now() - SignedDuration::from_hours(24 * days + 1);
        format!("{}_n1", at.strftime("%Y%m%dT%H%M%SZ"))
    };
    let ids: Vec<String> = days.iter().map(id).collect();
    for id in &ids {
        let mut manifest = manifest(id);
        manifest["gtid"]["seqno"] = 1.into();
        put_manifest(&server.repository(), "scripted", &manifest);
    }
    (server, ids)
}

/// Names of what is in the repository but the backup just made.
fn older(server: &ScriptedMysqld) -> Vec<String> {
    let names =
        server.attempts().into_iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with("_donor1")).collect()
}

#[test]
fn older_backups_go_when_the_new_one_is_complete() {
    let (server, ids) = server(&[9, 5, 1], "keep-last=2\nprune-after-backup");
    put_object(&server.repository(), &format!("scripted/{}/hold.json", ids[0]), "{}");
    put_manifest(&server.repository(), "other", &manifest("20200101T000000Z_n1"));
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert_eq!(older(&server), ["20200101T000000Z_n1", &ids[0], &ids[2]]);
    let told = outcome.messages("INFO");
    assert!(told.contains(&&*format!("prune: {} goes: not among the last 2", ids[1])), "{told:?}");
    assert!(
        told.iter().any(|text| text.starts_with("pruned: backups gone: 1, leftovers gone: 0, ")),
        "{told:?}"
    );
    assert_eq!(outcome.messages("WARNING").iter().filter(|text| text.contains("prun")).count(), 0);
}

#[test]
fn without_the_switch_or_a_policy_and_without_a_backup_all_stay() {
    let (server, ids) = server(&[9, 5], "keep-last=1");
    server.asks().run().assert_backed_up(&server);
    assert_eq!(older(&server), ids);
    server.configure("wsrep_sst_backup", "prune-after-backup");
    let failed = server.asks().gtid(&format!("{UUID}:7")).run();
    assert_ne!(failed.code, Some(0), "{}", failed.stderr);
    assert_eq!(older(&server), ids);
    let deaf = server.asks().deaf_after("continue").run();
    assert_ne!(deaf.code, Some(0), "mysqld has not heard 'done': {}", deaf.stderr);
    assert_eq!(older(&server), ids);

    let (server, ids) = self::server(&[9, 5], "prune-after-backup");
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert_eq!(older(&server), ids);
    let warning = "prune-after-backup does nothing: no keep-… setting says what to keep";
    assert!(outcome.messages("WARNING").contains(&warning), "{}", outcome.stderr);
}

#[test]
fn what_cannot_be_pruned_is_told_and_the_backup_is_as_good() {
    let (server, ids) = server(&[9, 7, 5], "keep-last=1\nprune-after-backup=on");
    fs::create_dir(server.repository().join("scripted").join(&ids[1]).join("foreign")).unwrap();
    fs::write(server.repository().join("scripted").join(&ids[2]).join("manifest.json"), "garbage").unwrap();
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert_eq!(older(&server), ids[1..]);
    let warnings = outcome.messages("WARNING");
    let is_told = |text: &str| warnings.iter().any(|warning| warning.contains(text));
    assert!(is_told("prune: cannot remove the folder '"), "{warnings:?}");
    assert!(is_told(&format!("prune: {} stays: UNUSABLE", ids[2])), "{warnings:?}");

    // The folder of the cluster cannot be read at all.
    let (server, ids) = self::server(&[9], "keep-last=1\nprune-after-backup");
    fs::rename(server.repository(), server.path("elsewhere")).unwrap();
    fs::create_dir(server.repository()).unwrap();
    server.asks().run().assert_backed_up(&server);
    assert_eq!(older(&server), [""; 0]);
    assert!(server.path("elsewhere").join("scripted").join(&ids[0]).exists());
}

#[test]
#[ignore = "needs strace"]
fn mysqld_hears_done_before_anything_is_removed() {
    let (server, ids) = server(&[9, 5], "keep-last=1\nprune-after-backup");
    server.asks().strace("-y -e trace=write,unlinkat").run().assert_backed_up(&server);
    assert_eq!(older(&server), [""; 0]);
    let trace = fs::read_to_string(server.trace()).unwrap();
    let done = trace.find("\"done ").unwrap();
    for id in &ids {
        let removed = trace.find(&format!("{id}>, \"manifest.json\"")).unwrap();
        assert!(done < removed, "{trace}");
    }
}

#[test]
#[ignore = "needs strace"]
fn a_repository_that_hangs_is_left_after_some_seconds() {
    let (server, ids) = server(&[9, 5], "keep-last=1\nprune-after-backup");
    // Nothing else removes by the descriptor of a folder. strace lets the process go when the delay is over.
    let run = server
        .asks()
        .error_log()
        .strace("-e trace=unlinkat -e inject=unlinkat:delay_enter=20s:when=1+")
        .start();
    run.wait_logged("pruning was cut off");
    run.wait_for("done ");
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
    assert!(outcome.messages("INFO").iter().any(|text| text.contains("is complete at")));
    // The second one has not been begun.
    assert_eq!(older(&server).last(), ids.last());
    server.asks().run().assert_backed_up(&server);
    let left = older(&server);
    assert!(!left.contains(&ids[1]), "{left:?}");
}

#[test]
#[ignore = "needs strace"]
fn a_signal_while_it_prunes_changes_nothing_about_the_backup() {
    let (server, _) = server(&[9, 5], "keep-last=1\nprune-after-backup");
    let run = server
        .asks()
        .error_log()
        .strace("-e trace=unlinkat -e inject=unlinkat:delay_enter=20s:when=1+")
        .start();
    run.wait_logged(" goes: not among the last 1");
    run.signal(Signal::SIGTERM);
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
    assert!(
        outcome.messages("WARNING").iter().any(|text| text.contains("pruning was cut off")),
        "{}",
        outcome.stderr
    );
}
