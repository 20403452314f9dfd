//! Every setting in words: the one table behind the manual `wsrep_sst_backup.cnf(5)`.
//!
//! Tests hold it, `doc/configuration.md` and the option file that is shipped to the names that the program knows.

/// A setting, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Described {
    /// Its name in option files.
    pub name: &'static str,
    /// What its value is, such as `TIME`.
    pub value: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does. Plain text, whole sentences.
    pub meaning: &'static str,
}

/// Settings that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chapter {
    /// What they are about.
    pub title: &'static str,
    /// What is to be said of all of them; may be empty.
    pub text: &'static str,
    /// The settings.
    pub settings: &'static [Described],
}

const fn is(
    name: &'static str,
    value: &'static str,
    default: &'static str,
    meaning: &'static str,
) -> Described {
    Described { name, value, default, meaning }
}

/// All of them, in the order in which a person meets them.
pub const REFERENCE: &[Chapter] = &[
    Chapter {
        title: "Repository",
        text: "",
        settings: &[
            is(
                "repository",
                "DIRECTORY | s3://BUCKET/PREFIX",
                "/var/backups/wsrep_sst_backup",
                "Where backups are kept. A directory must be writable for the server's user and lie outside of /home, /usr and \
                 /etc, which the server's systemd sandbox protects. Its path is absolute; with --repository a relative one counts \
                 from the working directory.",
            ),
            is(
                "cluster",
                "NAME",
                "the server's wsrep_cluster_name",
                "The folder in the repository; for commands: which cluster is meant.",
            ),
        ],
    },
    Chapter {
        title: "Capture and compression",
        text: "",
        settings: &[
            is(
                "method",
                "auto | freeze",
                "auto",
                "How the data is captured; freeze is what this version has.",
            ),
            is(
                "compression",
                "zstd | gzip | bzip2 | none",
                "zstd",
                "How the archive is compressed. The server is frozen meanwhile.",
            ),
            is(
                "compression-level",
                "N",
                "1",
                "1 to 19 for zstd, 1 to 9 for gzip and bzip2. A higher level means a longer freeze.",
            ),
            is("threads", "N", "one per core", "Threads that compress and decompress."),
            is(
                "binlogs",
                "newest | all | none",
                "newest",
                "Which binary logs go into the backup; the newest keeps the GTID state.",
            ),
            is(
                "allow-rocksdb",
                "on | off",
                "off",
                "Back up a server with MyRocks or TokuDB tables, without those tables.",
            ),
            is(
                "allow-sync-donor",
                "on | off",
                "off",
                "Freeze a donor with gcs.sync_donor=yes: nobody in the whole cluster can write until it is thawed.",
            ),
        ],
    },
    Chapter {
        title: "Speed and priority",
        text: "",
        settings: &[
            is(
                "limit-rate",
                "RATE",
                "none",
                "Bytes a second, such as 200M (256K to 1T): the data directory is read, and the repository written, no faster. \
                 This makes the freeze longer. verify, copy and restore keep to it as well.",
            ),
            is(
                "low-priority",
                "on | off",
                "on",
                "The donor makes way for the server from continue on (nice 15), verify and copy always.",
            ),
        ],
    },
    Chapter {
        title: "Encryption",
        text: "By this program, on the donor, in the format of age.",
        settings: &[
            is(
                "encrypt-to",
                "KEY | FILE",
                "none",
                "A public key of age (age1…) or SSH (ssh-ed25519 …, ssh-rsa …) that archive and index are encrypted for, or the \
                 absolute path of a file with such keys. Several keys stand on a line with commas between them, or on lines of \
                 their own, each of which adds to those before it. The donor needs no secret key.",
            ),
            is(
                "identity-file",
                "FILE",
                "none",
                "The file of the secret key, of age or SSH, with which verify, restore and ls read encrypted backups.",
            ),
        ],
    },
    Chapter {
        title: "Time limits",
        text: "Seconds, or numbers with d, h, m, s: 90, 90s, 15m, 1h30m, 2d.",
        settings: &[
            is(
                "flush-timeout",
                "TIME",
                "60s",
                "How long to wait until FLUSH TABLES WITH READ LOCK is to be had, before mysqld is asked for it, and then how long for \
                 mysqld's answer.",
            ),
            is(
                "lock-timeout",
                "TIME",
                "2s",
                "How long one try for that lock may hold up the writes of the server, in whole seconds; made every 10 seconds while \
                 somebody is in the way.",
            ),
            is(
                "freeze-timeout",
                "TIME",
                "1h",
                "The longest the server may stay frozen before the backup is given up.",
            ),
            is(
                "primary-timeout",
                "TIME",
                "30m",
                "How long to wait, at the end, for a node that is cut off from its cluster: a state transfer that ends outside \
                 the Primary component would leave the node a donor until it is restarted.",
            ),
            is(
                "stall-timeout",
                "TIME",
                "5m",
                "How long the repository may take for one operation, such as a write or the sync of the whole archive, before \
                 the backup is given up.",
            ),
        ],
    },
    Chapter {
        title: "Retention",
        text: "What the command prune keeps. A backup stays when one of these keeps it; without any of them nothing is \
               removed. The newest backup and those that are held always stay.",
        settings: &[
            is("keep-last", "N", "none", "The newest N backups."),
            is("keep-within", "TIME", "none", "Backups taken within this time before the newest one."),
            is(
                "keep-daily",
                "N",
                "none",
                "The newest backup of each of the last N days (UTC) that have one.",
            ),
            is("keep-weekly", "N", "none", "The same by weeks, which begin on Monday."),
            is("keep-monthly", "N", "none", "The same by months."),
            is("keep-yearly", "N", "none", "The same by years."),
            is(
                "prune-after-backup",
                "on | off",
                "off",
                "The donor prunes its cluster's backups after each backup, for a few seconds at most.",
            ),
        ],
    },
    Chapter {
        title: "Monitoring",
        text: "",
        settings: &[is(
            "metrics-file",
            "FILE",
            "none",
            "A Prometheus text file of this node for the textfile collector of node_exporter, written anew after each backup and \
             by prune, verify and check.",
        )],
    },
    Chapter {
        title: "SQL",
        text: "SQL is optional: with it the server's files are found by asking the server, the binary log's position is \
               recorded, and the state of the members is known.",
        settings: &[
            is("user", "NAME", "the user of the operating system", "The account for SQL."),
            is("password", "TEXT", "none", "Its password."),
            is("socket", "FILE", "the server's", "The local server's socket."),
            is(
                "members",
                "HOST:PORT,...",
                "none",
                "Members that answer SQL over TCP, with the same user and password, for the commands backup, check and \
                 restore. One is enough, it names the others.",
            ),
            is(
                "ssl-ca",
                "FILE",
                "none",
                "PEM file of the authorities for TLS over TCP, which is used where this is set.",
            ),
            is("ssl-cert", "FILE", "none", "The client's certificate."),
            is("ssl-key", "FILE", "none", "The key of that certificate."),
            is(
                "ssl-verify-server-cert",
                "on | off",
                "on",
                "Whether a server's certificate must bear the name of its host.",
            ),
        ],
    },
    Chapter {
        title: "S3",
        text: "",
        settings: &[
            is(
                "s3-endpoint",
                "URL",
                "AWS",
                "The server; else AWS_ENDPOINT_URL of the environment, or the profile's.",
            ),
            is("s3-region", "NAME", "us-east-1", "The region; else AWS_REGION, or the profile's."),
            is(
                "s3-access-key-id",
                "TEXT",
                "see meaning",
                "The key's name. Without it: s3-profile, the environment, the profile files, web identity, container and \
                 instance metadata, the first that is there.",
            ),
            is("s3-secret-access-key", "TEXT", "none", "The key itself."),
            is("s3-session-token", "TEXT", "none", "The token of a temporary key."),
            is("s3-profile", "NAME", "none", "A profile of ~/.aws/credentials and ~/.aws/config."),
            is(
                "s3-ca-file",
                "FILE",
                "the system's",
                "PEM file of the authorities that are trusted in place of the system's.",
            ),
            is("s3-sse", "aes256 | aws:kms", "none", "Encryption by the server."),
            is("s3-sse-kms-key", "NAME", "the bucket's", "The key for aws:kms."),
            is(
                "s3-sse-customer-key",
                "BASE64",
                "none",
                "A key of your own, 32 bytes in base64. Without it no backup can be read: keep it elsewhere too.",
            ),
            is(
                "s3-max-parts",
                "N",
                "10000",
                "Most parts that the server takes for one upload, 10 to 10000; some vendors take 1000.",
            ),
            is(
                "s3-path-style",
                "on | off",
                "on with s3-endpoint",
                "Whether the bucket stands in the path of a URL and not in the name of the host.",
            ),
            is(
                "s3-proxy",
                "URL | none",
                "the environment's",
                "A proxy on the way to the bucket, http[s]://[user:password@]host:port; without it https_proxy, http_proxy and \
                 all_proxy, as curl reads them; none: no proxy whatever they say. What no_proxy names is reached without.",
            ),
        ],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::layers::NAMES;

    #[test]
    fn every_setting_is_described_once() {
        let described: Vec<&str> =
            REFERENCE.iter().flat_map(|chapter| chapter.settings).map(|setting| setting.name).collect();
        let known: BTreeSet<&str> = NAMES.into_iter().collect();
        let missing: Vec<_> = known.iter().filter(|name| !described.contains(name)).collect();
        let foreign: Vec<_> = described.iter().filter(|name| !known.contains(**name)).collect();
        assert!(missing.is_empty() && foreign.is_empty(), "missing: {missing:?}, foreign: {foreign:?}");
        assert_eq!(described.len(), known.len(), "one is there twice");
    }

    #[test]
    fn nothing_is_left_empty_and_every_meaning_is_a_sentence() {
        for setting in REFERENCE.iter().flat_map(|chapter| chapter.settings) {
            let texts = [setting.value, setting.default, setting.meaning];
            assert!(texts.iter().all(|text| !text.is_empty() && !text.contains("  ")), "{setting:?}");
            assert!(setting.meaning.ends_with('.'), "{setting:?}");
        }
    }
}
