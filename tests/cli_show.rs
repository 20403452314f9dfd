//! `show`: one backup, by its name, as the newest, or as the newest of a time.

#[path = "cli_show/doubts.rs"]
mod doubts;
mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::ScriptedMysqld;
use support::cli::forge::{ID, UUID, edit_manifest, manifest, put_manifest, put_object, status};
use support::cli::{cli, open_folder};

/// A repository with backups of these ids, frozen a quarter of a second after their names say.
fn repository(ids: &[&str]) -> tempfile::TempDir {
    let folder = open_folder();
    for id in ids {
        put_manifest(folder.path(), "c", &manifest(id));
    }
    folder
}

/// The id that `show --json` finds.
#[track_caller]
fn found(repository: &Path, args: &[&str]) -> String {
    let asked = args.iter().fold(cli("show --json").on(repository), support::cli::Cli::arg);
    asked.run().json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn everything_is_told_in_words() {
    let folder = open_folder();
    let mut told = manifest(ID);
    told["request"] = "nightly".into();
    told["warnings"] = json!(["'db/t.ibd' has InnoDB pages with a wrong checksum", "another"]);
    told["damaged_pages"] = 1234.into();
    put_manifest(folder.path(), "c", &told);
    let text = format!(
        "\
Backup            {ID}
Cluster           c
Donor             n1
Request           nightly
Taken             2026-11-20 11:34:52 UTC
Position          {UUID}:417
Requested at      {UUID}:416
Binlog position   0-1-400
Slave position    none
Server frozen     801 ms (flush 12 ms)
Took              900 ms
Server            10.11.19-MariaDB-log
Data directory    /var/lib/mysql
InnoDB page size  16.0 KiB
Data              141 MiB in 357 files
Stored            53.0 MiB (37 % of the data), backup.tar.zst
Encrypted         no
Archive SHA-256   {}
Hold              none
Verified          never
Drilled           never
Damaged pages     1,234
Missing pages     0
Made by           wsrep_sst_backup 0.1.0, method freeze, format 1
Warning           'db/t.ibd' has InnoDB pages with a wrong checksum
Warning           another
",
        "71".repeat(32)
    );
    assert_eq!(cli("show latest").on(folder.path()).run().done(), text);
}

#[test]
fn what_is_not_known_is_said_to_be_unknown() {
    let folder = open_folder();
    let mut bare = manifest(ID);
    for (group, name) in [
        ("mariadb_gtid", "binlog_pos"),
        ("mariadb_gtid", "slave_pos"),
        ("server", "version"),
        ("server", "innodb_page_size"),
    ] {
        bare[group].as_object_mut().unwrap().remove(name);
    }
    for name in ["donor_gtid", "request", "warnings"] {
        bare.as_object_mut().unwrap().remove(name);
    }
    bare["data_bytes"] = 0.into();
    // A clock that was set back.
    bare["finished"] = "2026-11-20T11:34:51Z".into();
    put_manifest(folder.path(), "c", &bare);
    let text = cli("show").arg(ID).on(folder.path()).run();
    for line in [
        "Request           none",
        "Requested at      not known",
        "Binlog position   not known (the donor had no SQL)",
        "Slave position    not known (the donor had no SQL)",
        "Took              0 ms",
        "Server            not known (the donor had no SQL)",
        "InnoDB page size  not known (the donor had no SQL)",
        "Stored            53.0 MiB (0 % of the data), backup.tar.zst",
    ] {
        assert!(text.done().contains(&format!("\n{line}\n")), "{line}: {}", text.stdout);
    }
}

#[test]
fn json_is_the_manifest() {
    let server = ScriptedMysqld::new();
    server.asks().address("req-1").run().assert_backed_up(&server);
    let stored = fs::read_to_string(server.backup().folder.join("manifest.json")).unwrap();
    let answer = cli("show latest --json").on(&server.repository()).run();
    assert_eq!(answer.done(), stored);
    let id = server.backup().manifest["id"].as_str().unwrap().to_owned();
    assert_eq!(cli("show --json").arg(&id).on(&server.repository()).run().done(), stored);
    let text = cli("show").arg(&id).on(&server.repository()).run();
    let warning = "Warning           SQL did not answer: the binlog position is not known";
    assert!(text.done().contains(&format!("Backup            {id}\n")) && text.stdout.contains(warning));
}

#[test]
fn a_time_finds_the_newest_backup_at_or_before_it() {
    let folder = repository(&["20261119T000000Z_n1", "20261120T113452Z_n1", "20261121T000000Z_n2"]);
    for (time, day) in [
        ("2026-11-20T11:34:52.25Z", 20),
        ("2026-11-20T11:34:52.250000001Z", 20),
        ("2026-11-20T11:34:52.249999999Z", 19),
        // It had started, and was not frozen yet.
        ("2026-11-20T11:34:52.1Z", 19),
        ("2026-11-20T12:34:52.25+01:00", 20),
        ("2026-11-20T12:34:52.24+01:00", 19),
        ("2026-11-20T05:04:53-06:30", 20),
        ("2026-11-20T23:59:59Z", 20),
        ("2026-11-21T01:00:01+01:00[Europe/Berlin]", 21),
        ("2026-11-19 00:00:01Z", 19),
        ("9999-01-01T00:00:00Z", 21),
    ] {
        let found = found(folder.path(), &["--target-time", time]);
        assert!(found.starts_with(&format!("202611{day}")), "{time}: {found}");
    }
    let place = folder.path().display();
    cli("show --target-time 2026-11-19T00:00:00Z").on(folder.path()).run().fails(
        3,
        &format!("there is no complete backup taken at or before 2026-11-19T00:00:00Z in '{place}'; 'list' shows what there is"),
    );
}

#[test]
fn the_newest_is_the_one_whose_data_is_newest() {
    let folder = repository(&["20261120T000000Z_n1", "20261120T000001Z_n2"]);
    assert_eq!(found(folder.path(), &["latest"]), "20261120T000001Z_n2");
    // The first donor had to wait a minute for its tables.
    edit_manifest(&folder.path().join("c/20261120T000000Z_n1"), |m| {
        m["frozen_at"] = "2026-11-20T00:01:00Z".into();
    });
    assert_eq!(found(folder.path(), &["latest"]), "20261120T000000Z_n1");
    assert_eq!(found(folder.path(), &["--target-time", "2026-11-20T00:02:00Z"]), "20261120T000000Z_n1");
    assert_eq!(found(folder.path(), &["--target-time", "2026-11-20T00:00:59Z"]), "20261120T000001Z_n2");
}

#[test]
fn a_cluster_has_to_be_named_where_there_are_several() {
    let folder = repository(&["20261120T000000Z_n1"]);
    put_manifest(folder.path(), "d", &manifest("20261120T000001Z_n1"));
    fs::create_dir(folder.path().join("empty")).unwrap();
    let ask = |line: &str| cli(line).on(folder.path()).run();
    let ambiguous = "the repository holds backups of the clusters c, d: name one with --cluster";
    for line in [
        "show latest",
        "show --target-time 2026-11-21T00:00:00Z",
        "verify latest",
        "restore latest --to /nonexistent/x",
    ] {
        ask(line).fails(2, ambiguous);
    }
    assert_eq!(found(folder.path(), &["latest", "--cluster", "c"]), "20261120T000000Z_n1");
    assert_eq!(found(folder.path(), &["latest", "--cluster", "d"]), "20261120T000001Z_n1");
    // An id says enough, unless two clusters have it.
    assert_eq!(found(folder.path(), &["20261120T000001Z_n1"]), "20261120T000001Z_n1");
    put_manifest(folder.path(), "d", &manifest("20261120T000000Z_n1"));
    ask("show 20261120T000000Z_n1").fails(2, ambiguous);
    assert_eq!(found(folder.path(), &["20261120T000000Z_n1", "--cluster", "d"]), "20261120T000000Z_n1");
    let place = folder.path().display();
    ask("show latest --cluster empty").fails(
        3,
        &format!("there is no complete backup of cluster 'empty' in '{place}'; 'list' shows what there is"),
    );
    ask("show 20261120T000001Z_n1 --cluster c").fails(
        3,
        &format!("there is no backup '20261120T000001Z_n1' of cluster 'c' in '{place}'; 'list' shows them"),
    );
}

#[test]
fn what_is_not_there_is_said_with_the_reason() {
    let folder = repository(&[]);
    let place = folder.path().display();
    let failed =
        status("20261120T000001Z_n1", "failed", Some("frozen for 1 s, the limit set by freeze-timeout"));
    let running = status("20261120T000002Z_n1", "copying", None);
    let removed = status("20261120T000005Z_n1", "done", None);
    for status in [&failed, &running, &removed] {
        let name = format!("c/{}/status.json", status["id"].as_str().unwrap());
        put_object(folder.path(), &name, status.to_string());
    }
    put_object(folder.path(), "c/20261120T000003Z_n1/backup.tar.zst", "");
    for (id, message) in [
        (
            "20261120T000001Z_n1",
            "backup '20261120T000001Z_n1' has failed: frozen for 1 s, the limit set by freeze-timeout"
                .to_owned(),
        ),
        (
            "20261120T000002Z_n1",
            "backup '20261120T000002Z_n1' is not complete: it runs, or its program has died".to_owned(),
        ),
        (
            "20261120T000005Z_n1",
            "backup '20261120T000005Z_n1' is no more: it was complete, and its manifest was removed"
                .to_owned(),
        ),
        (
            "20261120T000003Z_n1",
            "backup '20261120T000003Z_n1' is not complete: it has no manifest, its program has died"
                .to_owned(),
        ),
        (
            "20261120T000004Z_n1",
            format!("there is no backup '20261120T000004Z_n1' in '{place}'; 'list' shows them"),
        ),
        ("latest", format!("there is no complete backup in '{place}'; 'list' shows what there is")),
        ("newest", "'newest' is not a backup ID (like 20261120T113452Z_node1); 'list' shows them".to_owned()),
        ("../c", "'../c' is not a backup ID (like 20261120T113452Z_node1); 'list' shows them".to_owned()),
    ] {
        for command in ["show", "verify", "restore --to /nonexistent/x"] {
            cli(command).arg(id).on(folder.path()).run().fails(3, &message);
        }
    }
}

#[test]
fn a_manifest_that_cannot_be_used_is_told_by_its_status() {
    let folder = repository(&[]);
    let id = "20261120T000001Z_n1";
    let manifest_with = |change: &dyn Fn(&mut Value)| {
        let mut manifest = manifest(id);
        change(&mut manifest);
        manifest.to_string()
    };
    for (text, status, message) in [
        (
            manifest_with(&|m| m["format"] = 3.into()),
            1,
            "the backup has format 3, this program reads up to 2: use a newer wsrep_sst_backup",
        ),
        (
            manifest_with(&|m| m["archive"]["encryption"] = "gpg".into()),
            1,
            "the archive is encrypted with 'gpg', which this program does not know: use a newer wsrep_sst_backup",
        ),
        (manifest_with(&|m| m["format"] = 0.into()), 4, "the manifest is damaged: there is no format 0"),
        (
            manifest_with(&|m| m["archive"]["name"] = "../x".into()),
            4,
            "the manifest is damaged: '../x' is not a file name beside the manifest",
        ),
        (
            manifest_with(&|m| m["index"]["name"] = "hold.json".into()),
            4,
            "the manifest is damaged: 'hold.json' is not a file name beside the manifest",
        ),
        (
            manifest_with(&|m| m["id"] = ID.into()),
            4,
            "its manifest is that of '20261120T113452Z_n1'; a folder was renamed, or a file copied",
        ),
        ("{}".to_owned(), 4, "the manifest is damaged: missing field `format` at line 1 column 2"),
        (
            manifest(id).to_string().replace("freeze", "fr\u{0}eze"),
            4,
            "the manifest is damaged: control character",
        ),
    ] {
        put_object(folder.path(), &format!("c/{id}/manifest.json"), &text);
        // Alone, and with an older one, which an administrator may want then.
        for older in [false, true] {
            let older_id = "20261120T000000Z_n1";
            if older {
                put_manifest(folder.path(), "c", &manifest(older_id));
            }
            for command in ["show", "verify", "restore --to /nonexistent/x"] {
                let ask = |id: &str| cli(command).arg(id).on(folder.path()).run();
                ask(id).fails_with(status, &format!("backup '{id}': {message}"));
                let newest = if older { "the newest backup cannot be used: " } else { "" };
                ask("latest").fails_with(status, &format!("{newest}backup '{id}': {message}"));
                let hint = ask("latest").stderr.ends_with("; to use an older one, name its ID\n");
                assert_eq!(hint, older, "{message}");
            }
            if older {
                fs::remove_dir_all(folder.path().join("c").join(older_id)).unwrap();
            }
        }
    }
}

#[test]
fn an_older_backup_never_stands_in_for_a_damaged_newer_one() {
    let folder = repository(&["20261120T000001Z_n1", "20261120T000003Z_n1"]);
    put_object(folder.path(), "c/20261120T000002Z_n1/manifest.json", "{");
    let at = |time: &str| cli("show --json --target-time").arg(time).on(folder.path()).run();
    // Behind and before the damaged one it plays no part.
    assert_eq!(at("2026-11-20T00:00:04Z").json()["id"], "20261120T000003Z_n1");
    assert_eq!(at("2026-11-20T00:00:01.5Z").json()["id"], "20261120T000001Z_n1");
    assert_eq!(found(folder.path(), &["latest"]), "20261120T000003Z_n1");
    at("2026-11-20T00:00:02.5Z")
        .fails_with(4, "the newest backup cannot be used: backup '20261120T000002Z_n1'");
    put_object(folder.path(), "c/20261120T000004Z_n1/manifest.json", "{");
    cli("show latest")
        .on(folder.path())
        .run()
        .fails_with(4, "the newest backup cannot be used: backup '20261120T000004Z_n1'");
}
