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
    with_options(folder, &format!("basedir={}\n", folder.join("base").display()), more)
}

/// A machine whose server has these options.
fn with_options(folder: &Path, lines: &str, more: &str) -> Answer {
    let options = folder.join("my.cnf");
    fs::write(&options, format!("[mysqld]\n{lines}")).unwrap();
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
        let told = answer.done().contains("run  mariadb-upgrade  (from 10.11 to 11.4)");
        assert_eq!(told, upgrade, "{version}: {}", answer.stdout);
        assert!(
            !answer.stdout.contains("on the directory first"),
            "10.11 and 11.4 have one format: {}",
            answer.stdout
        );
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn a_redo_log_of_an_older_format_wants_a_server_of_its_own_series_first() {
    let elder = "1. Let a server of MariaDB 10.5 start on the directory first, by itself (--wsrep-on=OFF), and shut it down";
    let crashed =
        "1. The files are those of a crashed server: let a server of MariaDB 10.11 start on them once";
    for (files, version, told) in [
        (None, "10.5.23-MariaDB", elder),
        (Some("crashed"), "10.5.23-MariaDB", elder),
        (Some("crashed"), "10.11.19-MariaDB", crashed),
    ] {
        let folder = open_folder();
        forge_of(version, files).write(&folder.path().join("r"));
        let answer = with_server(folder.path(), "11.8.6-MariaDB", "");
        assert!(answer.done().contains(told), "{version}: {}", answer.stdout);
        let last = answer.stdout.trim_end().lines().last().unwrap();
        assert!(last.contains("run  mariadb-upgrade  (from"), "{version}: {last}");
    }
}

/// A backup of a server of this version; `state` of its files where they are not clean.
fn forge_of(version: &str, state: Option<&str>) -> Forge {
    Forge::new(ID).manifest(|manifest| {
        manifest["server"]["version"] = version.into();
        if let Some(state) = state {
            (manifest["format"], manifest["files_state"]) = (2.into(), state.into());
        }
    })
}

#[test]
fn a_server_that_would_not_start_on_the_files_is_refused_where_they_are_to_be_its_own() {
    let folder = open_folder();
    let backup = Forge::new(ID).manifest(|manifest| {
        manifest["server"]["innodb_page_size"] = 4096.into();
        manifest["server"]["options"] = json!({"aria_block_size": "4096", "lower_case_table_names": "1"});
    });
    backup.write(&folder.path().join("r"));
    let target = folder.path().join("data");
    let own = format!("datadir={}\n", target.display());
    let message = format!(
        "the option files here name '{0}' as data directory, and with them no server would start on backup '{ID}', whose files were made with other \
         options. Add to the group [mysqld]:  aria_block_size = 4096; innodb_page_size = 4096  - or restore with --any-server where another \
         server will use the directory",
        target.display()
    );
    with_options(folder.path(), &own, "").fails(1, &message);
    assert!(!target.exists());
    for (options, more) in [
        (own.clone(), "--any-server"),
        (format!("datadir={}/other\n", folder.path().display()), ""),
        (format!("{own}innodb_page_size=4k\naria-block-size=4096\n"), ""),
    ] {
        let answer = with_options(folder.path(), &options, more);
        assert!(answer.done().contains("lower_case_table_names = 1"), "{options}: {}", answer.stdout);
        fs::remove_dir_all(&target).unwrap();
    }
}

#[test]
fn an_account_of_the_transfer_is_dropped_by_an_init_file_on_request() {
    let folder = open_folder();
    let account = "wsrep.sst.1732704000_n1";
    let row = format!("\0\x09localhost\x17{account}\u{1}{{\"access\":18446744073709551615}}");
    Forge::new(ID).directory("mysql").file("mysql/global_priv.MAD", row).write(&folder.path().join("r"));
    let (target, file) = (folder.path().join("data"), folder.path().join("drop.sql"));
    let statement = format!("DROP USER IF EXISTS '{account}'@'localhost'");
    let answer = with_options(folder.path(), "", "");
    assert!(
        answer.done().contains(&format!("Drop that account:  mariadb -e \"{statement}\"")),
        "{}",
        answer.stdout
    );
    fs::remove_dir_all(&target).unwrap();
    let wanted = format!("--init-file {}", file.display());
    let answer = with_options(folder.path(), "", &wanted);
    let step =
        format!("  1. For the first start write  init_file = {}  into the group [mysqld]", file.display());
    assert!(
        answer.done().contains(&step) && !answer.stdout.contains("mariadb -e \"DROP"),
        "{}",
        answer.stdout
    );
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("SET SESSION wsrep_on = OFF;\nSET SESSION sql_log_bin = OFF;\n{statement};\n"));
    // Nothing is overwritten, and nothing is left of a restore that is refused.
    fs::remove_dir_all(&target).unwrap();
    let answer = with_options(folder.path(), "", &wanted);
    assert!(answer.status == Some(1) && answer.stderr.contains("drop.sql"), "{}", answer.stderr);
    assert!(!target.exists());
    fs::remove_file(&file).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(target.join("x"), "").unwrap();
    assert_eq!(with_options(folder.path(), "", &wanted).status, Some(1));
    assert!(!file.exists());
}
