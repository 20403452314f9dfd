//! The conversation with mysqld when everything goes well, byte by byte, against a scripted server.

#[path = "donor_protocol/families.rs"]
mod families;
#[path = "donor_protocol/secrets.rs"]
mod secrets;
mod support;

use std::fs;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use support::scripted_mysqld::{ASKED, Backup, PAUSED, Reply, UUID, names_in, shell};
use support::{Pace, ScriptedMysqld, wait_until};

/// What a server that shows no progress hears.
fn plain_dialogue() -> String {
    format!("flush tables\ncontinue\ndone {PAUSED}\n")
}

#[test]
fn mysqld_hears_three_lines_and_the_last_one_behind_the_manifest() {
    let server = ScriptedMysqld::new();
    let (flush, pace) = (Duration::from_secs(1), Pace::start());
    let outcome = server.asks().reply(Reply::twice(PAUSED).after(flush)).run();
    assert_eq!(outcome.stdout, plain_dialogue());
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    assert_eq!(
        names_in(&backup.folder),
        ["backup.tar.zst", "index.json.zst", "manifest.json", "status.json"]
    );
    let frozen = outcome.at("continue") - outcome.at("flush tables");
    let told = Duration::from_millis(backup.manifest["frozen_ms"].as_u64().unwrap());
    // On a loaded machine this side hears a line later than it was said.
    assert!(told >= flush && told.abs_diff(frozen) < pace.at_once(), "{told:?} of {frozen:?}");
    let last = outcome.messages("INFO").last().map(ToString::to_string).unwrap();
    assert!(last.contains("is complete at 4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f:6"), "{last}");
    assert!(last.contains(&format!("frozen for {} ms", told.as_millis())), "{last}");
}

#[test]
fn progress_is_told_where_it_is_wanted_and_ends_with_the_total() {
    let server = ScriptedMysqld::new();
    // One file has nearly everything, as a server with one large table has.
    server.write("db/first.MYD", vec![b'x'; 200 << 20]);
    server.write("db/second.MYD", vec![b'y'; 1 << 20]);
    let outcome = server.asks().progress().run();
    outcome.assert_backed_up(&server);
    let files = "find . -type f ! -name grastate.dat ! -name backup_sst_complete -printf '%s\n'";
    let data = shell(&server.datadir(), &format!("{files} | awk '{{ all += $1 }} END {{ print all }}'"));
    let bytes: u64 = String::from_utf8(data).unwrap().trim().parse().unwrap();
    let lines: Vec<&str> = outcome.stdout.lines().collect();
    assert_eq!(lines[..2], ["flush tables", &format!("total {bytes}")]);
    let complete: Vec<u64> = lines[2..lines.len() - 2]
        .iter()
        .map(|line| line.strip_prefix("complete ").unwrap().parse().unwrap())
        .collect();
    assert!(complete.len() >= 4 && complete.is_sorted(), "{complete:?}");
    assert!(complete[..3].windows(2).all(|pair| pair[1] - pair[0] < 66 << 20), "{complete:?}");
    assert_eq!(complete.last(), Some(&bytes));
    assert_eq!(lines[lines.len() - 2..], ["continue", &format!("done {PAUSED}")]);
}

#[test]
fn the_position_is_the_one_of_tables_flushed_everywhere() {
    let server = ScriptedMysqld::new();
    let paused = format!("{UUID}:9000000000 4294967295");
    let outcome = server.asks().options("--gtid-domain-id 3").reply(Reply::once(&paused)).run();
    outcome.assert_backed_up(&server);
    assert!(outcome.stdout.ends_with(&format!("done {paused}\n")), "{}", outcome.stdout);
    let backup = server.backup();
    let gtid = serde_json::json!({"uuid": UUID, "seqno": 9_000_000_000_u64, "domain_id": u32::MAX});
    assert_eq!(backup.manifest["gtid"], gtid);
    assert_eq!(backup.manifest["donor_gtid"], ASKED);
    assert_eq!(backup.index()[0]["index"]["gtid"], gtid);
    let unpacked = backup.unpack(&server.path("unpacked"));
    let identity: Value =
        serde_json::from_slice(&fs::read(unpacked.join("wsrep_sst_backup.json")).unwrap()).unwrap();
    assert_eq!(identity["gtid"], gtid);
    assert_eq!((&identity["cluster"], &identity["node"]), (&"scripted".into(), &"donor1".into()));
    let grastate = fs::read_to_string(unpacked.join("grastate.dat")).unwrap();
    assert!(
        grastate.contains(&format!("uuid:    {UUID}\nseqno:   9000000000\nsafe_to_bootstrap: 0\n")),
        "{grastate}"
    );
}

