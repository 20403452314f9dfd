use std::path::Path;

use super::*;
use crate::config::{S3Proxy, ServerEncryption};

const FILE: &str = "/etc/mysql/x.cnf";
const SSH_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

fn directory(path: &str) -> RepositoryUrl {
    RepositoryUrl::Directory(path.into())
}

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

fn flag(name: &'static str, text: &str) -> SettingsOverrides {
    SettingsOverrides::of([(name, text)])
}

#[test]
fn without_a_word_the_documented_defaults_hold() {
    let settings = from_file("").unwrap();
    let expected = Settings {
        repository: directory("/var/backups/wsrep_sst_backup"),
        cluster: None,
        method: Method::Auto,
        compression: Compression::Zstd,
        compression_level: 1,
        threads: std::thread::available_parallelism().unwrap().get().min(256),
        encrypt_to: vec![],
        identity_file: None,
        freeze_timeout: Duration::from_secs(3600),
        flush_timeout: Duration::from_secs(60),
        lock_timeout: Duration::from_secs(2),
        primary_timeout: Duration::from_secs(1800),
        stall_timeout: Duration::from_secs(300),
        limit_rate: None,
        low_priority: true,
        binlogs: BinlogChoice::Newest,
        allow_rocksdb: false,
        allow_sync_donor: false,
        user: None,
        password: None,
        socket: None,
        members: vec![],
        ssl_ca: None,
        ssl_cert: None,
        ssl_key: None,
        ssl_verify_server_cert: true,
        retention: Retention::default(),
        prune_after_backup: false,
        s3: S3Settings::default(),
        metrics_file: None,
        warnings: vec![],
    };
    assert_eq!(settings, expected);
    assert_eq!(settings.primary_timeout, PRIMARY_TIMEOUT);
}

#[test]
fn a_flag_for_a_setting_that_is_not_there_is_refused() {
    let error = resolve("", &[], &flag("thread", "1")).unwrap_err();
    assert_eq!(error, "--thread: unknown option 'thread'; did you mean 'threads'?");
}

