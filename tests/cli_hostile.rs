//! A repository of somebody who means harm: what its names and texts do to a terminal, and files that never answer.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::cli::forge::{
    Forge, ID, edit_manifest, edit_member, manifest, put_manifest, put_object, status,
};
use support::cli::tree::{paths, tree};
use support::cli::{Answer, Running, cli, open_folder};
use support::wait_until;
use wsrep_sst_backup::model::Compression;

/// A forged line at column 0, a title for the window, colours, a return to the beginning of the line, a turn of direction.
const EVIL: &str = "x\nok       all is well\u{1b}]0;title\u{7}\u{1b}[31m\r\u{9b}2J\u{202e}fdp\u{2066}\u{200b}\u{feff}\u{7f}\u{e9}";
/// The same for a file's name.
const EVIL_NAME: &str = "d\nok       all is well\u{1b}[31m\r\u{9b}2J\u{202e}fdp\u{e9}";

/// Nothing that a terminal obeys, and no line that the program has not begun.
#[track_caller]
fn is_tame(what: &str, answer: &Answer) {
    let both = format!("{}{}", answer.stdout, answer.stderr);
    for letter in both.chars() {
        let hidden = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        assert!(letter == '\n' || !(letter.is_control() || hidden), "{what}: {letter:?} in {both:?}");
    }
    assert!(!both.lines().any(|line| line.starts_with("ok       all is well")), "{what}: {both}");
}

/// Lies wherever a text may stand: manifests, holds, outcomes, states, names of folders.
fn write(repository: &Path) {
    for cluster in ["c", EVIL_NAME] {
        let backup = Forge::new(ID)
            .compression(Compression::None)
            .file(&format!("db/{EVIL_NAME}.MYD"), "rows")
            .link("db/link", EVIL_NAME)
            .manifest(|m| {
                for field in ["cluster", "node", "method", "request", "donor_gtid"] {
                    m[field] = EVIL.into();
                }
                m["server"]["version"] = format!("10.11.19-MariaDB{EVIL}").into();
                m["server"]["datadir"] = format!("/{EVIL}").into();
                m["mariadb_gtid"] = json!({"binlog_pos": EVIL, "current_pos": EVIL, "slave_pos": EVIL});
                m["warnings"] = json!([EVIL, EVIL]);
                m["tool"]["version"] = EVIL.into();
            })
            .write(&repository.join("one"));
        let home = repository.join(cluster).join(ID);
        fs::create_dir_all(repository.join(cluster)).unwrap();
        fs::rename(backup, &home).unwrap();
        let by = json!({"held": "2026-11-21T00:00:00Z", "by": EVIL, "note": EVIL});
        fs::write(home.join("hold.json"), by.to_string()).unwrap();
        let found = json!({
            "verified": "2026-11-21T00:00:00Z", "by": EVIL, "command": EVIL, "outcome": "damaged", "findings": 2,
            "first_finding": EVIL, "files": 1, "bytes": 1, "pages_checked": 0, "pages_skipped": 0, "took_ms": 1,
            "tool": {"version": EVIL},
        });
        fs::write(home.join("verify.json"), found.to_string()).unwrap();
        let failed = "20261120T113453Z_n1";
        put_object(
            repository,
            &format!("{cluster}/{failed}/status.json"),
            status(failed, "failed", Some(EVIL)).to_string(),
        );
        let odd = "20261120T113454Z_n1";
        put_object(repository, &format!("{cluster}/{odd}/manifest.json"), format!("{{\"id\": \"{EVIL}\"}}"));
        put_object(repository, &format!("{cluster}/{odd}/hold.json"), json!({"held": EVIL}).to_string());
        let mut lying = manifest("20261120T113455Z_n1");
        lying["archive"]["name"] = EVIL.into();
        lying["archive"]["encryption"] = EVIL.into();
        lying["archive"]["recipients"] = json!([EVIL]);
        lying["gtid"]["uuid"] = EVIL.into();
        put_manifest(repository, cluster, &lying);
    }
}

