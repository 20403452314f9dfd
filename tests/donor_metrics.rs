//! `metrics-file`: how a run has ended, and what the repository holds, behind `done` and in nobody's way.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use support::ScriptedMysqld;
use support::cli::forge::{manifest, put_manifest, put_object, status};
use support::prometheus::{Metrics, promtool};
use support::scripted_mysqld::UUID;

/// A server that has a metrics file, and the file.
fn server() -> (ScriptedMysqld, PathBuf) {
    let server = ScriptedMysqld::new();
    fs::create_dir(server.path("metrics")).unwrap();
    let file = server.path("metrics/wsrep_sst_backup.prom");
    server.configure("wsrep_sst_backup", &format!("metrics-file={}", file.display()));
    (server, file)
}

/// The name of a run that began so many hours ago.
fn ago(hours: i64) -> String {
    format!("{}_n1", (Timestamp::now() - SignedDuration::from_hours(hours)).strftime("%Y%m%dT%H%M%SZ"))
}

#[expect(clippy::cast_precision_loss, reason = "test values are small")]
fn seconds(at: &serde_json::Value) -> f64 {
    at.as_str().unwrap().parse::<Timestamp>().unwrap().as_millisecond() as f64 / 1e3
}

#[track_caller]
fn assert_near(left: f64, right: f64) {
    assert!((left - right).abs() < 0.0011, "{left} is not {right}");
}

const RUN: [(&str, &str); 2] = [("cluster", "scripted"), ("node", "donor1")];

#[test]
fn a_backup_is_told_with_all_that_is_known() {
    let (server, file) = server();
    let (old, failed) = (ago(50), ago(1));
    put_manifest(&server.repository(), "scripted", &manifest(&old));
    let told = status(&failed, "failed", Some("why"));
    put_object(&server.repository(), &format!("scripted/{failed}/status.json"), told.to_string());
    put_object(&server.repository(), &format!("scripted/{}/manifest.json", ago(60)), "garbage");
    let begun = Timestamp::now().as_second();
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert_eq!(outcome.stdout, format!("flush tables\ncontinue\ndone {UUID}:6 0\n"));
    // mysqld's umask takes everything from others.
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_dir(server.path("metrics")).unwrap().count(), 1);

    let newest = support::scripted_mysqld::Backup::open(server.attempts().last().unwrap()).manifest;
    let metrics = Metrics::read(&file);
    let is = |name: &str| metrics.of("scripted", name);
    let number = |pointer: &str| newest.pointer(pointer).unwrap().as_f64().unwrap();
    assert_near(is("last_success_timestamp_seconds"), seconds(&newest["frozen_at"]));
    let took = seconds(&newest["finished"]) - seconds(&newest["started"]);
    assert_near(is("last_success_duration_seconds"), took);
    assert_near(is("last_success_frozen_seconds"), number("/frozen_ms") / 1e3);
    assert_near(is("last_success_flush_seconds"), number("/flush_ms") / 1e3);
    assert_near(is("last_success_data_bytes"), number("/data_bytes"));
    assert_near(is("last_success_stored_bytes"), number("/archive/bytes") + number("/index/bytes"));
    assert_near(is("last_success_files"), number("/files"));
    assert_near(is("last_success_damaged_pages"), 0.0);
    // SQL did not answer.
    assert_near(is("last_success_warnings"), 1.0);
    assert_near(is("kept_backups"), 2.0);
    assert_near(is("unusable_backups"), 1.0);
    assert_near(is("stored_bytes"), is("last_success_stored_bytes") + 55_574_528.0 + 23_563.0);
    assert_near(is("oldest_timestamp_seconds"), seconds(&manifest(&old)["frozen_at"]));
    assert_near(is("failed_runs"), 0.0);
    assert_near(is("damaged_backups"), 0.0);
    assert_near(is("repository_readable"), 1.0);
    assert_eq!(metrics.get("last_verify_timestamp_seconds", &[("cluster", "scripted")]), None);
    let info = metrics.labels("last_success_info");
    assert_eq!((info.len(), info[0]["id"].as_str()), (1, newest["id"].as_str().unwrap()));
    assert_eq!((info[0]["node"].as_str(), info[0]["compression"].as_str()), ("donor1", "zstd"));

    let run = |name: &str| metrics.get(name, &RUN).unwrap();
    assert_near(run("last_run_success"), 1.0);
    assert_near(run("last_run_exit_status"), 0.0);
    assert_near(run("last_run_frozen_seconds"), number("/frozen_ms") / 1e3);
    assert_near(run("last_run_start_timestamp_seconds"), seconds(&newest["started"]));
    let span = run("last_run_timestamp_seconds") - run("last_run_start_timestamp_seconds");
    assert_near(run("last_run_duration_seconds"), span);
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970")]
    let begun = begun as f64;
    assert!(is("catalog_timestamp_seconds") >= begun && run("last_run_timestamp_seconds") >= begun);
}

