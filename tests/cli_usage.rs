//! Wrong usage and wrong configuration: exit status 2, one message on stderr, nothing on stdout.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use support::cli::forge::{ID, manifest, put_manifest};
use support::cli::{cli, open_folder};

/// A repository with one manifest.
fn repository(folder: &Path, name: &str, id: &str) -> std::path::PathBuf {
    let repository = folder.join(name);
    put_manifest(&repository, "c", &manifest(id));
    repository
}

#[test]
fn wrong_arguments_are_refused_with_the_usage() {
    for (line, message) in [
        ("", "Usage: wsrep_sst_backup <COMMAND>"),
        ("lst", "unrecognized subcommand 'lst'"),
        ("--repository /x list", "unexpected argument '--repository'"),
        ("list latest", "unexpected argument 'latest'"),
        ("list --repository", "a value is required for '--repository <DIR>'"),
        ("list --json=yes", "unexpected value 'yes' for '--json'"),
        ("list --json --json", "'--json' cannot be used multiple times"),
        ("list --threads 2", "unexpected argument '--threads'"),
        ("list --defaults-group-suffix", "a value is required"),
        ("list --no-such", "unexpected argument '--no-such'"),
        ("show", "<ID|latest>"),
        ("show latest --target-time 2026-11-20T11:30:00Z", "cannot be used with"),
        ("show latest other", "unexpected argument 'other'"),
        ("show --target-time", "a value is required"),
        ("verify", "<ID|latest>"),
        ("verify latest --threads", "a value is required"),
        ("verify latest --to /x", "unexpected argument '--to'"),
        ("copy --to /x", "<ID|latest>"),
        ("copy latest", "--to <REPOSITORY>"),
        ("copy latest --all --to /x", "cannot be used with"),
        ("copy --all --target-time 2026-11-20T11:30:00Z --to /x", "cannot be used with"),
        ("prune latest", "unexpected argument 'latest'"),
        ("prune --keep-daily", "a value is required for '--keep-daily <N>'"),
        ("hold", "<ID|latest>"),
        ("hold latest --note", "a value is required for '--note <TEXT>'"),
        ("release", "<ID|latest>"),
        ("report", "--html <FILE>"),
        ("report --html", "a value is required for '--html <FILE>'"),
        ("ls latest other", "unexpected argument 'other'"),
        ("restore latest", "--to <DIR>"),
        ("restore --to /x", "<ID|latest>"),
        ("restore latest --to", "a value is required for '--to <DIR>'"),
        ("restore latest --to=", "a value is required for '--to <DIR>'"),
        ("restore latest --to=", "a value is required for '--to <DIR>'"),
        ("restore latest --to /x --to /y", "cannot be used multiple times"),
        ("restore latest --to /x --as master", "[possible values: node, cluster, standalone, replica]"),
        ("restore latest --to /x --map", "a value is required for '--map <VAR=DIR>'"),
    ] {
        let answer = cli(line).own_defaults().run();
        assert_eq!((answer.status, answer.stdout.as_str()), (Some(2), ""), "{line}: {}", answer.stderr);
        assert!(answer.stderr.contains(message), "{line}: {}", answer.stderr);
        assert_eq!(
            answer.stderr.matches("error: ").count(),
            usize::from(!line.is_empty()),
            "{}",
            answer.stderr
        );
    }
}