#[test]
fn every_setting_can_come_from_a_file() {
    let settings = from_file(
        &format!("encrypt-to={SSH_KEY}\nidentity_file=/id\n\
         repository=s3://bucket/p\ncluster=c\nmethod=freeze\ncompression=gzip\ncompression_level=9\nthreads=3\n\
         freeze-timeout=1h30m\nFLUSH_TIMEOUT=5\nlock_timeout=1\nprimary-timeout=6\nstall-timeout=7\nlimit_rate=200m\nskip-low-priority\nbinlogs=all\nallow_rocksdb\nallow-sync-donor\nuser=u\npassword=p\nsocket=/s\n\
         members=a,b:1\nssl-ca=/ca\nssl-cert=/c\nssl_key=/k\nskip-ssl-verify-server-cert\n\
         keep-within=400d\nkeep-last=1\nkeep_daily=7\nkeep-weekly=4\nkeep-monthly=12\nkeep-yearly=100000\nprune-after-backup\n\
         s3-endpoint=http://h:1/\ns3-region=r\ns3-access-key-id=i\ns3_secret_access_key=k\ns3-session-token=t\n\
         s3-profile=p\ns3-ca-file=/s3ca\ns3-sse=aws:kms\ns3-sse-kms-key=n\ns3-max-parts=1000\nskip-s3-path-style\ns3-proxy=http://u:p@proxy:3128/\n\
         metrics_file=/m.prom"),
    )
    .unwrap();
    let expected = Settings {
        repository: RepositoryUrl::S3 { bucket: "bucket".into(), prefix: "p".into() },
        cluster: Some("c".to_owned()),
        method: Method::Freeze,
        compression: Compression::Gzip,
        compression_level: 9,
        threads: 3,
        encrypt_to: Recipient::read(SSH_KEY).unwrap(),
        identity_file: Some(PathBuf::from("/id")),
        freeze_timeout: Duration::from_secs(5400),
        flush_timeout: Duration::from_secs(5),
        lock_timeout: Duration::from_secs(1),
        primary_timeout: Duration::from_secs(6),
        stall_timeout: Duration::from_secs(7),
        limit_rate: NonZeroU64::new(200 << 20),
        low_priority: false,
        binlogs: BinlogChoice::All,
        allow_rocksdb: true,
        allow_sync_donor: true,
        user: Some("u".to_owned()),
        password: Some(Secret::from("p".to_owned())),
        socket: Some(PathBuf::from("/s")),
        members: vec!["a".parse().unwrap(), "b:1".parse().unwrap()],
        ssl_ca: Some(PathBuf::from("/ca")),
        ssl_cert: Some(PathBuf::from("/c")),
        ssl_key: Some(PathBuf::from("/k")),
        ssl_verify_server_cert: false,
        retention: Retention {
            within: Some(Duration::from_secs(400 * 86_400)),
            last: Some(1),
            daily: Some(7),
            weekly: Some(4),
            monthly: Some(12),
            yearly: Some(100_000),
        },
        prune_after_backup: true,
        s3: S3Settings {
            endpoint: Some("http://h:1".to_owned()),
            region: Some("r".to_owned()),
            access_key_id: Some("i".to_owned()),
            secret_access_key: Some(Secret::from("k".to_owned())),
            session_token: Some(Secret::from("t".to_owned())),
            profile: Some("p".to_owned()),
            ca_file: Some(PathBuf::from("/s3ca")),
            sse: Some(ServerEncryption::Kms),
            sse_kms_key: Some("n".to_owned()),
            sse_customer_key: None,
            max_parts: 1000,
            path_style: Some(false),
            proxy: Some(S3Proxy::Through(Secret::from("http://u:p@proxy:3128".to_owned()))),
        },
        metrics_file: Some(PathBuf::from("/m.prom")),
        warnings: vec![],
    };
    assert_eq!(settings, expected);
}

/// A text for each setting.
const TEXTS: [(&str, &str); 46] = [
    ("repository", "/r"),
    ("cluster", "c"),
    ("method", "freeze"),
    ("compression", "bzip2"),
    ("compression-level", "9"),
    ("threads", "3"),
    ("freeze-timeout", "1h30m"),
    ("flush-timeout", "5"),
    ("primary-timeout", "6"),
    ("stall-timeout", "7"),
    ("limit-rate", "1G"),
    ("low-priority", "off"),
    ("binlogs", "all"),
    ("allow-rocksdb", "on"),
    ("user", "u"),
    ("password", "p"),
    ("socket", "/s"),
    ("members", "db1,[::1]:3307"),
    ("ssl-ca", "/ca"),
    ("ssl-cert", "/c"),
    ("ssl-key", "/k"),
    ("ssl-verify-server-cert", "off"),
    ("keep-within", "2d"),
    ("keep-last", "3"),
    ("keep-daily", "4"),
    ("keep-weekly", "5"),
    ("keep-monthly", "6"),
    ("keep-yearly", "7"),
    ("prune-after-backup", "on"),
    ("s3-endpoint", "https://h"),
    ("s3-region", "r"),
    ("s3-access-key-id", "i"),
    ("s3-secret-access-key", "k"),
    ("s3-session-token", "t"),
    ("s3-profile", "p"),
    ("s3-ca-file", "/s3ca"),
    ("s3-sse", "aws:kms"),
    ("s3-sse-kms-key", "n"),
    ("s3-max-parts", "99"),
    ("s3-path-style", "on"),
    ("s3-proxy", "none"),
    ("encrypt-to", SSH_KEY),
    ("identity-file", "/id"),
    ("metrics-file", "/m.prom"),
    ("lock-timeout", "3"),
    ("allow-sync-donor", "on"),
];