#[test]
fn nothing_from_a_repository_moves_a_terminal_or_forges_a_line() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    write(&repository);
    let target = |name: &str| folder.path().join(name);
    fs::create_dir(target("other")).unwrap();
    let run = |line: &str| {
        let answer = cli(line).on(&repository).run();
        is_tame(line, &answer);
        answer
    };
    let listed = run("list");
    assert!(
        listed.stdout.contains("x\\nok       all is well\\x1b]0;title\\x07\\x1b[31m\\r\\u{9b}2J\\u{202e}fdp")
    );
    assert!(listed.stdout.contains("\\u{feff}\\x7f\u{e9}"), "{}", listed.stdout);
    let (one, odd, lying) = (ID, "20261120T113454Z_n1", "20261120T113455Z_n1");
    for line in [
        "prune --dry-run --keep-last 1",
        "prune --dry-run --keep-last 1 --cluster c",
        "report --html -",
        "check --sample 0",
        "list --cluster c",
        "show latest",
        "verify latest",
        "ls latest",
    ] {
        run(line);
    }
    for id in [one, odd, lying] {
        for verb in
            ["show", "ls", "verify --no-record", "verify --objects-only --no-record", "hold", "release"]
        {
            run(&format!("{verb} {id}"));
            run(&format!("{verb} {id} --cluster c"));
        }
        for purpose in ["node", "replica", "standalone"] {
            let line = format!("restore {id} --cluster c --as {purpose}");
            let to = target(&format!("{id}-{purpose}"));
            is_tame(&line, &cli(&line).on(&repository).to(&to).run());
        }
        let to = target(&format!("{id}-only"));
        is_tame(
            "--only",
            &cli(&format!("restore {id} --cluster c --only db.*")).on(&repository).to(&to).run(),
        );
        let line = format!("copy {id} --cluster c");
        is_tame(&line, &cli(&line).on(&repository).to(&target("other")).run());
    }
    is_tame("copy --all", &cli("copy --all").on(&repository).to(&target("other")).run());
    // One was made in spite of all that.
    let shown = cli(&format!("show {ID} --cluster c")).on(&repository).run();
    assert_eq!(shown.status, Some(4), "it has a record of damage");
    let donor = "Donor             x\\nok       all is well\\x1b]0;";
    assert!(shown.stdout.contains(donor), "{}", shown.stdout);
    assert!(target(&format!("{ID}-node")).join("ibdata1").exists());
    // A program gets the very text.
    let listed = cli("list --json").on(&repository).run();
    is_tame("list --json", &listed);
    let value: Value = serde_json::from_str(&listed.stdout).unwrap();
    let mine =
        value["backups"].as_array().unwrap().iter().find(|backup| backup["cluster_folder"] == EVIL_NAME);
    assert_eq!(mine.unwrap()["manifest"]["node"], EVIL);
    assert_eq!(mine.unwrap()["hold"]["note"], EVIL);
}

#[test]
fn a_place_outside_and_an_option_are_shown_as_they_are_written() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    // In a name of a file that the option file of a server with some tables gives.
    let backup = Forge::new(ID).write(&repository);
    edit_member(&backup, "ibdata1", |member| member["path"] = "ibdata1\nplugin_load_add=evil".into());
    edit_manifest(&backup, |_| {});
    let answer = cli("restore latest --only db.* --as standalone").on(&repository).to(&target).run();
    is_tame("--only", &answer);
    if let Ok(options) = fs::read_to_string(target.join("wsrep_sst_backup.cnf")) {
        assert!(!options.lines().any(|line| line.starts_with("plugin_load_add")), "{options}");
    }
}

/// What stands in the place of a record may be a secret that root alone can read.
#[test]
fn no_command_quotes_what_stands_in_the_place_of_a_record() {
    const SECRET: &str = "7261470815";
    let folder = open_folder();
    let repository = folder.path().join("r");
    let backup = Forge::new(ID).write(&repository);
    let texts = [
        format!("\"{SECRET}, expected {SECRET}\""),
        SECRET.to_owned(),
        format!(
            "{{\"by\": {SECRET}, \"verified\": \"{SECRET}\", \"held\": \"{SECRET}\", \"format\": \"{SECRET}\"}}"
        ),
        format!("{{\"format\": 1, \"id\": \"{SECRET}\", \"state\": \"{SECRET}\"}}"),
    ];
    let lines = [
        "list",
        "list --json",
        "report --html -",
        "prune --dry-run --keep-last 1",
        "check --sample 0",
        "show latest",
    ];
    let run_all = |what: &str| {
        for line in lines.iter().chain(&[
            "show 20261120T113452Z_n1",
            "verify 20261120T113452Z_n1",
            "ls 20261120T113452Z_n1",
        ]) {
            let answer = cli(line).on(&repository).run();
            let both = format!("{}{}", answer.stdout, answer.stderr);
            assert!(!both.contains(SECRET), "{what}, {line}: {both}");
        }
    };
    for text in &texts {
        for name in ["hold.json", "verify.json", "drill.json", "status.json"] {
            fs::write(backup.join(name), text).unwrap();
        }
        run_all(text);
    }
    let listed = cli("list").on(&repository).run();
    assert!(
        listed.stdout.contains("its hold.json cannot be read: missing field `held`"),
        "{}",
        listed.stdout
    );
    for text in &texts {
        fs::write(backup.join("manifest.json"), text).unwrap();
        run_all(text);
    }
}

