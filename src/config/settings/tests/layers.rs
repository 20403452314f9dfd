//! Who has the last word, and what it may say.

use super::*;

#[test]
fn flags_override_the_environment_which_overrides_later_lines_and_those_earlier_ones() {
    let lines = "repository=/first\nrepository=/second";
    let env = [("WSREP_SST_BACKUP_REPOSITORY", "/env"), ("PATH", "/bin"), ("WSREP_SST_OPT_AUTH", "x")];
    let flags = flag("repository", "/flag");
    let of = |settings: Result<Settings, String>| settings.unwrap().repository;
    assert_eq!(of(from_file(lines)), directory("/second"));
    assert_eq!(of(resolve(lines, &env, &SettingsOverrides::default())), directory("/env"));
    assert_eq!(of(resolve(lines, &env, &flags)), directory("/flag"));
    // What a later layer replaces may be wrong.
    assert_eq!(of(resolve("repository=s3://x", &env, &flags)), directory("/flag"));
}

#[test]
fn recipients_add_up_in_files_and_are_replaced_by_the_environment() {
    let other = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
    let keys = |settings: Result<Settings, String>| {
        settings.unwrap().encrypt_to.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let lines =
        format!("encrypt-to={other}\nthreads=1\nloose-encrypt_to={SSH_KEY} a comment\nencrypt-to={other}");
    assert_eq!(keys(from_file(&lines)), [other, SSH_KEY]);
    assert_eq!(keys(from_file(&format!("encrypt-to={other}, {SSH_KEY}"))), [other, SSH_KEY]);
    let env = [("WSREP_SST_BACKUP_ENCRYPT_TO", other)];
    assert_eq!(keys(resolve(&format!("encrypt-to={SSH_KEY}"), &env, &SettingsOverrides::default())), [other]);
    assert_eq!(keys(from_file("threads=1")), Vec::<String>::new());
    // The line that is wrong is named, not the last one. Nobody is left without encryption by a slip.
    for (lines, what) in [
        (
            format!("encrypt-to=nobody\nencrypt-to={other}"),
            "x.cnf line 2: encrypt-to: 'nobody' is no public key",
        ),
        (format!("encrypt-to={other}\nencrypt-to"), "x.cnf line 3: encrypt-to: needs a value"),
        ("encrypt-to=".to_owned(), "x.cnf line 2: encrypt-to: is empty"),
    ] {
        let error = from_file(&lines).unwrap_err();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn an_empty_s3_setting_takes_back_an_earlier_one() {
    let settings = from_file("s3-ca-file=/x\ns3-endpoint=https://h\ns3-ca-file=").unwrap();
    assert_eq!((settings.s3.ca_file, settings.s3.endpoint), (None, Some("https://h".into())));
    let settings = from_file("s3-ca-file=/x\ns3-ca-file=\ns3-ca-file=/y").unwrap();
    assert_eq!(settings.s3.ca_file, Some("/y".into()));
    for (lines, line) in [("s3-ca-file=", 2), ("s3-ca-file=/x\ns3-ca-file=\ns3-ca-file=", 4)] {
        let error = from_file(lines).unwrap_err();
        assert!(error.starts_with(&format!("{FILE} line {line}: s3-ca-file: is empty")), "{error}");
    }
}

#[test]
fn a_limit_can_be_taken_back() {
    let flags = flag("limit-rate", "none");
    assert_eq!(resolve("limit-rate=1M", &[], &flags).unwrap().limit_rate, None);
    assert!(resolve("limit-rate=1M", &[], &SettingsOverrides::default()).unwrap().limit_rate.is_some());
}

#[test]
fn switches_and_loose_names_work_as_in_mariadb() {
    for (lines, on) in [
        ("allow-rocksdb", true),
        ("allow_rocksdb=ON", true),
        ("allow-rocksdb=true\nskip-allow-rocksdb", false),
        ("allow-rocksdb\ndisable_allow_rocksdb", false),
        ("skip-allow-rocksdb=0", true),
        ("enable-allow-rocksdb", true),
        ("allow-rocksdb\nallow-rocksdb=off", false),
        ("loose_allow_rocksdb=1", true),
        ("allow-rocksdb\nloose-skip-allow-rocksdb", false),
    ] {
        assert_eq!(from_file(lines).unwrap().allow_rocksdb, on, "{lines}");
    }
    let settings = from_file("loose-drill-on=x\nloose_user=u").unwrap();
    assert_eq!(settings.warnings, ["/etc/mysql/x.cnf line 2: unknown option 'loose-drill-on' is skipped"]);
    assert_eq!(settings.user.as_deref(), Some("u"));
}
