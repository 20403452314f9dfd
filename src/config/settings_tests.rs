use super::*;
use std::path::Path;

const FILE: &str = "/etc/mysql/x.cnf";

/// Option files with our group, whose lines begin at line 2 of [`FILE`].
fn files(lines: &str) -> OptionFiles {
    let mut files = OptionFiles::default();
    for (line, text) in (2..).zip(lines.lines()) {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let value = value.map(str::as_bytes);
        files.add("wsrep_sst_backup", name.as_bytes(), value, Path::new(FILE), line);
    }
    files
}

fn resolve(lines: &str, env: &[(&str, &str)], flags: &SettingsOverrides) -> Result<Settings, String> {
    let env = env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    Settings::resolve(&files(lines), env, flags).map_err(|error| error.to_string())
}

fn from_file(lines: &str) -> Result<Settings, String> {
    resolve(lines, &[], &SettingsOverrides::default())
}

fn flag(set: impl FnOnce(&mut SettingsOverrides)) -> SettingsOverrides {
    let mut flags = SettingsOverrides::default();
    set(&mut flags);
    flags
}

#[test]
fn without_a_word_the_documented_defaults_hold() {
    let settings = from_file("").unwrap();
    let expected = Settings {
        repository: PathBuf::from("/var/backups/wsrep_sst_backup"),
        cluster: None,
        method: Method::Auto,
        compression: Compression::Zstd,
        compression_level: 1,
        threads: std::thread::available_parallelism().unwrap().get().min(256),
        freeze_timeout: Duration::from_secs(3600),
        flush_timeout: Duration::from_secs(60),
        primary_timeout: Duration::from_secs(1800),
        binlogs: BinlogChoice::Newest,
        allow_rocksdb: false,
        user: None,
        password: None,
        socket: None,
        warnings: vec![],
    };
    assert_eq!(settings, expected);
}

#[test]
fn every_setting_can_come_from_a_file() {
    let settings = from_file(
        "repository=/r\ncluster=c\nmethod=freeze\ncompression=gzip\ncompression_level=9\nthreads=3\n\
         freeze-timeout=1h30m\nFLUSH_TIMEOUT=5\nprimary-timeout=6\nbinlogs=all\nallow_rocksdb\nuser=u\npassword=p\nsocket=/s",
    )
    .unwrap();
    let expected = Settings {
        repository: PathBuf::from("/r"),
        cluster: Some("c".to_owned()),
        method: Method::Freeze,
        compression: Compression::Gzip,
        compression_level: 9,
        threads: 3,
        freeze_timeout: Duration::from_secs(5400),
        flush_timeout: Duration::from_secs(5),
        primary_timeout: Duration::from_secs(6),
        binlogs: BinlogChoice::All,
        allow_rocksdb: true,
        user: Some("u".to_owned()),
        password: Some(Secret::from("p".to_owned())),
        socket: Some(PathBuf::from("/s")),
        warnings: vec![],
    };
    assert_eq!(settings, expected);
}

#[test]
fn every_setting_can_come_from_the_environment_and_from_a_flag() {
    let texts = [
        ("repository", "/r"),
        ("cluster", "c"),
        ("method", "freeze"),
        ("compression", "bzip2"),
        ("compression-level", "9"),
        ("threads", "3"),
        ("freeze-timeout", "1h30m"),
        ("flush-timeout", "5"),
        ("primary-timeout", "6"),
        ("binlogs", "all"),
        ("allow-rocksdb", "on"),
        ("user", "u"),
        ("password", "p"),
        ("socket", "/s"),
    ];
    let lines: Vec<String> = texts.iter().map(|(name, text)| format!("{name}={text}")).collect();
    let by_file = from_file(&lines.join("\n")).unwrap();

    let upper = |name: &str| format!("WSREP_SST_BACKUP_{}", name.to_uppercase().replace('-', "_"));
    let env: Vec<(String, &str)> = texts.iter().map(|(name, text)| (upper(name), *text)).collect();
    let env: Vec<(&str, &str)> = env.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    assert_eq!(resolve("", &env, &SettingsOverrides::default()).unwrap(), by_file);

    let text = |index: usize| Some(texts[index].1.to_owned());
    let flags = SettingsOverrides {
        repository: text(0),
        cluster: text(1),
        method: text(2),
        compression: text(3),
        compression_level: text(4),
        threads: text(5),
        freeze_timeout: text(6),
        flush_timeout: text(7),
        primary_timeout: text(8),
        binlogs: text(9),
        allow_rocksdb: text(10),
        user: text(11),
        password: text(12).map(Secret::from),
        socket: text(13),
    };
    assert_eq!(resolve("", &[], &flags).unwrap(), by_file);
}