#[test]
fn every_setting_can_come_from_the_environment_and_from_a_flag() {
    let tried: Vec<&str> = TEXTS.iter().map(|(name, _)| *name).collect();
    let missing: Vec<&str> = entries().map(|entry| entry.name).filter(|name| !tried.contains(name)).collect();
    assert_eq!(
        missing,
        ["s3-sse-customer-key"],
        "it cannot stand beside s3-sse; the others have a text above"
    );

    let lines: Vec<String> = TEXTS.iter().map(|(name, text)| format!("{name}={text}")).collect();
    let by_file = from_file(&lines.join("\n")).unwrap();

    let upper = |name: &str| format!("WSREP_SST_BACKUP_{}", name.to_uppercase().replace('-', "_"));
    let env: Vec<(String, &str)> = TEXTS.iter().map(|(name, text)| (upper(name), *text)).collect();
    let env: Vec<(&str, &str)> = env.iter().map(|(name, text)| (name.as_str(), *text)).collect();
    assert_eq!(resolve("", &env, &SettingsOverrides::default()).unwrap(), by_file);

    let flags = SettingsOverrides::of(TEXTS);
    assert_eq!(resolve("", &[], &flags).unwrap(), by_file);
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
    assert!(resolve("", &[], &flags).unwrap_err().starts_with("--compression: compression: 'lz4' is not"));
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

#[test]
fn a_limit_can_be_taken_back() {
    let flags = flag("limit-rate", "none");
    assert_eq!(resolve("limit-rate=1M", &[], &flags).unwrap().limit_rate, None);
    assert!(resolve("limit-rate=1M", &[], &SettingsOverrides::default()).unwrap().limit_rate.is_some());
}

#[test]
fn to_prune_without_a_word_about_what_to_keep_is_told() {
    let settings = from_file("prune-after-backup").unwrap();
    assert_eq!(settings.warnings, ["prune-after-backup does nothing: no keep-… setting says what to keep"]);
    assert_eq!(from_file("prune-after-backup\nkeep-last=1").unwrap().warnings, [""; 0]);
}

#[test]
fn a_password_shows_nowhere() {
    let lines =
        "password=hunter2\ns3-access-key-id=i\ns3-secret-access-key=hunter2\ns3-session-token=hunter2";
    let files = files(lines);
    let settings = from_file(lines).unwrap();
    let flags = SettingsOverrides::of([("password", "hunter2"), ("s3-secret-access-key", "hunter2")]);
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

#[test]
fn a_customer_key_can_come_from_everywhere_and_shows_nowhere() {
    let line = format!("repository=s3://bucket\ns3-sse-customer-key={KEY}");
    let variable = [("WSREP_SST_BACKUP_S3_SSE_CUSTOMER_KEY", KEY)];
    let flags = flag("s3-sse-customer-key", KEY);
    for settings in
        [from_file(&line), resolve("", &variable, &SettingsOverrides::default()), resolve("", &[], &flags)]
    {
        let settings = settings.unwrap();
        assert!(!format!("{settings:?}{flags:?}").contains(KEY));
        assert_eq!(settings.s3.sse_customer_key.unwrap().expose(), KEY);
    }
    let plain = from_file(&format!("{line}\ns3-endpoint=http://h")).unwrap();
    assert!(plain.warnings[0].contains("readable for everybody"), "{:?}", plain.warnings);
    assert!(
        from_file("s3-sse-customer-key=hunter2")
            .unwrap_err()
            .ends_with("such as 'openssl rand -base64 32' prints")
    );
}

#[test]
fn a_metrics_file_that_nobody_would_read_is_told() {
    assert_eq!(from_file("metrics-file=/var/x.prom").unwrap().warnings, [""; 0]);
    let warnings = from_file("metrics-file=/var/x.txt").unwrap().warnings;
    assert_eq!(warnings, ["metrics-file '/var/x.txt' does not end in .prom: node_exporter does not read it"]);
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