#[test]
fn a_domain_that_mysqld_prints_as_a_negative_number_is_the_unsigned_one() {
    let server = ScriptedMysqld::new();
    let reply = Reply::twice(&format!("{UUID}:6 -2147483648"));
    let outcome = server.asks().options("--gtid-domain-id -2147483648").reply(reply).run();
    outcome.assert_backed_up(&server);
    assert!(outcome.stdout.ends_with(&format!("done {UUID}:6 2147483648\n")), "{}", outcome.stdout);
    assert_eq!(server.backup().manifest["gtid"]["domain_id"], 1_u64 << 31);
}

#[test]
fn a_whole_answer_that_cannot_be_read_ends_the_freeze_at_once() {
    let server = ScriptedMysqld::new();
    let outcome = server.asks().reply(Reply::once(&format!("{UUID}:6 none"))).run();
    assert_eq!(outcome.stdout, "flush tables\ncontinue\n");
    let frozen = outcome.at("continue") - outcome.at("flush tables");
    assert!(frozen < Duration::from_secs(20), "the server waited {frozen:?} for flush-timeout");
    assert!(
        outcome.stderr.contains(&format!("'{UUID}:6 none' is not a Galera position")),
        "{}",
        outcome.stderr
    );
}

#[test]
fn an_answer_is_believed_when_it_is_whole() {
    let part = format!("{UUID}:6");
    let whole = format!("{PAUSED}\n");
    for (what, reply, wait_ms) in [
        ("written twice", Reply::twice(PAUSED), 0),
        ("written piece by piece", Reply::growing(&["", UUID, &part, PAUSED, &whole]), 240),
        ("late", Reply::once(PAUSED).after(Duration::from_millis(400)), 400),
    ] {
        let (server, pace) = (ScriptedMysqld::new(), Pace::start());
        let outcome = server.asks().reply(reply).run();
        assert_eq!(outcome.stdout, plain_dialogue(), "{what}");
        outcome.assert_backed_up(&server);
        assert_eq!(server.backup().manifest["gtid"]["seqno"], 6, "{what}");
        let flush = Duration::from_millis(server.backup().manifest["flush_ms"].as_u64().unwrap());
        let least = Duration::from_millis(wait_ms);
        assert!(flush >= least && flush < least + pace.at_once(), "{what}: {flush:?}");
    }
}

#[test]
fn what_an_earlier_transfer_has_left_is_not_an_answer() {
    let server = ScriptedMysqld::new();
    server.write("tables_flushed", format!("{UUID}:77 0\n"));
    server.write("sst_error", "");
    let outcome = server.asks().reply(Reply::once(PAUSED).after(Duration::from_millis(200))).run();
    assert_eq!(outcome.stale, Vec::<String>::new(), "removed before the server is asked");
    outcome.assert_backed_up(&server);
    assert_eq!(server.backup().manifest["gtid"]["seqno"], 6);
}

#[test]
fn what_is_not_known_is_named_and_skipped() {
    let server = ScriptedMysqld::new();
    let outcome =
        server.asks().options("'' --brand-new-flag '' --brand-new-option=hunter2 --another hunter2 ''").run();
    assert_eq!(outcome.stdout, plain_dialogue());
    outcome.assert_backed_up(&server);
    assert!(outcome.stderr.contains("--brand-new-flag --brand-new-option --another"), "{}", outcome.stderr);
    assert!(!outcome.stderr.contains("hunter2"), "a value may be a password: {}", outcome.stderr);
}

#[test]
fn labels_travel_in_the_address() {
    for (address, request) in [
        ("", Value::Null),
        ("req-7f3a/label.x", "req-7f3a/label.x".into()),
        ("[::1]:4444/backup", "[::1]:4444/backup".into()),
        ("user:pass@req-1", "req-1".into()),
        ("user:p@ss@", Value::Null),
    ] {
        let server = ScriptedMysqld::new();
        let outcome = server.asks().address(address).run();
        outcome.assert_backed_up(&server);
        assert_eq!(server.backup().manifest["request"], request, "{address}");
    }
}

