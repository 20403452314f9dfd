//! `list`: what is in a repository, whatever state it is in.

#[path = "cli_list/classes.rs"]
mod classes;
#[path = "cli_list/parted.rs"]
mod parted;
mod support;
#[path = "cli_list/unusable.rs"]
mod unusable;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::ScriptedMysqld;
use support::cli::forge::{ID, UUID, manifest, put_manifest, put_object, status};
use support::cli::{cli, open_folder};
use support::scratch::ServerUser;

/// A manifest with some values changed.
fn changed(id: &str, change: impl FnOnce(&mut Value)) -> Value {
    let mut manifest = manifest(id);
    change(&mut manifest);
    manifest
}

fn put_status(repository: &Path, cluster: &str, status: &Value) {
    let name = format!("{cluster}/{}/status.json", status["id"].as_str().unwrap());
    put_object(repository, &name, status.to_string());
}

#[test]
fn the_table_has_one_line_for_each_backup_newest_last() {
    let folder = open_folder();
    put_manifest(
        folder.path(),
        "c",
        &changed("20261121T000001Z_node-2.example.org", |m| {
            m["gtid"]["seqno"] = 9_007_199_254_740_993_u64.into();
            m["data_bytes"] = 3_298_534_883_328_u64.into();
            m["archive"]["bytes"] = 1023.into();
            m["frozen_ms"] = 3_723_000.into();
            m["finished"] = "2026-11-21T01:02:09Z".into();
            m["damaged_pages"] = 3.into();
            m["warnings"] = json!(["a", "b"]);
        }),
    );
    put_manifest(folder.path(), "c", &manifest(ID));
    put_manifest(folder.path(), "c", &changed("20261119T235959Z_n1", |m| m["warnings"] = json!(["a"])));
    put_manifest(
        folder.path(),
        "c",
        &changed("20261120T120000Z_n1", |m| {
            m["damaged_pages"] = 1.into();
            m["frozen_at"] = "2026-11-20T12:00:59.999+00:00".into();
        }),
    );
    let table = "\
ID                                   TAKEN                               SEQNO      DATA    STORED      FROZEN        TOOK  NOTE
20261119T235959Z_n1                  2026-11-19 23:59:59 UTC               417   141 MiB  53.0 MiB      801 ms      900 ms  1 warning
20261120T113452Z_n1                  2026-11-20 11:34:52 UTC               417   141 MiB  53.0 MiB      801 ms      900 ms
20261120T120000Z_n1                  2026-11-20 12:00:59 UTC               417   141 MiB  53.0 MiB      801 ms      900 ms  1 damaged page
20261121T000001Z_node-2.example.org  2026-11-21 00:00:01 UTC  9007199254740993  3.00 TiB    1023 B  1 h 02 min  1 h 02 min  3 damaged pages
";
    assert_eq!(cli("list").on(folder.path()).run().done(), table);
}

#[test]
fn json_has_the_manifests_as_they_are() {
    let folder = open_folder();
    put_manifest(folder.path(), "c", &manifest(ID));
    put_object(folder.path(), "c/20261120T120000Z_n1/manifest.json", "{");
    put_status(folder.path(), "c", &status("20261120T130000Z_n1", "failed", Some("No space left on device")));
    fs::create_dir(folder.path().join("c/20261120T140000Z_n1")).unwrap();
    assert_eq!(
        cli("list --json").on(folder.path()).run().json(),
        json!({
            "backups": [
                {"id": ID, "cluster_folder": "c", "usable": true, "hold": null, "verified": null, "drilled": null, "doubt": null,
                 "class": "physical", "manifest": manifest(ID)},
                {"id": "20261120T120000Z_n1", "cluster_folder": "c", "usable": false, "hold": null, "verified": null, "drilled": null,
                 "doubt": null, "error": "the manifest is damaged: EOF while parsing an object at line 1 column 1"},
            ],
            "incomplete": [
                {"id": "20261120T130000Z_n1", "cluster_folder": "c",
                 "status": status("20261120T130000Z_n1", "failed", Some("No space left on device"))},
                {"id": "20261120T140000Z_n1", "cluster_folder": "c", "status": null},
            ],
            "many_histories": [],
            "parted": [],
            "unknown": [],
        })
    );
}

