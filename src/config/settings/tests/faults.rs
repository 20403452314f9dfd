//! What is wrong, and what a person is told of it.

use super::*;

#[test]
fn a_flag_for_a_setting_that_is_not_there_is_refused() {
    let error = resolve("", &[], &flag("thread", "1")).unwrap_err();
    assert_eq!(error, "--thread: unknown option 'thread'; did you mean 'threads'?");
}

#[test]
fn faults_name_their_place_and_what_would_be_right() {
    let error = |lines: &str| from_file(lines).unwrap_err();
    for (lines, message) in [
        (
            "user=x\nrepositroy=/x",
            "/etc/mysql/x.cnf line 3: unknown option 'repositroy'; did you mean 'repository'?",
        ),
        ("drill_on=x", "/etc/mysql/x.cnf line 2: unknown option 'drill_on'"),
        ("skip-user", "/etc/mysql/x.cnf line 2: unknown option 'skip-user'"),
        ("repository", "/etc/mysql/x.cnf line 2: repository: needs a value: repository=…"),
        ("cluster=", "/etc/mysql/x.cnf line 2: cluster: is empty; give it a value or leave it out"),
        ("threads=0", "/etc/mysql/x.cnf line 2: threads: '0' is not a whole number from 1 to 256"),
        ("threads=257", "/etc/mysql/x.cnf line 2: threads: '257' is not a whole number from 1 to 256"),
        ("keep-daily=0", "/etc/mysql/x.cnf line 2: keep-daily: '0' is not a whole number from 1 to 100000"),
        (
            "keep-within=7w",
            "/etc/mysql/x.cnf line 2: keep-within: '7w' is not a duration; write seconds, or numbers with d, h, m, s: 90, 90s, 15m, 1h30m, 2d",
        ),
        (
            "metrics-file=m.prom",
            "/etc/mysql/x.cnf line 2: metrics-file: 'm.prom' is not an absolute path; it must begin with /",
        ),
        ("binlogs=some", "/etc/mysql/x.cnf line 2: binlogs: 'some' is not one of newest, all, none"),
        (
            "allow-rocksdb=2",
            "/etc/mysql/x.cnf line 2: allow-rocksdb: '2' is not one of 1, on, true, 0, off, false",
        ),
        ("limit-rate", "/etc/mysql/x.cnf line 2: limit-rate: needs a value: limit-rate=…"),
        (
            "limit-rate=0",
            "/etc/mysql/x.cnf line 2: limit-rate: 0 bytes a second would never come to an end; write none for no limit",
        ),
        ("skip-limit-rate", "/etc/mysql/x.cnf line 2: unknown option 'skip-limit-rate'"),
        ("socket=/\u{fffd}", "/etc/mysql/x.cnf line 2: socket: has bytes that are not UTF-8"),
        (
            "s3-endpoint=h",
            "/etc/mysql/x.cnf line 2: s3-endpoint: 'h' has no https:// or http:// before it: https://host or https://host:port",
        ),
        ("s3-sse=x", "/etc/mysql/x.cnf line 2: s3-sse: 'x' is not one of aes256, aws:kms"),
        (
            "s3-max-parts=9",
            "/etc/mysql/x.cnf line 2: s3-max-parts: '9' is not a whole number from 10 to 10000",
        ),
        (
            "user=u\ns3-access-key-id=x",
            "/etc/mysql/x.cnf line 3: s3-access-key-id: needs s3-secret-access-key beside it",
        ),
        (
            "compression-level=x",
            "/etc/mysql/x.cnf line 2: compression-level: 'x' is not a whole number from -2147483648 to 2147483647",
        ),
        (
            "compression-level=20",
            "/etc/mysql/x.cnf line 2: compression-level: 20 is not a level of zstd (default), whose levels are 1 to 19",
        ),
    ] {
        assert_eq!(error(lines), message);
    }
    let env =
        |name: &str, text: &str| resolve("", &[(name, text)], &SettingsOverrides::default()).unwrap_err();
    assert_eq!(
        env("WSREP_SST_BACKUP_COMPRESSION", "lzma"),
        "WSREP_SST_BACKUP_COMPRESSION: compression: 'lzma' is not one of zstd, gzip, bzip2, none"
    );
    assert_eq!(
        env("WSREP_SST_BACKUP_REPO", "/x"),
        "WSREP_SST_BACKUP_REPO: unknown variable 'WSREP_SST_BACKUP_REPO'; did you mean 'WSREP_SST_BACKUP_REPOSITORY'?"
    );
    assert!(env("WSREP_SST_BACKUP_user", "x").ends_with("did you mean 'WSREP_SST_BACKUP_USER'?"));
    let flags = flag("compression", "lz4");
    assert!(resolve("", &[], &flags).unwrap_err().starts_with("--compression: 'lz4' is not"));
}

#[test]
fn the_level_has_to_suit_the_compression_wherever_both_come_from() {
    let none = flag("compression", "none");
    let gzip = flag("compression", "gzip");
    assert_eq!(from_file("compression-level=19").unwrap().compression_level, 19);
    assert_eq!(
        resolve("compression-level=15", &[], &gzip).unwrap_err(),
        "/etc/mysql/x.cnf line 2: compression-level: 15 is not a level of gzip (--compression), whose levels are 1 to 9"
    );
    assert_eq!(
        from_file("compression=none\ncompression-level=1").unwrap_err(),
        "/etc/mysql/x.cnf line 3: compression-level: 1 cannot be used: compression 'none' (/etc/mysql/x.cnf line 2) \
         has no levels"
    );
    assert_eq!(resolve("compression-level=15", &[], &none).unwrap().compression_level, 0);
}

#[test]
fn to_prune_without_a_word_about_what_to_keep_is_told() {
    let settings = from_file("prune-after-backup").unwrap();
    assert_eq!(settings.warnings, ["prune-after-backup does nothing: no keep-… setting says what to keep"]);
    assert_eq!(from_file("prune-after-backup\nkeep-last=1").unwrap().warnings, [""; 0]);
}

#[test]
fn a_metrics_file_that_nobody_would_read_is_told() {
    assert_eq!(from_file("metrics-file=/var/x.prom").unwrap().warnings, [""; 0]);
    let warnings = from_file("metrics-file=/var/x.txt").unwrap().warnings;
    assert_eq!(warnings, ["metrics-file '/var/x.txt' does not end in .prom: node_exporter does not read it"]);
}

#[test]
fn a_snapshot_is_taken_and_given_back_by_programs_that_no_shell_runs() {
    for (lines, message) in [
        (
            "snapshot-command=/take",
            "/etc/mysql/x.cnf line 2: snapshot-command: is of no use without snapshot-release-command: set both, or neither",
        ),
        (
            "user=u\nsnapshot-release-command=/give",
            "/etc/mysql/x.cnf line 3: snapshot-release-command: is of no use without snapshot-command: set both, or neither",
        ),
        (
            "snapshot-command=lvm take",
            "/etc/mysql/x.cnf line 2: snapshot-command: 'lvm' is not an absolute path: it must begin with /, and no shell reads what follows (put a pipe or a variable into a script)",
        ),
    ] {
        assert_eq!(from_file(lines).unwrap_err(), message);
    }
}