/// A file of a file system whose server never answers: each call waits, until a signal that kills comes. Needs root.
struct DeafFile {
    at: PathBuf,
    server: Child,
}

impl DeafFile {
    fn mount(at: &Path) -> Self {
        let script = "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=100644,user_id=0,group_id=0 deaf \"$0\" && exec sleep 600";
        let server = Command::new("sh").args(["-c", script]).arg(at).stdout(Stdio::null()).spawn().unwrap();
        let deaf = Self { at: at.to_owned(), server };
        let is_there = || fs::read_to_string("/proc/self/mounts").unwrap().contains(at.to_str().unwrap());
        assert!(
            wait_until(Duration::from_secs(30), is_there),
            "cannot mount a file of FUSE: this test needs root"
        );
        deaf
    }
}

impl Drop for DeafFile {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).status();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Whether a thread of it waits for the file system.
fn hangs(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stacks =
        threads.map(|thread| fs::read_to_string(thread.path().join("wchan")).unwrap_or_default());
    stacks.any(|stack| stack.contains("fuse"))
}

/// Sends a signal to what hangs, and waits for its end, which comes soon.
#[track_caller]
fn ends_soon(mut running: Running, signals: &[Signal]) -> Answer {
    let pid = running.pid();
    running.wait_for("a thread that waits for the file system", || hangs(pid));
    let begun = Instant::now();
    for signal in signals {
        running.signal(*signal);
    }
    let answer = running.finish();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}: {answer:?}", begun.elapsed());
    answer
}

#[test]
#[ignore = "needs root and FUSE"]
fn a_command_whose_repository_hangs_ends_by_a_signal() {
    let folder = open_folder();
    let (repository, other) = (folder.path().join("r"), folder.path().join("other"));
    let backup = Forge::new(ID).compression(Compression::None).write(&repository);
    fs::create_dir(&other).unwrap();
    let deaf = DeafFile::mount(&backup.join("backup.tar"));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        for line in [format!("verify {ID}"), format!("verify {ID} --objects-only")] {
            let answer = ends_soon(cli(&line).on(&repository).start(), &[signal]);
            assert!(answer.stderr.contains("interrupted") || answer.status.is_none(), "{answer:?}");
            assert!(!backup.join("verify.json").exists());
        }
        ends_soon(cli(&format!("copy {ID}")).on(&repository).to(&other).start(), &[signal]);
        let left = paths(&tree(&other));
        assert!(
            !left.iter().any(|path| path.contains("manifest") || path.contains("backup.tar")),
            "{left:?}"
        );
        let target = folder.path().join("data");
        ends_soon(cli(&format!("restore {ID}")).on(&repository).to(&target).start(), &[signal]);
        assert!(!target.exists());
    }
    // The second one does not wait for anything. Which of two comes first is not said.
    let answer =
        ends_soon(cli(&format!("verify {ID}")).on(&repository).start(), &[Signal::SIGTERM, Signal::SIGINT]);
    assert_eq!(answer.status, None, "{answer:?}");
    assert_eq!(answer.stderr, "");
    drop(deaf);
    // A command that leaves nothing half done ends as by any signal.
    let deaf = DeafFile::mount(&backup.join("index.json.zst"));
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        ends_soon(cli(&format!("ls {ID}")).on(&repository).start(), &[signal]);
        ends_soon(cli(&format!("verify {ID}")).on(&repository).start(), &[signal]);
    }
    drop(deaf);
}