#[test]
fn several_clusters_are_told_apart() {
    let folder = open_folder();
    put_manifest(folder.path(), "alpha", &manifest("20261120T113452Z_n1"));
    put_manifest(folder.path(), "b_ta", &manifest("20261120T113453Z_n1"));
    put_status(folder.path(), "gamma", &status("20261120T113454Z_n1", "failed", Some("a reason")));
    let all = cli("list").on(folder.path()).run();
    let lines: Vec<&str> = all.done().lines().collect();
    assert!(lines[0].starts_with("ID                   CLUSTER  TAKEN "), "{}", all.stdout);
    assert!(lines[1].starts_with("20261120T113452Z_n1  alpha    2026-"), "{}", all.stdout);
    assert!(lines[2].starts_with("20261120T113453Z_n1  b_ta     2026-"), "{}", all.stdout);
    assert_eq!(lines[6], "20261120T113454Z_n1  gamma    failed: a reason");
    // A name that is not safe in a path is made safe, as the donor does.
    for name in ["b_ta", "b\u{e9}ta"] {
        let one = cli("list --cluster").arg(name).on(folder.path()).run();
        let lines: Vec<&str> = one.done().lines().collect();
        assert!(lines.len() == 2 && lines[0].starts_with("ID                   TAKEN"), "{}", one.stdout);
        assert!(lines[1].starts_with("20261120T113453Z_n1  2026-"), "{}", one.stdout);
    }
    let none = cli("list --cluster delta").on(folder.path()).run();
    let place = folder.path().display();
    assert_eq!(none.done(), format!("There are no backups of cluster 'delta' in '{place}'.\n"));
    let outside = cli("list --cluster ../alpha").on(folder.path()).run();
    assert_eq!(outside.done(), format!("There are no backups of cluster '../alpha' in '{place}'.\n"));
}

#[test]
fn an_empty_repository_is_no_error_and_a_missing_one_is() {
    let folder = open_folder();
    let place = folder.path().display().to_string();
    assert_eq!(cli("list").on(folder.path()).run().done(), format!("There are no backups in '{place}'.\n"));
    let empty = cli("list --json").on(folder.path()).run().json();
    assert_eq!(
        empty,
        json!({"backups": [], "incomplete": [], "many_histories": [], "parted": [], "unknown": []})
    );
    let hint = "(--repository or the setting 'repository' names it)";
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for command in ["list", "show latest", "verify latest", "restore latest --to /nonexistent/x"] {
        cli(command).on(&folder.path().join("none")).run().fails(
            1,
            &format!(
                "cannot read the repository '{place}/none': No such file or directory (os error 2) {hint}"
            ),
        );
        let message =
            format!("cannot read the repository '{place}/file': Not a directory (os error 20) {hint}");
        cli(command).on(&file).run().fails(1, &message);
    }
}

#[test]
fn a_part_of_a_repository_is_no_repository() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let backup = put_manifest(&repository, "c", &manifest(ID));
    let (cluster, target) = (repository.join("c"), folder.path().join("target"));
    fs::create_dir(&target).unwrap();
    let place = |path: &Path| path.canonicalize().unwrap().display().to_string();
    let name = format!("name the repository, '{}'", place(&repository));
    for (part, what) in [(&cluster, "the folder of a cluster"), (&backup, "the folder of a backup")] {
        for line in [
            "list",
            "list --json",
            "show latest",
            "verify latest",
            "prune --keep-last 1",
            "hold latest",
            "ls latest",
            "report --html -",
        ] {
            let answer = cli(line).on(part).run();
            assert!(answer.status == Some(2) && answer.stdout.is_empty(), "{line}: {answer:?}");
            assert!(answer.stderr.contains(what) && answer.stderr.contains(&name), "{line}: {answer:?}");
        }
        let copy = cli("copy --all").on(&target).to(part).run();
        assert!(copy.status == Some(2) && copy.stderr.contains("error: --to: '"), "{copy:?}");
        assert!(copy.stderr.contains(what) && copy.stderr.contains(&name), "{copy:?}");
        let check = cli("check --sample 0").on(part).run();
        assert!(check.status == Some(1) && check.stdout.contains(&name), "{check:?}");
    }
    assert_eq!(fs::read_dir(&cluster).unwrap().count(), 1);
    // What an earlier mistake has made is found, with a warning, and nothing more is added.
    put_manifest(&cluster, "c", &manifest("20261120T113453Z_n1"));
    let list = cli("list").on(&cluster).run();
    assert!(list.status == Some(0) && list.stdout.contains("20261120T113453Z_n1"), "{list:?}");
    assert!(list.stderr.contains(&name), "{list:?}");
    cli("copy --all").on(&target).to(&cluster).run().fails_with(2, "a repository of their own (c)");
}

