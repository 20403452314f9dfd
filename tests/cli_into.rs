//! `restore --into`, as far as it comes without a server.

mod support;

use std::fs;
use std::path::Path;

use support::cli::dumps::put_dump;
use support::cli::forge::{Forge, ID};
use support::cli::{Answer, cli, open_folder};

/// A dump by mariadb-dump in small.
const DUMP: &str = "-- MariaDB dump 10.19\n-- Server version\t10.11.19-MariaDB\n\nCREATE DATABASE `d`;\nUSE `d`;\n\
                    CREATE TABLE `t` (\n  `id` int\n) ENGINE=InnoDB;\n-- Dump completed on 2026-11-20 11:34:52\n";
/// Nobody listens there.
const NOWHERE: &str = "--into /nonexistent/s";

fn restore(repository: &Path, line: &str) -> Answer {
    cli(&format!("restore {line}")).on(repository).run()
}

#[test]
fn a_dump_and_the_files_of_a_server_each_go_their_own_way() {
    let folder = open_folder();
    let target = folder.path().join("target");
    put_dump(folder.path(), ID, DUMP.as_bytes(), None);
    restore(folder.path(), &format!("{ID} --to {}", target.display())).fails_with(2, "--to is not possible");
    assert!(!target.exists());
    restore(folder.path(), &format!("{ID} {NOWHERE}")).fails_with(1, "over '/nonexistent/s'");
    restore(folder.path(), &format!("{ID} {NOWHERE} --users"))
        .fails_with(2, "holds no users and grants as statements");
    let other = open_folder();
    Forge::new(ID).write(other.path());
    let message = format!(
        "backup '{ID}' is physical (content datadir): its files become a data directory ('restore {ID} --to'); --into takes \
         dumps, which the method logical makes"
    );
    restore(other.path(), &format!("{ID} {NOWHERE}")).fails(2, &message);
}

#[test]
fn what_makes_no_sense_together_is_refused() {
    let folder = open_folder();
    for (line, why) in [
        ("latest", "required arguments were not provided"),
        ("latest --to /x --into /y/s", "cannot be used with"),
        ("latest --into /y/s --as node", "cannot be used with"),
        ("latest --into /y/s --only d.t", "cannot be used with"),
        ("latest --to /x --users", "cannot be used with"),
        ("latest --to /x --database d", "cannot be used with"),
        ("latest --file /d.sql --into /y/s", "cannot be used with"),
        ("--file /d.sql --to /x", "cannot be used with"),
        ("--into /y/s", "required arguments were not provided"),
    ] {
        let answer = restore(folder.path(), line);
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""), "{line}");
        assert!(answer.stderr.contains(why), "{line}: {}", answer.stderr);
    }
    restore(folder.path(), "--file /d.sql --into a:b:c]").fails_with(2, "a socket has a '/' in its name");
}

/// It needs no repository.
#[test]
fn a_file_is_found_before_anybody_is_asked() {
    let folder = open_folder();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let load = |file: &str, more: &str| {
        cli(&format!("restore {NOWHERE} {more} --file"))
            .arg(file)
            .env("WSREP_SST_BACKUP_REPOSITORY", "/nonexistent")
            .run()
    };
    load(&file("missing.sql"), "").fails_with(1, "No such file");
    let pipe = file("pipe.sql");
    nix::unistd::mkfifo(pipe.as_str(), nix::sys::stat::Mode::S_IRWXU).unwrap();
    load(&pipe, "").fails_with(1, "is no file: a dump is read twice");
    fs::write(file("d.sql"), DUMP).unwrap();
    load(&file("d.sql"), "").fails_with(1, "over '/nonexistent/s'");
    load(&file("d.sql"), "--target-time 2026-11-20T12:00:00Z")
        .fails_with(2, "chooses among the files of a folder");
    load(&file(""), "").fails_with(2, "has no file 'backup.<time>.sql'");
    fs::write(file("backup.2026-11-20T11:34:52Z.sql.gz"), "").unwrap();
    load(&file(""), "--target-time 2026-11-20T11:34:51Z").fails_with(2, "the oldest dump");
    load(&file(""), "--target-time 2026-11-20T11:34:52Z").fails_with(1, "over '/nonexistent/s'");
}
