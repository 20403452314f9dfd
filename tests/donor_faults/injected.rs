//! System calls that fail, one after the other over a whole backup: the N-th of its kind in each thread.
//!
//! `strace` makes them fail, in the program as it is. Whatever fails: the server is thawed, and there is a backup that
//! verifies, or none and a reason.

use std::fs;
use std::path::Path;

use crate::support::ScriptedMysqld;
use crate::support::cli::cli;
use crate::support::scripted_mysqld::{Outcome, names_in};

/// More calls of one kind than a thread makes.
const ENOUGH: usize = 2000;

/// What is in the repository's one folder, if it has one.
fn left_in(server: &ScriptedMysqld) -> Vec<String> {
    server.attempts().first().map(|folder| names_in(folder)).unwrap_or_default()
}

/// What must be true whatever has failed.
fn judge(what: &str, server: &ScriptedMysqld, outcome: &Outcome) {
    let names = left_in(server);
    let all = || format!("{what}: {:?} {:?} {names:?}\n{}", outcome.code, outcome.stdout, outcome.stderr);
    let complete = names.iter().any(|name| name == "manifest.json");
    assert!(outcome.code.is_some(), "{}", all());
    assert!(complete || outcome.code != Some(0), "success without a backup: {}", all());
    assert!(complete || !outcome.stdout.contains("done"), "mysqld heard of a backup: {}", all());
    assert_ne!(outcome.manifest_at_done, Some(false), "done before the manifest: {}", all());
    if outcome.stdout.contains("flush tables") && !what.starts_with("write") {
        assert!(outcome.stdout.contains("continue"), "only its end has thawed the server: {}", all());
    }
    if complete {
        verify(server.repository().as_path(), &all());
        return;
    }
    let archive = names.iter().any(|name| name.starts_with("backup.tar") || name.starts_with("index.json"));
    let temporary = names.iter().any(|name| name.starts_with('.'));
    if !what.starts_with("unlink") {
        assert!(!archive && !temporary, "something is left: {}", all());
    }
    if !names.is_empty() {
        let told = server.status()["state"] == "failed" && !server.status()["error"].is_null();
        assert!(told || outcome.stderr.contains("status.json"), "{} {}", server.status(), all());
    }
    let error = outcome.messages("ERROR").first().map(ToString::to_string);
    let named = error.is_some_and(|error| error.contains("cannot ") && error.contains("(os error "));
    assert!(named || what.starts_with("write"), "no reason: {}", all());
}

fn verify(repository: &Path, all: &str) {
    let verified = cli("verify latest").on(repository).run();
    assert_eq!(verified.status, Some(0), "{}\n{all}", verified.stderr);
}

/// The server does not stand still while files are taken away again.
fn assert_thawed_first(what: &str, outcome: &Outcome, trace: &str) {
    let position = |part: &str| trace.lines().position(|line| line.contains(part));
    let cleaned = trace.lines().position(|line| {
        line.contains("unlinkat(") && (line.contains("\".backup.tar") || line.contains("\"backup.tar"))
    });
    if let Some(cleaned) = cleaned.filter(|_| outcome.stdout.contains("flush tables")) {
        let thawed = position("\"continue\\n\"");
        assert!(thawed.is_some_and(|thawed| thawed < cleaned), "{what}: cleaned up first\n{trace}");
    }
}

/// Lets every call of this kind fail once.
fn sweep(call: &str, error: &str) {
    for number in 1..ENOUGH {
        let server = ScriptedMysqld::new();
        let inject =
            format!("-s 400 -e trace={call},write,unlinkat -e inject={call}:error={error}:when={number}");
        let outcome = server.asks().progress().strace(&inject).run();
        let trace = fs::read_to_string(server.trace()).unwrap_or_default();
        assert_thawed_first(&format!("{call} {number}"), &outcome, &trace);
        if !trace.contains("(INJECTED)") {
            assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
            assert!(number > 1, "{call} is not what the program calls");
            return;
        }
        judge(&format!("{call} {number}"), &server, &outcome);
    }
    panic!("{call}: no end");
}

#[test]
#[ignore = "needs strace"]
fn every_sync_and_every_folder_that_fails() {
    sweep("fsync", "EIO");
    sweep("mkdir,mkdirat", "ENOSPC");
}

#[test]
#[ignore = "needs strace"]
fn every_rename_and_every_removal_that_fails() {
    sweep("rename,renameat", "EIO");
    sweep("unlink,unlinkat", "EACCES");
}

#[test]
#[ignore = "needs strace"]
fn every_write_that_fails() {
    sweep("write", "ENOSPC");
    sweep("ftruncate", "EIO");
}

#[test]
#[ignore = "needs strace"]
fn every_file_that_cannot_be_opened_or_read() {
    sweep("openat", "EIO");
    sweep("read", "EIO");
}