#[test]
fn a_home_of_somebody_else_has_no_option_file_and_one_that_may_not_be_read_is_told() {
    let user = ServerUser::current();
    let folder = open_folder();
    let [home, repository] = ["home", "r"].map(|name| folder.path().join(name));
    fs::create_dir(&home).unwrap();
    fs::create_dir(&repository).unwrap();
    fs::write(home.join(".my.cnf"), "[wsrep_sst_backup]\n").unwrap();
    let ask = |mode: u32, file: u32| {
        fs::set_permissions(home.join(".my.cnf"), fs::Permissions::from_mode(file)).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(mode)).unwrap();
        let ask = cli("list").own_defaults().env("HOME", home.display().to_string());
        let answer = ask.on(&repository).user(&user, folder.path()).run();
        assert_eq!(answer.status, Some(0), "{}", answer.stderr);
        answer.stderr.contains("/home/.my.cnf' is ignored: Permission denied")
    };
    assert!(ask(0o755, 0o600));
    assert!(!ask(0o700, 0o644));
}

#[test]
fn real_backups_and_failures_are_listed() {
    let server = ScriptedMysqld::new();
    server.asks().address("nightly").run().assert_backed_up(&server);
    let id = server.backup().manifest["id"].as_str().unwrap().to_owned();
    let failed = server.asks().gtid(&format!("{UUID}:7")).run();
    assert_ne!(failed.code, Some(0), "{}", failed.stderr);
    let list = cli("list").own_defaults().arg(format!("--defaults-file={}", server.cnf().display())).run();
    let lines: Vec<&str> = list.done().lines().collect();
    assert!(lines[1].starts_with(&id) && lines[1].contains(" UTC      6 "), "{}", list.stdout);
    assert!(server.attempts()[0].join("status.json").is_file(), "a success leaves its status");
    assert!(lines[5].contains("_donor1  failed: ") && lines[5].contains("request at 7"), "{}", list.stdout);
    assert_eq!(lines.len(), 6, "{}", list.stdout);
}

/// What the program opens below the repository, by the words of `strace`; none where that is not installed.
fn opened(repository: &Path, line: &str) -> Option<Vec<String>> {
    let asked = cli(line).on(repository).command();
    let output = Command::new("strace")
        .args(["-f", "-q", "-y", "-e", "trace=open,openat", "-e", "signal=none"])
        .arg(asked.get_program())
        .args(asked.get_args())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    // `openat(5</repository/c>, "ID", O_RDONLY…`; what is opened to go on from is not read.
    let below = format!("<{}/", fs::canonicalize(repository).ok()?.display());
    let paths = text.lines().filter(|line| !line.contains("O_PATH")).filter_map(|line| {
        let (folder, rest) = line.split_once("openat(")?.1.split_once(&below)?.1.split_once(">, \"")?;
        let (name, _) = rest.split_once('"')?;
        Some(if name == "." { folder.to_owned() } else { format!("{folder}/{name}") })
    });
    Some(paths.collect())
}

