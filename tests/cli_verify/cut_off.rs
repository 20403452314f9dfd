//! Tablespaces of which a part is missing, and files that no table uses.

use std::fs;

use serde_json::json;

use crate::pages::{self, PAGE};
use crate::support::ScriptedMysqld;
use crate::support::cli::cli;
use crate::support::cli::forge::{Forge, ID};
use crate::support::cli::open_folder;

#[test]
fn a_tablespace_that_was_cut_off_on_the_donor_is_damage_everywhere() {
    let server = ScriptedMysqld::new();
    server.write("db/cut.ibd", &pages::tablespace(7, 12, false)[..5 * PAGE + 100]);
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let what = "7 InnoDB pages are missing at its end: it was cut off at byte 82020";
    let warning = format!("'db/cut.ibd': {what}: the server's own file is damaged");
    let manifest = server.backup().manifest;
    assert_eq!((&manifest["damaged_pages"], &manifest["missing_pages"]), (&json!(0), &json!(7)));
    assert!(manifest["warnings"].as_array().unwrap().contains(&warning.as_str().into()), "{manifest}");
    assert!(outcome.messages("WARNING").iter().any(|line| line.contains(&warning)), "{}", outcome.stderr);

    let answer = cli("verify latest").on(&server.repository()).run();
    let line = format!(
        "DAMAGED  db/cut.ibd: {what}; they were so on the donor, the archive holds what was read there"
    );
    assert_eq!((answer.status, answer.stdout.lines().next()), (Some(4), Some(line.as_str())));
    let list = cli("list").on(&server.repository()).run();
    assert!(
        list.done().contains("  7 missing pages; DAMAGED: 1 finding of 'verify' on 20"),
        "{}",
        list.stdout
    );
    let show = cli("show latest").on(&server.repository()).run();
    assert_eq!(show.status, Some(4), "{}", show.stderr);
    assert!(show.stdout.contains("Missing pages     7\n"), "{}", show.stdout);
    let metrics = server.path("m.prom");
    cli("verify latest")
        .on(&server.repository())
        .env("WSREP_SST_BACKUP_METRICS_FILE", metrics.to_str().unwrap())
        .run();
    let metrics = fs::read_to_string(metrics).unwrap();
    // A backup that is known to be damaged is no longer the last success.
    assert!(metrics.contains("damaged_backups{cluster=\"scripted\"} 1\n"), "{metrics}");
    assert!(!metrics.contains("\nwsrep_sst_backup_last_success_timestamp_seconds"), "{metrics}");
    let page = cli("report --html -").on(&server.repository()).run();
    assert!(page.done().contains("7 missing pages"), "{}", page.stdout);
}

#[test]
fn a_system_tablespace_that_was_cut_off_or_is_not_there_is_damage() {
    let server = ScriptedMysqld::new();
    server.write("ibdata1", &pages::tablespace(0, 12, false)[..10 * PAGE]);
    server.asks().run().assert_backed_up(&server);
    assert_eq!(server.backup().manifest["missing_pages"], 2);
    let answer = cli("verify latest").on(&server.repository()).run();
    let line = "DAMAGED  ibdata1: 2 InnoDB pages are missing at the end of the system tablespace: a file of it was cut off, \
                or is not there; they were so on the donor, the archive holds what was read there";
    assert_eq!((answer.status, answer.stdout.lines().next()), (Some(4), Some(line)));

    let folder = open_folder();
    Forge::empty(ID).file("db/t.MYD", "x").write(folder.path());
    let answer = cli("verify latest").on(folder.path()).run();
    let line = "DAMAGED  backup.tar.zst: it holds no InnoDB system tablespace: no server can start from it";
    assert_eq!((answer.status, answer.stdout.lines().next()), (Some(4), Some(line)));
    // The header in the first file counts the pages of the second one, too.
    let whole = pages::tablespace(0, 12, false);
    let (first, second) = whole.split_at(8 * PAGE);
    Forge::empty(ID).system("ibdata1", first).system("ibdata2", second).write(folder.path());
    cli("verify latest").on(folder.path()).run().done();
}

#[test]
fn files_that_no_table_uses_are_named_and_are_no_damage() {
    let server = ScriptedMysqld::new();
    server.write("db/#sql-alter-1a2b-3.ibd", &pages::tablespace(7, 12, false)[..PAGE]);
    server.write("db/empty.ibd", "");
    server.write("db/garbage.ibd", vec![0x5a; 100_000]);
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let manifest = server.backup().manifest;
    assert_eq!((&manifest["damaged_pages"], manifest.get("missing_pages")), (&json!(0), None));
    let named = |text: &str| manifest["warnings"].to_string().matches(text).count();
    for text in [
        "by its name it is what an ALTER TABLE has left",
        "'db/empty.ibd': it is empty; whether a table uses it is not known",
        "'db/garbage.ibd': it holds no InnoDB page; whether a table uses it",
    ] {
        assert_eq!(named(text), 1, "{text}: {manifest}");
    }
    let answer = cli("verify latest").on(&server.repository()).run();
    assert!(answer.done().contains("Note: db/empty.ibd: it is empty; "), "{}", answer.stdout);
    assert!(answer.stdout.contains(" is intact: "), "{}", answer.stdout);
}

#[test]
fn more_warnings_than_anybody_reads_leave_a_manifest_that_can_be_read() {
    let server = ScriptedMysqld::new();
    let long = "n".repeat(150);
    for number in 0..9000 {
        server.write(format!("db/#sql-{long}{number}.ibd"), "");
    }
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    let (kept, more) =
        (backup.manifest["warnings"].as_array().unwrap().len(), &backup.manifest["more_warnings"]);
    assert_eq!(kept as u64 + more.as_u64().unwrap(), 9001, "and the one about SQL");
    assert!(kept <= 100, "{kept}");
    let list = cli("list").on(&server.repository()).run();
    assert!(list.done().contains("  9001 warnings\n"), "{}", list.stdout);
    let show = cli("show latest").on(&server.repository()).run();
    let line = format!("Warning           {more} more warnings: the donor's error log has them all\n");
    assert!(show.done().ends_with(&line), "{}", show.stdout);
    assert_eq!(
        outcome
            .messages("WARNING")
            .iter()
            .filter(|line| line.contains("is what an ALTER TABLE has left"))
            .count(),
        9000
    );
}