#[test]
fn a_transfer_without_data_is_answered_at_once() {
    let server = ScriptedMysqld::new();
    let outcome = server.asks().options("--gtid-domain-id 4 --bypass").run();
    assert_eq!(outcome.stdout, format!("continue\ndone {ASKED} 4\n"));
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(server.attempts(), Vec::<std::path::PathBuf>::new());
    let said = outcome.messages("INFO");
    assert_eq!((said.len(), said[0]), (2, "Bypassing state dump."));
    assert!(said[1].starts_with("whether the node is Primary is not known (no SQL as"), "{said:?}");
}

#[test]
fn the_option_files_are_those_of_mysqld() {
    let server = ScriptedMysqld::new();
    let other = server.write_outside("extra.cnf", format!(
        "[mysqld]\nwsrep_node_name=extra\n[wsrep_sst_backup]\nrepository={0}/wrong\n[wsrep_sst_backup_b]\nrepository={0}/right\n",
        server.path("").display()
    ));
    let form = format!(
        "--role 'donor' --address '' --socket 'SOCKET' --datadir 'DATADIR' --defaults-extra-file '{}' \
         --defaults-group-suffix '_b' --gtid '{ASKED}'",
        other.display()
    );
    let outcome = server.asks().form(&form).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!((names_in(&server.path("wrong")).len(), names_in(&server.path("right")).len()), (0, 1));
    let by_environment = server.path("by-environment").to_string_lossy().into_owned();
    let outcome = server.asks().env("WSREP_SST_BACKUP_REPOSITORY", Some(&by_environment)).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let folder = server.path("by-environment/scripted");
    assert!(
        Backup::open(&folder.join(&names_in(&folder)[0])).manifest["id"]
            .as_str()
            .unwrap()
            .ends_with("_donor1")
    );
}

#[test]
fn the_status_tells_how_far_a_running_backup_is() {
    let server = ScriptedMysqld::new();
    server.make_slow(50);
    let run = server.asks().progress().address("req-1").start();
    run.wait_for("total ");
    let file = server.attempts()[0].join("status.json");
    let mut status = Value::Null;
    let is_under_way = wait_until(Duration::from_secs(10), || {
        status = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        status["bytes_done"].as_u64() > Some(0)
    });
    assert!(is_under_way && !run.has_said("continue"), "{status}");
    assert_eq!((&status["state"], &status["request"]), (&"copying".into(), &"req-1".into()), "{status}");
    assert_eq!((&status["pid"], &status["gtid"]["seqno"]), (&run.pid().into(), &6.into()), "{status}");
    let total = status["bytes_total"].as_u64();
    assert!(total > Some(50 << 20) && status["bytes_done"].as_u64() < total, "{status}");
    run.signal(Signal::SIGTERM);
    let outcome = run.finish();
    outcome.assert_refused(&server, 4, "stopped by SIGTERM");
    let last: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert!(last["bytes_done"].as_u64() >= status["bytes_done"].as_u64(), "{last}");
}

#[test]
fn the_status_goes_through_its_states_and_stays() {
    let server = ScriptedMysqld::new();
    server.make_slow(20);
    let run = server.asks().reply(Reply::never()).start();
    run.wait_for("flush tables");
    let until = |state: &str| {
        let limit = Duration::from_secs(60);
        assert!(wait_until(limit, || server.status()["state"] == state), "{state}: {}", server.status());
        server.status()
    };
    let first = until("freezing");
    assert_eq!((&first["gtid"], &first["bytes_total"]), (&Value::Null, &Value::Null), "{first}");
    // Nothing happens, and it says so every two seconds; the rest is for a machine that has other work.
    let refreshed = wait_until(Duration::from_secs(8), || server.status()["updated"] != first["updated"]);
    assert!(refreshed, "{}", server.status());
    run.answer(&Reply::once(PAUSED));
    assert_eq!(until("copying")["gtid"]["seqno"], 6);
    let outcome = run.finish();
    outcome.assert_backed_up(&server);
    let last = server.status();
    assert_eq!(last["state"], "done", "{last}");
    assert!(last["bytes_total"].as_u64() > Some(20 << 20), "{last}");
    assert!(last["bytes_done"].as_u64() >= last["bytes_total"].as_u64(), "{last}");
    let manifest = server.backup().manifest;
    assert_eq!((&last["gtid"], &last["frozen_ms"]), (&manifest["gtid"], &manifest["frozen_ms"]));
    assert_eq!(first["frozen_ms"], Value::Null, "{first}");
}
