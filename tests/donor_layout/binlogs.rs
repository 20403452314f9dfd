//! Binary logs: which of them, from where, and an index that names what is there.

use std::fs;

use crate::support::ScriptedMysqld;
use crate::support::scripted_mysqld::Backup;

/// A server whose binary logs are 1 to 3, at these places.
fn with_binlogs(base: &str, index: &str) -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    let at = |name: String| server.datadir().join(name);
    let mut lines = String::new();
    for number in 1..=3 {
        let name = format!("{base}.00000{number}");
        fs::create_dir_all(at(name.clone()).parent().unwrap()).unwrap();
        fs::write(at(name.clone()), format!("events {number}")).unwrap();
        lines = format!(
            "{lines}{}\n",
            if base.starts_with("..") {
                at(name).to_string_lossy().into_owned()
            } else {
                format!("./{name}")
            }
        );
    }
    fs::create_dir_all(at(index.to_owned()).parent().unwrap()).unwrap();
    fs::write(at(index.to_owned()), lines).unwrap();
    fs::write(at(format!("{base}.state")), "0-1-3").unwrap();
    server
}

fn binlogs_of(backup: &Backup) -> Vec<String> {
    let mut found = backup.members();
    found.retain(|path| path.contains("bin."));
    found.sort();
    found
}

#[test]
fn binary_logs_are_copied_by_choice_and_the_index_names_what_is_there() {
    for (choice, wanted, index) in [
        (None, &["a-bin.000003", "a-bin.index"][..], "./a-bin.000003\n"),
        (Some("newest"), &["a-bin.000003", "a-bin.index"], "./a-bin.000003\n"),
        (
            Some("all"),
            &["a-bin.000001", "a-bin.000002", "a-bin.000003", "a-bin.index"],
            "./a-bin.000001\n./a-bin.000002\n./a-bin.000003\n",
        ),
        (Some("none"), &[], ""),
    ] {
        let server = with_binlogs("a-bin", "a-bin.index");
        if let Some(choice) = choice {
            server.configure("wsrep_sst_backup", &format!("binlogs={choice}"));
        }
        let outcome = server.asks().options("--binlog 'a-bin' --binlog-index 'a-bin.index'").run();
        outcome.assert_backed_up(&server);
        let backup = server.backup();
        assert_eq!(binlogs_of(&backup), wanted, "{choice:?}");
        let unpacked = backup.unpack(&server.path("unpacked"));
        assert_eq!(fs::read_to_string(unpacked.join("a-bin.index")).unwrap_or_default(), index, "{choice:?}");
    }
}

#[test]
fn binary_logs_elsewhere_are_found() {
    let kept = ".wsrep_sst_backup/log_bin";
    for (base, index, options, wanted) in [
        (
            "../logs/a-bin",
            "../logs/a-bin.index",
            "--binlog '../logs/a-bin'",
            vec![format!("{kept}/a-bin.000003"), format!("{kept}/a-bin.index")],
        ),
        (
            "../logs/a-bin",
            "../indexes/b-bin.index",
            "--binlog '../logs/a-bin' --binlog-index '../indexes/b-bin'",
            vec![format!("{kept}/a-bin.000003"), ".wsrep_sst_backup/log_bin_index/b-bin.index".to_owned()],
        ),
        (
            "a-bin",
            "../indexes/b-bin.index",
            "--binlog a-bin --binlog-index '../indexes/b-bin.index'",
            vec![".wsrep_sst_backup/log_bin_index/b-bin.index".to_owned(), "a-bin.000003".to_owned()],
        ),
        (
            "../logs/a-bin",
            "b-bin.index",
            "--binlog '../logs/a-bin' --binlog-index 'b-bin.index'",
            vec![format!("{kept}/a-bin.000003"), "b-bin.index".to_owned()],
        ),
        // MariaDB cuts the name at its first dot: --log-bin=db1.example.com-bin makes db1.000001 (seen, 10.11.19).
        (
            "db1bin",
            "db1bin.index",
            "--binlog 'db1bin.example.com-bin'",
            vec!["db1bin.000003".to_owned(), "db1bin.index".to_owned()],
        ),
    ] {
        let server = with_binlogs(base, index);
        let outcome = server.asks().options(options).run();
        outcome.assert_backed_up(&server);
        let backup = server.backup();
        assert_eq!(binlogs_of(&backup), wanted, "{options}");
        let unpacked = backup.unpack(&server.path("unpacked"));
        for path in &wanted {
            assert!(unpacked.join(path).is_file(), "{options}: {path}");
            assert_eq!(
                backup.member(path).unwrap()["origin"].is_null(),
                !path.starts_with(".wsrep_sst_backup"),
                "{path}"
            );
        }
    }
}
