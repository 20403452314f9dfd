//! What a restore says beside its steps: option lines, owners that nobody here knows, warnings of the backup, the server.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::json;

use crate::restore;
use crate::support::ScriptedMysqld;
use crate::support::cli::forge::{Forge, ID, edit_member};
use crate::support::cli::{Answer, cli, open_folder};

#[test]
fn options_that_decide_how_files_are_made_are_told_where_they_are_not_set() {
    let server = ScriptedMysqld::new();
    let at = |name: &str| server.path(name).to_string_lossy().into_owned();
    fs::create_dir(server.path("undo")).unwrap();
    fs::rename(server.datadir().join("undo001"), server.path("undo/undo001")).unwrap();
    server.write_outside("logs/bin.000007", "events");
    server.write_outside("logs/bin.index", format!("{}\n", at("logs/bin.000007")));
    let lines = format!(
        "innodb_undo_directory={}\ninnodb_undo_tablespaces=1\nlower_case_table_names=1\ninnodb_page_size=16K\n\
         innodb_data_file_path=ibdata1:10M;ibdata2:12M:autoextend\naria_log_dir_path=./\n",
        at("undo")
    );
    server.write("ibdata2", vec![0; 16384]);
    server.configure("mariadb", &lines);
    server.asks().options(&format!("--binlog '{}'", at("logs/bin"))).run().assert_backed_up(&server);
    fs::remove_dir_all(server.path("logs")).unwrap();
    let target = server.path("new");
    let moved = format!("--map innodb_undo_directory={} --external {}", at("moved"), at("logs"));
    let told = restore(&server.repository(), &target, &format!("{moved} --json")).json();
    let wanted = [
        "innodb_data_file_path = ibdata1:10M;ibdata2:12M:autoextend".to_owned(),
        format!("innodb_undo_directory = {}", at("moved")),
        "innodb_undo_tablespaces = 1".into(),
        format!("log_bin = {}", at("logs/bin")),
        "lower_case_table_names = 1".into(),
    ];
    assert_eq!(told["options"], json!(wanted));
    for place in ["new", "moved", "logs"] {
        fs::remove_dir_all(server.path(place)).unwrap();
    }
    // Where the option files have them, in whatever words, there is nothing to tell.
    let options = server.path("here.cnf");
    fs::write(
        &options,
        format!("[mysqld]\n{}\nlog-bin={}\n", lines.replace("undo\n", "moved/\n"), at("logs/bin")),
    )
    .unwrap();
    let answer = cli(&format!("restore latest {moved}"))
        .own_defaults()
        .arg(format!("--defaults-file={}", options.display()))
        .on(&server.repository())
        .to(&target)
        .run();
    assert!(!answer.done().contains("option files here do not have"), "{}", answer.stdout);
}

#[test]
fn an_owner_that_nobody_here_knows_is_told_before_and_after() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let backup = Forge::new(ID).write(&repository);
    for (uid, whose) in [(54_321, "nobody's"), (1, "'daemon'")] {
        edit_member(&backup, "ibdata1", |member| {
            (member["user"], member["uid"]) = ("mysql'of that name".into(), uid.into());
        });
        let answer = restore(&repository, &target, "");
        let what = format!(
            "there is no user 'mysql\\'of that name' here, whose the files were: they go to the donor's number, {uid}, \
             which is {whose} on this machine"
        );
        assert_eq!(answer.status, Some(0));
        assert!(answer.stderr.contains(&what), "{}", answer.stderr);
        let note = format!(
            "Note: Before you start the server: {what}. Make that user (installing the server does), then run  chown -R \
             'mysql'\\''of that name': {}\n",
            target.display()
        );
        assert!(answer.stdout.contains(&note), "{}", answer.stdout);
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn the_warnings_of_a_backup_are_repeated() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let mut warnings =
        vec!["its keys are not in the backup; a restore needs them".to_owned(), "odd\u{1b}[2K".into()];
    warnings.extend((3..=23).map(|number| format!("warning {number}")));
    Forge::new(ID).manifest(|manifest| manifest["warnings"] = json!(warnings)).write(&repository);
    let answer = restore(&repository, &target, "");
    for text in [
        "Note: A warning of the backup: its keys are not in the backup; a restore needs them\n".to_owned(),
        "Note: A warning of the backup: odd\\x1b[2K\n".into(),
        "Note: A warning of the backup: warning 20\n".into(),
        format!("Note: The backup has 3 more warnings: wsrep_sst_backup show {ID}\n"),
    ] {
        assert!(answer.done().contains(&text), "{text}: {}", answer.stdout);
    }
    assert!(!answer.stdout.contains("warning 21"));
}

/// A machine whose server says that it is of this version.
fn with_server(folder: &Path, version: &str, more: &str) -> Answer {
    let program = folder.join("base/sbin/mariadbd");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, format!("#!/bin/sh\necho 'mariadbd  Ver {version} for Linux on x86_64'\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let options = folder.join("my.cnf");
    fs::write(&options, format!("[mysqld]\nbasedir={}\n", folder.join("base").display())).unwrap();
    cli(&format!("restore latest {more}"))
        .own_defaults()
        .arg(format!("--defaults-file={}", options.display()))
        .on(&folder.join("r"))
        .to(&folder.join("data"))
        .run()
}

#[test]
fn a_server_of_an_older_series_is_refused_and_of_a_newer_one_is_to_be_upgraded() {
    let folder = open_folder();
    Forge::new(ID).write(&folder.path().join("r"));
    let target = folder.path().join("data");
    let message = format!(
        "the server here ('{}/base/sbin/mariadbd') is MariaDB 10.6, backup '{ID}' is of 10.11: a server of an older series \
         cannot start on its files. Install MariaDB 10.11, or restore with --any-server where another server will use the \
         directory",
        folder.path().display()
    );
    with_server(folder.path(), "10.6.16-MariaDB", "").fails(1, &message);
    assert!(!target.exists());
    // A patch less within the series is none; what is no MariaDB says nothing.
    for (version, more, upgrade) in [
        ("10.6.16-MariaDB", "--any-server", false),
        ("10.11.1-MariaDB", "", false),
        ("8.0.36", "", false),
        ("11.4.2-MariaDB", "", true),
    ] {
        let answer = with_server(folder.path(), version, more);
        assert_eq!(
            answer.done().contains("run  mariadb-upgrade  when"),
            upgrade,
            "{version}: {}",
            answer.stdout
        );
        fs::remove_dir_all(&target).unwrap();
    }
}