#[test]
fn one_manifest_is_opened_for_each_backup_and_never_an_archive() {
    let folder = open_folder();
    let repository = folder.path();
    let ids: Vec<String> = (0..20).map(|second| format!("20261120T0000{second:02}Z_n1")).collect();
    for id in &ids {
        let folder = put_manifest(repository, "c", &manifest(id));
        // Who opens one of these waits for ever.
        for object in ["backup.tar.zst", "index.json.zst", "status.json"] {
            let _ = fs::remove_file(folder.join(object));
            assert!(Command::new("mkfifo").arg(folder.join(object)).status().unwrap().success());
        }
    }
    let list = cli("list").on(repository).run();
    assert_eq!(list.done().lines().count(), 21);
    cli("list --json").on(repository).run().done();
    let shown = cli("show latest").on(repository).run();
    assert!(shown.status == Some(4) && shown.stdout.contains(&ids[19]), "{}", shown.stdout);
    if let Some(opened) = opened(repository, "list") {
        let of = |name: &str| opened.iter().filter(|path| path.ends_with(name)).count();
        // And what is in its folder, where neither a hold nor an outcome of a verification is. What is missed there may
        // be that of a backup that is removed at this moment: its manifest is looked for again.
        let counts = (of("/manifest.json"), of("/hold.json"), of("Z_n1"), opened.len());
        assert_eq!(counts, (40, 0, 20, 61), "{opened:?}");
    }
}

/// What `list` shows on a terminal of this width, with this locale.
fn on_terminal(repository: &Path, width: u32, locale: &str) -> Vec<String> {
    let asked = cli("list").on(repository).command();
    let words = std::iter::once(asked.get_program()).chain(asked.get_args()).map(|word| {
        let word = word.to_str().unwrap();
        assert!(!word.contains('\''), "{word}");
        format!("'{word}'")
    });
    let line = format!("stty rows 50 cols {width}; {}", words.collect::<Vec<_>>().join(" "));
    let output = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .envs([("PATH", "/usr/bin:/bin"), ("TERM", "xterm"), ("LANG", locale), ("SHELL", "/bin/sh")])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end_matches('\r').to_owned()).collect()
}

#[test]
fn a_terminal_gets_a_picture_and_lines_that_fit() {
    let folder = open_folder();
    for (day, size, frozen) in [(1, 50, 800), (2, 100, 800), (3, 1, 0), (4, 100, 6400)] {
        let id = format!("2026112{day}T000000Z_n1");
        put_manifest(
            folder.path(),
            "c",
            &changed(&id, |m| {
                (m["archive"]["bytes"], m["frozen_ms"]) = ((size << 20).into(), frozen.into());
                m["data_bytes"] = (1_i64 << 40).into();
            }),
        );
    }
    let note = json!({"held": "2026-11-22T00:00:00Z", "by": "root@db1", "note": "for the auditors"});
    put_object(folder.path(), "c/20261122T000000Z_n1/hold.json", note.to_string());
    let piped = cli("list").on(folder.path()).run();
    let piped: Vec<&str> = piped.done().lines().collect();
    let picture = ["", "Stored  ▄█▁█  1.00 MiB to 100 MiB", "Frozen  ▁▁▁█  0 ms to 6.4 s"];

    let wide = on_terminal(folder.path(), 200, "de_DE.UTF-8");
    assert_eq!((&wide[..5], &wide[5..]), (&piped.map_strings()[..], &picture.map_strings()[..]));
    assert_eq!(on_terminal(folder.path(), 200, "C"), piped.map_strings());

    let middle = on_terminal(folder.path(), 100, "C.UTF-8");
    assert!(middle[0].ends_with("FROZEN    TOOK") && middle[0].contains("TAKEN"), "{middle:#?}");
    assert_eq!(middle[3], "    held by root@db1 since 2026-11-22: for the auditors");
    let narrow = on_terminal(folder.path(), 80, "C.UTF-8");
    assert!(narrow.iter().all(|line| line.chars().count() <= 80), "{narrow:#?}");
    assert!(narrow[0].starts_with("ID                   SEQNO "), "{narrow:#?}");
    assert_eq!(narrow[3], "    held by root@db1 since 2026-11-22: for the auditors");
    assert_eq!(narrow[6..], picture.map_strings());
}

/// Lines to compare.
trait MapStrings {
    fn map_strings(&self) -> Vec<String>;
}

impl MapStrings for [&str] {
    fn map_strings(&self) -> Vec<String> {
        self.iter().map(|line| (*line).to_owned()).collect()
    }
}