#[test]
fn flags_override_the_environment_which_overrides_later_lines_and_those_earlier_ones() {
    let lines = "repository=/first\nrepository=/second";
    let env = [("WSREP_SST_BACKUP_REPOSITORY", "/env"), ("PATH", "/bin"), ("WSREP_SST_OPT_AUTH", "x")];
    let flags = flag(|flags| flags.repository = Some("/flag".to_owned()));
    let of = |settings: Result<Settings, String>| settings.unwrap().repository;
    assert_eq!(of(from_file(lines)), Path::new("/second"));
    assert_eq!(of(resolve(lines, &env, &SettingsOverrides::default())), Path::new("/env"));
    assert_eq!(of(resolve(lines, &env, &flags)), Path::new("/flag"));
    // What a later layer replaces may be wrong.
    assert_eq!(of(resolve("repository=s3://x", &env, &flags)), Path::new("/flag"));
}

#[test]
fn faults_name_their_place_and_what_would_be_right() {
    let error = |lines: &str| from_file(lines).unwrap_err();
    for (lines, message) in [
        (
            "user=x\nrepositroy=/x",
            "/etc/mysql/x.cnf line 3: unknown option 'repositroy'; did you mean 'repository'?",
        ),
        ("encrypt_to=x", "/etc/mysql/x.cnf line 2: unknown option 'encrypt_to'"),
        ("skip-user", "/etc/mysql/x.cnf line 2: unknown option 'skip-user'"),
        ("repository", "/etc/mysql/x.cnf line 2: repository: needs a value: repository=…"),
        ("cluster=", "/etc/mysql/x.cnf line 2: cluster: is empty; give it a value or leave it out"),
        ("threads=0", "/etc/mysql/x.cnf line 2: threads: '0' is not a whole number from 1 to 256"),
        ("threads=257", "/etc/mysql/x.cnf line 2: threads: '257' is not a whole number from 1 to 256"),
        ("binlogs=some", "/etc/mysql/x.cnf line 2: binlogs: 'some' is not one of newest, all, none"),
        (
            "allow-rocksdb=2",
            "/etc/mysql/x.cnf line 2: allow-rocksdb: '2' is not one of 1, on, true, 0, off, false",
        ),
        ("socket=/\u{fffd}", "/etc/mysql/x.cnf line 2: socket: has bytes that are not UTF-8"),
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
    let flags = flag(|flags| flags.compression = Some("lz4".to_owned()));
    assert!(resolve("", &[], &flags).unwrap_err().starts_with("--compression: compression: 'lz4' is not"));
}

#[test]
fn the_level_has_to_suit_the_compression_wherever_both_come_from() {
    let none = flag(|flags| flags.compression = Some("none".to_owned()));
    let gzip = flag(|flags| flags.compression = Some("gzip".to_owned()));
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
    let settings = from_file("loose-encrypt-to=x\nloose_user=u").unwrap();
    assert_eq!(settings.warnings, ["/etc/mysql/x.cnf line 2: unknown option 'loose-encrypt-to' is skipped"]);
    assert_eq!(settings.user.as_deref(), Some("u"));
}

#[test]
fn a_password_shows_nowhere() {
    let files = files("password=hunter2");
    let settings = from_file("password=hunter2").unwrap();
    let flags = flag(|flags| flags.password = Some(Secret::from("hunter2".to_owned())));
    let gathered = Gathered::from(&files, std::iter::empty(), &flags).unwrap();
    for shown in
        [format!("{files:?}"), format!("{settings:?}"), format!("{flags:?}"), format!("{gathered:?}")]
    {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(settings.password.unwrap().expose(), "hunter2");
    assert_eq!(from_file("password=").unwrap().password.unwrap().expose(), "");
    assert!(!from_file("password=hunter2\u{fffd}").unwrap_err().contains("hunter2"));
}