#[test]
fn wrong_values_are_refused_before_anything_is_looked_at() {
    // Nothing of this exists: the values come first.
    for (line, message) in [
        (
            "show --target-time yesterday",
            "--target-time 'yesterday' is not a time with its zone, like 2026-11-20T11:30:00Z or \
             2026-11-20T12:30:00+01:00",
        ),
        ("verify --target-time 2026-11-20T11:30:00", "--target-time '2026-11-20T11:30:00' is not a time"),
        ("restore --to /x --target-time 2026-11-20", "--target-time '2026-11-20' is not a time"),
        (
            "restore latest --to /x --map innodb_undo_directory",
            "--map 'innodb_undo_directory': it has the form",
        ),
        ("restore latest --to /x --map log_bin=logs", "--map 'log_bin=logs': 'logs' is not an absolute path"),
        ("restore latest --to /x --map log_bin=", "--map 'log_bin=': '' is not an absolute path"),
        ("restore latest --to /x --map =/y", "--map '=/y': it names no variable"),
        ("verify latest --threads 0", "'0' is not a whole number from 1 to 256"),
        ("verify latest --threads 257", "'257' is not a whole number from 1 to 256"),
        ("restore latest --to /x --threads two", "'two' is not a whole number"),
        ("list --cluster=", "--cluster: is empty"),
        ("prune --keep-last 0", "--keep-last: '0' is not a whole number from 1 to 100000"),
    ] {
        cli(line).on(Path::new("/no/such/repository")).run().fails_with(2, message);
    }
    for (value, message) in [
        ("s3:/b", "'s3:/b'"),
        ("", "'' is not an absolute path"),
        ("az://container/prefix", "into directories and s3://, not into az://"),
        ("s3://b/prefix", "'b' is not the name of a bucket"),
    ] {
        for command in ["list", "show latest", "verify latest", "restore latest --to /x"] {
            cli(command).arg(format!("--repository={value}")).run().fails_with(2, message);
        }
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for line in ["--help", "-h", "help", "list --help", "show -h", "help verify", "restore --help"] {
        let answer = cli(line).own_defaults().run();
        assert!(answer.done().contains("Usage: wsrep_sst_backup"), "{line}");
    }
    let help = cli("--help").own_defaults().run();
    for told in [
        "check",
        "list",
        "show",
        "verify",
        "restore",
        "copy",
        "prune",
        "hold",
        "release",
        "report",
        "ls",
        "Exit status: 0 done, 1 failed, 2 wrong usage",
        "garbd",
    ] {
        assert!(help.stdout.contains(told), "{told}");
    }
    let restore = cli("restore --help").own_defaults().run();
    for told in
        ["--to <DIR>", "--as <PURPOSE>", "--map <VAR=DIR>", "--target-time", "--repository", "--cluster"]
    {
        assert!(restore.stdout.contains(told), "{told}");
    }
    for line in ["--version", "-V"] {
        let version = format!("wsrep_sst_backup {}\n", env!("CARGO_PKG_VERSION"));
        assert_eq!(cli(line).own_defaults().run().done(), version);
    }
}

#[test]
fn wrong_option_files_are_named_with_the_line() {
    let folder = open_folder();
    let file = folder.path().join("my.cnf");
    let place = file.display();
    for (text, message) in [
        (
            "[wsrep_sst_backup]\n\nrepositry=/x\n",
            format!("{place} line 3: unknown option 'repositry'; did you mean 'repository'?"),
        ),
        ("[wsrep_sst_backup]\nthreads\n", format!("{place} line 2: threads: needs a value: threads=…")),
        (
            "[wsrep_sst_backup]\nthreads=many\n",
            format!("{place} line 2: threads: 'many' is not a whole number from 1 to 256"),
        ),
        (
            "[wsrep_sst_backup]\nrepository=x\n",
            format!("{place} line 2: repository: 'x' is not an absolute path; it must begin with /"),
        ),
        (
            "[wsrep_sst_backup]\nmethod=clairvoyance\n",
            format!(
                "{place} line 2: method: 'clairvoyance' is not one of auto, snapshot, precopy, freeze, mariadb-backup, logical"
            ),
        ),
        (
            "[wsrep_sst_backup\nrepository=/x\n",
            format!("{place} line 1: a group is written [name]; the ']' is missing"),
        ),
        ("repository=/x\n", format!("{place} line 1: option before the first [group]; put it below a group")),
    ] {
        fs::write(&file, text).unwrap();
        for command in ["list", "show latest", "verify latest", "restore latest --to /x"] {
            cli(command).own_defaults().arg("--defaults-file").arg(&file).run().fails(2, &message);
        }
    }
    let missing = folder.path().join("none.cnf");
    for option in ["--defaults-file", "--defaults-extra-file"] {
        let message =
            format!("cannot open '{}', which {option} names: No such file or directory", missing.display());
        cli("list").own_defaults().arg(option).arg(&missing).run().fails_with(2, &message);
    }
}

#[test]
fn wrong_variables_are_named() {
    let folder = open_folder();
    let repository = repository(folder.path(), "r", ID);
    let ask = |name: &str, value: &str| cli("list").on(&repository).env(name, value).run();
    ask("WSREP_SST_BACKUP_REPOSITRY", "/x").fails(
        2,
        "WSREP_SST_BACKUP_REPOSITRY: unknown variable 'WSREP_SST_BACKUP_REPOSITRY'; did you mean \
         'WSREP_SST_BACKUP_REPOSITORY'?",
    );
    ask("WSREP_SST_BACKUP_FREEZE_TIMEOUT", "soon")
        .fails_with(2, "WSREP_SST_BACKUP_FREEZE_TIMEOUT: freeze-timeout: ");
    // A wrong value that a flag replaces does no harm.
    ask("WSREP_SST_BACKUP_REPOSITORY", "relative").done();
    let secret = ask("WSREP_SST_BACKUP_PASSWRD", "hunter2");
    assert!(secret.status == Some(2) && !secret.stderr.contains("hunter2"), "{}", secret.stderr);
}

#[test]
fn a_flag_overrides_the_environment_and_that_the_files() {
    let folder = open_folder();
    let names = ["file", "extra", "suffix", "environment", "flag"];
    let repositories: Vec<_> = (1..)
        .zip(names)
        .map(|(day, name)| repository(folder.path(), name, &format!("2026110{day}T000000Z_n1")))
        .collect();
    let say = |group: &str, repository: &Path| format!("[{group}]\nrepository={}\n", repository.display());
    let file = folder.path().join("my.cnf");
    let groups = [say("wsrep_sst_backup", &repositories[0]), say("wsrep_sst_backup_x", &repositories[2])];
    fs::write(&file, groups.concat()).unwrap();
    let extra = folder.path().join("extra.cnf");
    fs::write(&extra, say("wsrep_sst_backup", &repositories[1])).unwrap();
    let only = || cli("list").own_defaults().arg(format!("--defaults-file={}", file.display()));
    let environment = repositories[3].display().to_string();
    let with_variable = || only().env("WSREP_SST_BACKUP_REPOSITORY", &environment);
    for (asked, day) in [
        (only(), 1),
        (cli("list").own_defaults().arg("--defaults-extra-file").arg(&extra), 2),
        (only().arg("--defaults-group-suffix=_x"), 3),
        (only().env("MARIADB_GROUP_SUFFIX", "_x"), 3),
        (with_variable(), 4),
        (with_variable().on(&repositories[4]), 5),
    ] {
        let answer = asked.run();
        assert!(answer.done().contains(&format!("2026110{day}T000000Z_n1 ")), "{day}: {}", answer.stdout);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    // More than a pipe holds, so that the program is still writing when its reader goes.
    for number in 0..800 {
        put_manifest(
            &repository,
            "c",
            &manifest(&format!("20261120T{:02}{:02}00Z_{}", number / 60, number % 60, "n".repeat(100))),
        );
    }
    for line in ["list", "list --json"] {
        let mut child = cli(line).on(&repository).command().stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        drop(lines);
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    }
    // A reader that was never there.
    for line in ["list", "show latest", "--help", "--version"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let asked = if line.starts_with('-') { cli(line).own_defaults() } else { cli(line).on(&repository) };
        let output = asked.command().stdout(writer).spawn().unwrap().wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{line}");
    }
}

#[test]
fn a_full_stdout_is_an_error() {
    let folder = open_folder();
    let repository = repository(folder.path(), "r", ID);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = cli("list").on(&repository).command().stdout(full).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("cannot write to stdout: No space left on device"), "{text}");
    assert_eq!(output.status.code(), Some(1));
}