#[test]
#[ignore = "needs promtool"]
fn promtool_has_nothing_against_it() {
    let (server, file) = server();
    server.configure("mysqld", "wsrep_node_name=n\"1{,}=");
    server.asks().run().assert_backed_up(&server);
    assert_eq!(promtool(&["check", "metrics"], Some(&file)), "");
    let metrics = Metrics::read(&file);
    assert_eq!(metrics.labels("last_run_success")[0]["node"], "n\"1{,}=");
    assert_eq!(metrics.labels("last_success_info")[0]["node"], "n\"1{,}=");
}

#[test]
fn a_failure_is_told_and_the_last_backup_is_not_forgotten() {
    let (server, file) = server();
    server.asks().run().assert_backed_up(&server);
    let before = Metrics::read(&file);
    // The server stands before the position that was asked for.
    let failed = server.asks().gtid(&format!("{UUID}:7")).run();
    let after = Metrics::read(&file);
    let run = |name: &str| after.get(name, &RUN).unwrap();
    assert_near(run("last_run_success"), 0.0);
    assert_near(run("last_run_exit_status"), f64::from(failed.code.unwrap()));
    for name in ["last_success_timestamp_seconds", "kept_backups", "stored_bytes"] {
        assert_near(after.of("scripted", name), before.of("scripted", name));
    }
    assert_eq!(after.labels("last_success_info"), before.labels("last_success_info"));

    // No repository has heard of this one.
    server.configure("wsrep_sst_backup", &format!("repository={}", server.path("no/such").display()));
    assert_eq!(server.asks().run().code, Some(5));
    let after = Metrics::read(&file);
    let run = |name: &str| after.get(name, &RUN).unwrap();
    assert_eq!((run("last_run_success"), run("last_run_exit_status")), (0.0, 5.0));
    assert_near(run("last_run_frozen_seconds"), 0.0);
    let known = |name: &str| after.of("scripted", name);
    assert_eq!((known("kept_backups"), known("repository_readable")), (1.0, 0.0));
}

#[test]
fn a_failed_run_tells_how_long_the_server_was_frozen() {
    let (server, file) = server();
    server.make_slow(40);
    server.configure("wsrep_sst_backup", "freeze-timeout=1s");
    let outcome = server.asks().run();
    assert_eq!(outcome.code, Some(110), "{}", outcome.stderr);
    let frozen = Metrics::read(&file).get("last_run_frozen_seconds", &RUN).unwrap();
    assert!((0.9..5.0).contains(&frozen), "{frozen}");
}

