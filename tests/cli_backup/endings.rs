//! Requests that come to an end before their backup does: no answer, an interruption, a time limit.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{ALONE, JOINED, LONG, LOST, SELECTED, Stage, UNKNOWN, begin};

#[test]
fn a_lost_request_is_repeated_and_an_answered_one_is_not() {
    let stage = Stage::new(LOST, 0);
    stage.script(&format!(
        "if [ $(wc -l < {0}/calls) -lt 3 ]; then cat >&2 <<END\n{LOST}\nEND\nexit 0; fi\ncat >&2 <<END\n{JOINED}\n{SELECTED}\nEND",
        stage.folder.path().display()
    ));
    let answer = stage.backup("--no-wait --json").run();
    assert_eq!(answer.status, Some(0), "{answer:?}");
    let told: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!((&told["attempts"], &told["outcome"]), (&3.into(), &"asked".into()));
    let calls = stage.calls();
    let name = |call: &String| call.split("--name=").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert_eq!(calls.iter().map(name).collect::<std::collections::BTreeSet<_>>().len(), 3, "{calls:?}");

    let stage = Stage::new(&format!("{JOINED}\n{UNKNOWN}"), 0);
    let answer = stage.backup("--donor n9").run();
    assert_eq!((answer.status, stage.calls().len()), (Some(1), 1));
    assert!(answer.stderr.contains("the cluster has no donor for 'n9'"), "{}", answer.stderr);
}

#[test]
fn a_garbd_that_always_loses_it_is_given_up_with_its_last_words() {
    let stage = Stage::new(LOST, 0);
    let answer = stage.backup("").run();
    assert_eq!((answer.status, stage.calls().len()), (Some(1), 4));
    assert!(answer.stderr.contains("4 times without an answer"), "{}", answer.stderr);
    assert!(answer.stderr.contains("primary = no"), "{}", answer.stderr);
}

#[test]
fn what_keeps_garbd_out_is_told_apart() {
    const NOBODY: &str = "127.0.0.1:1";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let member = listener.local_addr().unwrap().to_string();
    for (lines, member, cause) in [
        ("INFO: Failed to establish connection: wrong version number", NOBODY, "TLS does not fit (Failed"),
        (
            "INFO: Failed to establish connection: Connection refused",
            NOBODY,
            "no member answers there (Failed",
        ),
        ("INFO: connection established to b", NOBODY, "4 times without an answer"),
        (ALONE, &member, "no member took it in: a wrong address, a firewall, a group that is not called 'c'"),
        (ALONE, NOBODY, "no member answers there (127.0.0.1:1: Connection refused"),
        (
            "FATAL: Exception in creating receive loop.",
            &member,
            "no member took it in (Exception in creating receive loop.)",
        ),
    ] {
        let stage = Stage::new(lines, 0);
        let answer = stage.backup_of(member, "").run();
        assert_eq!(answer.status, Some(1));
        assert!(answer.stderr.contains(cause), "{lines}: {}", answer.stderr);
    }
}

#[test]
fn a_garbd_that_waits_for_ever_is_ended() {
    let busy = "INFO: Member 3.0 ($name) requested state transfer from 'n1', but it is impossible to select State Transfer \
                donor: No donor candidates temporarily available in suitable state";
    let stage = Stage::new(JOINED, 0);
    stage.script(&format!("echo '{JOINED}' >&2\nfor i in $(seq 100); do echo \"{busy}\" >&2; sleep 1; done"));
    let started = Instant::now();
    let answer = stage.backup("--donor n1").run();
    assert_eq!(answer.status, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("'n1' was busy for 20 s"), "{}", answer.stderr);
    assert!(started.elapsed() < LONG);
}

#[test]
fn ctrl_c_and_the_time_limit_say_how_to_go_on() {
    for (words, signal) in [("", Some(Signal::SIGINT)), ("--timeout 3s", None)] {
        let stage = Stage::new(&format!("{JOINED}\n{SELECTED}"), 0);
        let (running, request) = begin(&stage, words);
        stage.status(&request, "copying", None);
        if let Some(signal) = signal {
            std::thread::sleep(Duration::from_secs(1));
            running.signal(signal);
        }
        let answer = running.finish();
        assert_eq!(answer.status, Some(1), "{answer:?}");
        let hint = format!("pick it up again with: wsrep_sst_backup backup --follow {request}\n");
        assert!(answer.stderr.ends_with(&hint), "{}", answer.stderr);
    }
}

#[test]
fn an_interrupted_request_ends_its_garbd() {
    let stage = Stage::new(ALONE, 100);
    let running = stage.backup("").start();
    stage.request();
    running.signal(Signal::SIGTERM);
    let answer = running.finish();
    assert_eq!(answer.status, Some(1), "{answer:?}");
    assert!(answer.stderr.contains("given up before a donor was selected: interrupted"), "{}", answer.stderr);
    let mine = |path: &Path| {
        fs::read_to_string(path.join("cmdline"))
            .is_ok_and(|line| line.contains(&*stage.folder.path().to_string_lossy()))
    };
    let left = fs::read_dir("/proc").unwrap().flatten().any(|process| mine(&process.path()));
    assert!(!left, "garbd still runs");
}
