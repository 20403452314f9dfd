//! A bucket with object lock and default retention, and with it versions: moto knows both.

use std::process::Command;
use std::time::Duration;

use wsrep_sst_backup::storage::{S3Storage, Storage};

use crate::donor::{command_by, donor};
use crate::proxy::{Proxy, Way};
use crate::refusal;
use crate::server::{FileServer, Moto, STALL, settings, storage};
use crate::support::noise;

/// Asks moto for something that our own client has no request for.
fn curl(arguments: &[&str]) -> String {
    let answer = Command::new("curl").args(["-sSf"]).args(arguments).output().unwrap();
    assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr));
    String::from_utf8_lossy(&answer.stdout).into_owned()
}

#[test]
#[ignore = "needs moto"]
fn a_backup_in_a_locked_bucket_leaves_few_versions_and_they_are_told() {
    let server = Moto::start(None);
    let at = |path: &str| format!("{}/{path}", server.endpoint);
    curl(&["-X", "PUT", "-H", "x-amz-bucket-object-lock-enabled: true", &at("locked")]);
    let retention = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                     <Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
    curl(&[
        "-X",
        "PUT",
        "-H",
        "Content-Type: application/xml",
        "--data",
        retention,
        &at("locked?object-lock"),
    ]);

    let plain = settings(&server.endpoint);
    let locked = S3Storage::new("locked", "backups", &plain, STALL, &|_| None).unwrap();
    let trial = locked.try_object().unwrap();
    assert!(trial.put.is_ok() && trial.read.is_ok() && trial.listed.is_ok() && trial.versioned, "{trial:?}");
    assert!(trial.locked.as_deref().unwrap().contains("GOVERNANCE") && trial.removed.is_err(), "{trial:?}");
    // A check a minute leaves no object a minute.
    assert!(locked.try_object().unwrap().locked.is_some());
    assert_eq!(curl(&[&at("locked?versions")]).matches("<Version>").count(), 1);
    let open = storage("backups", &plain).try_object().unwrap();
    assert!(open.removed.is_ok() && !open.versioned && open.locked.is_none(), "{open:?}");
    assert_eq!(storage("", &plain).old_versions().unwrap().unwrap().count, 0);

    let proxy = Proxy::start(server.endpoint.trim_start_matches("http://").parse().unwrap(), Way::Up, &[]);
    // Four seconds of copying, in which the status would be written twice.
    let donor = donor(&proxy.endpoint(), "limit-rate=1M\ncompression=none");
    donor.configure("wsrep_sst_backup", "repository=s3://locked/backups");
    donor.write("db/noise.MYD", noise(4 << 20, 1));
    let outcome = donor.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let requests = proxy.line.requests();
    let written =
        requests.iter().filter(|line| line.starts_with("PUT ") && line.contains("status.json")).count();
    let states = ["starting", "freezing", "copying", "total", "thawed", "publishing", "done"].len();
    assert!((2..=states).contains(&written), "{requests:#?}");
    let cluster = locked.folders("").unwrap().remove(0);
    let id = locked.folders(&cluster).unwrap().remove(0);
    let status = locked.read_small(&format!("{cluster}/{id}/status.json"), 1 << 16).unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap();
    assert_eq!((&status["state"], &status["beat_s"]), (&"done".into(), &300.into()));
    command_by(&server.endpoint, "verify latest", &donor).run().done();

    let pruned = command_by(&server.endpoint, "prune --dry-run --keep-last 1 --json", &donor).run().json();
    // All but the last status, and the donor's sign that it stands still, which is removed.
    assert_eq!(pruned["old_versions"]["count"].as_u64(), Some(written as u64), "{pruned}");
    let shown = command_by(&server.endpoint, "prune --dry-run --keep-last 1", &donor).run();
    assert!(shown.done().contains("remain in the bucket, which keeps versions"), "{}", shown.stdout);
    proxy.line.answers(|head| {
        if head.starts_with("get ") && head.contains("versions=") {
            refusal("403 Forbidden", "AccessDenied", "Access Denied.")
        } else {
            None
        }
    });
    let shown = command_by(&proxy.endpoint(), "prune --dry-run --keep-last 1", &donor).run();
    assert!(
        shown.done().contains("what was removed cannot be known: cannot list old versions in"),
        "{}",
        shown.stdout
    );
}

#[test]
fn where_nothing_is_kept_the_status_is_written_often() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let donor = donor(&proxy.endpoint(), "limit-rate=1M\ncompression=none");
    donor.write("db/noise.MYD", noise(4 << 20, 1));
    let run = donor.asks().progress().start();
    run.wait_for("total ");
    let count = || {
        let requests = proxy.line.requests();
        requests.iter().filter(|line| line.starts_with("PUT ") && line.contains("status.json")).count()
    };
    let before = count();
    assert!(crate::support::wait_until(Duration::from_secs(30), || count() >= before + 2));
    assert_eq!(run.finish().code, Some(0));
}