#[test]
fn metrics_that_cannot_be_written_are_a_warning_and_no_more() {
    let (server, file) = server();
    fs::write(&file, "node_load1 0.5\n").unwrap();
    for (setting, warning) in [
        (file.clone(), "is not replaced: wsrep_sst_backup has not written it"),
        (server.path("none/x.prom"), "No such file or directory"),
        (server.datadir(), "is not replaced"),
        ("/dev/null".into(), "is not replaced"),
    ] {
        server.configure("wsrep_sst_backup", &format!("metrics-file={}", setting.display()));
        let outcome = server.asks().run();
        outcome.assert_backed_up(&server);
        let warnings = outcome.messages("WARNING");
        let told = |text: &&&str| text.starts_with("metrics: ") && text.contains(warning);
        assert!(warnings.iter().any(|text| told(&text)), "{warning}: {warnings:?}");
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "node_load1 0.5\n");
}

#[test]
fn what_is_pruned_behind_the_backup_is_counted_no_more() {
    let (server, file) = server();
    for hours in [50, 30] {
        put_manifest(&server.repository(), "scripted", &{
            let mut manifest = manifest(&ago(hours));
            manifest["gtid"]["seqno"] = 1.into();
            manifest
        });
    }
    server.configure("wsrep_sst_backup", "keep-last=2\nprune-after-backup");
    server.asks().run().assert_backed_up(&server);
    assert_near(Metrics::read(&file).of("scripted", "kept_backups"), 2.0);
}

#[test]
fn a_pipe_in_the_repository_holds_nothing_up_behind_the_backup() {
    let (server, file) = server();
    let old = server.repository().join("scripted").join(ago(50));
    fs::create_dir_all(&old).unwrap();
    // Who opens it as a file waits for ever.
    assert!(Command::new("mkfifo").arg(old.join("manifest.json")).status().unwrap().success());
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let warnings = outcome.messages("WARNING");
    assert!(!warnings.iter().any(|text| text.ends_with("check', does it")), "{warnings:?}");
    let metrics = Metrics::read(&file);
    assert_eq!(metrics.get("last_run_success", &RUN), Some(1.0));
    assert!(metrics.of("scripted", "last_success_files") > 10.0);
}

#[test]
#[ignore = "needs strace"]
fn mysqld_hears_done_before_anything_is_written() {
    let (server, _) = server();
    server.asks().strace("-e trace=write,rename,renameat,renameat2").run().assert_backed_up(&server);
    let trace = fs::read_to_string(server.trace()).unwrap();
    let (done, renamed) = (trace.find("\"done "), trace.find("wsrep_sst_backup.prom\""));
    assert!(done.is_some() && done < renamed, "{trace}");
}

#[test]
#[ignore = "needs strace"]
fn a_file_system_that_hangs_is_left_after_a_second() {
    let (server, file) = server();
    // Nothing else changes the mode of a file.
    let hang = "-e trace=fchmod -e inject=fchmod:delay_enter=12s:when=1+";
    let run = server.asks().error_log().strace(hang).start();
    let done = run.wait_for("done ").at;
    run.wait_logged("wsrep_sst_backup.prom' was not written in time");
    // The repository has been read since, and nobody waits for the lock either.
    run.wait_logged("wsrep_sst_backup.prom' is being written by another process");
    assert!(done.elapsed() < Duration::from_secs(10), "{:?}", done.elapsed());
    // strace lets the process go when its delay is over.
    run.finish().assert_backed_up(&server);
    assert!(!file.exists());
}

#[test]
#[ignore = "needs strace"]
fn a_run_that_ends_without_its_main_thread_is_told_too() {
    let (server, file) = server();
    server.configure("wsrep_sst_backup", "stall-timeout=1s");
    // The main thread makes its folder; nobody else makes any.
    let hang = "-e trace=mkdir,mkdirat -e inject=mkdir,mkdirat:delay_enter=16s:when=1+";
    let outcome = server.asks().strace(hang).run();
    assert_eq!(outcome.code, Some(110), "{}", outcome.stderr);
    let metrics = Metrics::read(&file);
    assert_eq!(metrics.get("last_run_exit_status", &RUN), Some(110.0));
    assert_eq!(metrics.get("last_run_success", &RUN), Some(0.0));
}
