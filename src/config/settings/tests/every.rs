//! Every setting: its default, and its value from each layer.

use super::*;
use crate::config::table::entries;
use crate::config::{CommandWords, DumpSettings, S3Proxy, ServerEncryption};

#[test]
fn without_a_word_the_documented_defaults_hold() {
    let settings = from_file("").unwrap();
    let expected = Settings {
        repository: directory("/var/backups/wsrep_sst_backup"),
        cluster: None,
        method: MethodChoice::Auto,
        method_origin: SettingOrigin::Default,
        snapshot_command: None,
        snapshot_release_command: None,
        snapshot_timeout: Duration::from_secs(30),
        snapshot_socket: PathBuf::from("/run/wsrep_sst_backup/snapshot.sock"),
        spool_limit: 1 << 30,
        plain_tar: false,
        compression: Compression::Zstd,
        compression_level: 1,
        threads: std::thread::available_parallelism().unwrap().get().min(256),
        encrypt_to: vec![],
        identity_file: None,
        freeze_timeout: Duration::from_secs(3600),
        flush_timeout: Duration::from_secs(60),
        lock_timeout: Duration::from_secs(2),
        primary_timeout: Duration::from_secs(1800),
        resync_timeout: Duration::from_secs(3600),
        queue_limit: None,
        stall_timeout: Duration::from_secs(300),
        limit_rate: None,
        low_priority: true,
        binlogs: BinlogChoice::Newest,
        allow_rocksdb: false,
        allow_sync_donor: false,
        dump: DumpSettings { ignore_global_priv: true, retries: 2, ..DumpSettings::default() },
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

/// Those of the file below.
fn dumps() -> DumpSettings {
    DumpSettings {
        databases: vec!["a".into(), "b".into()],
        ignore_tables: vec!["a.t".into()],
        ignore_global_priv: false,
        args: vec!["--skip-tz-utc".into(), "--hex-blob".into()],
        retries: 3,
    }
}

#[test]
fn every_setting_can_come_from_a_file() {
    let settings = from_file(
        &format!("encrypt-to={SSH_KEY}\nidentity_file=/id\n\
         repository=s3://bucket/p\ncluster=c\nmethod=logical\nsnapshot-command=/take it\nsnapshot_release_command=/give\nsnapshot-timeout=2m\nsnapshot_socket=/k\nspool_limit=64M\nplain-tar\ncompression=gzip\ncompression_level=9\nthreads=3\n\
         freeze-timeout=1h30m\nFLUSH_TIMEOUT=5\nlock_timeout=1\nprimary-timeout=6\nresync-timeout=2d\nqueue_limit=1000000\nstall-timeout=7\nlimit_rate=200m\nskip-low-priority\nbinlogs=all\nallow_rocksdb\nallow-sync-donor\nuser=u\npassword=p\nsocket=/s\n\
         databases=a\ndatabases=b\nignore_tables=a.t\nskip-ignore-global-priv\ndump-args=--skip-tz-utc --hex-blob\ndump-retries=3\n\
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
        method: MethodChoice::Named("logical".into()),
        method_origin: settings.method_origin.clone(),
        snapshot_command: Some(CommandWords::parse("/take it").unwrap()),
        snapshot_release_command: Some(CommandWords::parse("/give").unwrap()),
        snapshot_timeout: Duration::from_secs(120),
        snapshot_socket: PathBuf::from("/k"),
        spool_limit: 64 << 20,
        plain_tar: true,
        compression: Compression::Gzip,
        compression_level: 9,
        threads: 3,
        encrypt_to: Recipient::read(SSH_KEY).unwrap(),
        identity_file: Some(PathBuf::from("/id")),
        freeze_timeout: Duration::from_secs(5400),
        flush_timeout: Duration::from_secs(5),
        lock_timeout: Duration::from_secs(1),
        primary_timeout: Duration::from_secs(6),
        resync_timeout: Duration::from_secs(2 * 86_400),
        queue_limit: Some(1_000_000),
        stall_timeout: Duration::from_secs(7),
        limit_rate: NonZeroU64::new(200 << 20),
        low_priority: false,
        binlogs: BinlogChoice::All,
        allow_rocksdb: true,
        allow_sync_donor: true,
        dump: dumps(),
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
const TEXTS: [(&str, &str); 59] = [
    ("repository", "/r"),
    ("cluster", "c"),
    ("method", "logical"),
    ("snapshot-command", "/take"),
    ("snapshot-release-command", "/give back"),
    ("snapshot-timeout", "9"),
    ("snapshot-socket", "/k"),
    ("spool-limit", "64M"),
    ("plain-tar", "on"),
    ("compression", "bzip2"),
    ("compression-level", "9"),
    ("threads", "3"),
    ("freeze-timeout", "1h30m"),
    ("flush-timeout", "5"),
    ("primary-timeout", "6"),
    ("resync-timeout", "8"),
    ("queue-limit", "9"),
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
    ("databases", "a,b"),
    ("ignore-tables", "a.t"),
    ("ignore-global-priv", "off"),
    ("dump-args", "--hex-blob"),
    ("dump-retries", "1"),
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
    let by_environment = resolve("", &env, &SettingsOverrides::default()).unwrap();
    assert_eq!(by_environment.method_origin, SettingOrigin::Environment("WSREP_SST_BACKUP_METHOD".into()));
    let anywhere = |settings| Settings { method_origin: SettingOrigin::Default, ..settings };
    let by_file = anywhere(by_file);
    assert_eq!(anywhere(by_environment), by_file);

    let flags = SettingsOverrides::of(TEXTS);
    assert_eq!(anywhere(resolve("", &[], &flags).unwrap()), by_file);
}
