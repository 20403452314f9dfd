//! `ls`: the files of a backup, without its archive.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use support::cli::forge::{Forge, ID};
use support::cli::{cli, open_folder};

/// A backup with everything that there is in one, and an archive for which a reader waits for ever.
fn repository() -> tempfile::TempDir {
    let folder = open_folder();
    let backup = Forge::empty(ID)
        .directory("db")
        .file("db/t.ibd", vec![7; 5000])
        .file("db/caf\u{e9} 100%\n.MYD", "x")
        .with(|member| member.mtime = -1)
        .link("db/l.MYI", "/mnt/l.MYI")
        .external("innodb_undo_directory", Path::new("/undo"), Path::new("/undo/undo001"), [0; 9])
        .write(folder.path());
    fs::remove_file(backup.join("backup.tar.zst")).unwrap();
    assert!(Command::new("mkfifo").arg(backup.join("backup.tar.zst")).status().unwrap().success());
    folder
}

fn paths(answer: &Value) -> Vec<&str> {
    answer["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect()
}

#[test]
fn each_file_has_a_line_in_the_order_of_the_archive() {
    let folder = repository();
    let table = cli("ls latest --match db*  --match *undo*").on(folder.path()).run();
    assert_eq!(
        table.done(),
        "\
TYPE           SIZE  MODIFIED                 PATH
directory         -  2026-11-20 11:26:40 UTC  db
file       4.88 KiB  2026-11-20 11:26:40 UTC  db/t.ibd
file            1 B  1969-12-31 23:59:59 UTC  db/caf\u{e9} 100%\\n.MYD
symlink           -  2026-11-20 11:26:40 UTC  db/l.MYI -> /mnt/l.MYI
file            9 B  2026-11-20 11:26:40 UTC  .wsrep_sst_backup/innodb_undo_directory/4undo001 (from /undo/undo001, innodb_undo_directory)

3 files, 4.89 KiB
"
    );
    let all = cli("ls").arg(ID).on(folder.path()).run();
    for own in ["wsrep_sst_backup.json", "grastate.dat", "SHA256SUMS"] {
        assert!(
            all.done().lines().any(|line| line.starts_with("generated ") && line.ends_with(own)),
            "{}",
            all.stdout
        );
    }
    let none = cli("ls latest --match no/*").on(folder.path()).run();
    assert_eq!(none.done(), format!("Nothing in backup {ID} matches.\n"));
}

#[test]
fn json_has_exact_numbers_and_names() {
    let folder = repository();
    let ask = |line: &str| cli(line).on(folder.path()).run().json();
    let all = ask("ls --target-time 2026-11-20T12:00:00Z --json");
    assert_eq!(all["id"], ID);
    assert_eq!(
        paths(&all)[1..6],
        [
            "db",
            "db/t.ibd",
            "db/caf\u{e9} 100%25\n.MYD",
            "db/l.MYI",
            ".wsrep_sst_backup/innodb_undo_directory/4undo001"
        ]
    );
    assert_eq!(
        ask("ls latest --json --match */?.ibd")["files"],
        json!([{"path": "db/t.ibd", "type": "file", "size": 5000, "mtime": "2026-11-20T11:26:40.123456789Z",
                "target": null, "origin": null}])
    );
    let link = ask("ls latest --json --match *l.MYI");
    assert_eq!(
        (&link["files"][0]["type"], &link["files"][0]["target"]),
        (&json!("symlink"), &json!("/mnt/l.MYI"))
    );
    let origin = &ask("ls latest --json --match *undo001")["files"][0]["origin"];
    assert_eq!(
        *origin,
        json!({"variable": "innodb_undo_directory", "root": "/undo", "path": "/undo/undo001"})
    );
    assert_eq!(ask("ls latest --json --match none"), json!({"id": ID, "files": []}));
}

#[test]
fn an_index_that_is_not_the_one_of_the_manifest_is_damage() {
    let folder = repository();
    cli("ls 20261120T113453Z_n1").on(folder.path()).run().fails_with(3, "there is no backup");
    let index = folder.path().join("c").join(ID).join("index.json.zst");
    let mut bytes = fs::read(&index).unwrap();
    bytes[40] ^= 1;
    fs::write(&index, bytes).unwrap();
    cli("ls latest").on(folder.path()).run().fails_with(4, "is damaged: index.json.zst: ");
    fs::remove_file(&index).unwrap();
    cli("ls latest").on(folder.path()).run().fails_with(4, "is damaged: index.json.zst: it is missing");
}
