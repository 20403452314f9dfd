//! What goes into a backup, and how it is compressed.

use std::num::NonZero;

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, set, switch, text};
use super::flag_help::flag_help;
use crate::config::values::choice::{BinlogChoice, MethodChoice};
use crate::config::values::command::CommandWords;
use crate::config::values::duration::parse;
use crate::config::values::{ValueError, absolute_path, number, size};
use crate::model::Compression;

/// More threads than this bring nothing but memory.
const MAX_THREADS: usize = 256;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Capture and compression",
    text: "",
    settings: &[
        SettingSpec {
            name: "method",
            value: "auto | snapshot | precopy | freeze | mariadb-backup | logical",
            unset: Unset::Is("auto"),
            meaning: "How the data is captured: [methods](methods.md). auto takes snapshot where files can be cloned or snapshot-command is set, else precopy where it works and the data is not small, else freeze. precopy copies while the server runs, and only reads again what has changed while it stands still. logical dumps, and is never taken by auto.",
            note: "How the data is captured: auto takes snapshot where files can be cloned (XFS, btrfs) or snapshot-command is set, else precopy where it works and the data is not small, else freeze; precopy stands still only for what changes meanwhile; mariadb-backup leaves the server running, and its backups must be prepared; logical dumps for a running server.",
            ..text(|to, text| set(&mut to.method, text.parse::<MethodChoice>()))
        },
        SettingSpec {
            name: "snapshot-command",
            value: "COMMAND",
            unset: Unset::Described("none"),
            meaning: "Takes a snapshot of the server's volumes, which method snapshot reads in place of clones: [snapshot-command](snapshot-command.md). \
                      An absolute path and arguments; no shell reads them.",
            note: "The administrator's own snapshot (LVM, ZFS, btrfs, a SAN), read by method snapshot in place of clones. Both commands or none; \
                   scripts for LVM thin volumes, ZFS and btrfs are in /usr/share/wsrep_sst_backup/snapshot.",
            example: Example::Value("/usr/share/wsrep_sst_backup/snapshot/lvm take"),
            ..text(|to, text| set(&mut to.snapshot_command, CommandWords::parse(text)))
        },
        SettingSpec {
            name: "snapshot-release-command",
            value: "COMMAND",
            unset: Unset::Described("none"),
            meaning: "Removes that snapshot; started after each backup, however it has ended.",
            example: Example::Value("/usr/share/wsrep_sst_backup/snapshot/lvm release"),
            ..text(|to, text| set(&mut to.snapshot_release_command, CommandWords::parse(text)))
        },
        SettingSpec {
            name: "snapshot-timeout",
            value: "TIME",
            unset: Unset::Is("30s"),
            meaning: "How long snapshot-command may take, while the server stands still; then it is killed and there is no backup. \
                      snapshot-release-command has as long, and a minute at least.",
            note: "How long snapshot-command may take while the server stands still.",
            ..text(|to, text| set(&mut to.snapshot_timeout, parse(text)))
        },
        SettingSpec {
            name: "snapshot-socket",
            value: "FILE",
            unset: Unset::Is("/run/wsrep_sst_backup/snapshot.sock"),
            meaning: "Where root runs the two commands for the server's user, who can mount nothing: the socket of the packages' unit \
                      wsrep-sst-backup-snapshot.socket. Where there is none, whoever takes the backup runs them.",
            note: "Where root runs them for the server's user (systemctl enable --now wsrep-sst-backup-snapshot.socket). Without such a \
                   socket whoever takes the backup runs them.",
            ..text(|to, text| set(&mut to.snapshot_socket, absolute_path(text)))
        },
        SettingSpec {
            name: "spool-limit",
            value: "SIZE",
            unset: Unset::Is("1G"),
            meaning: "With precopy: how much of what is read while the server stands still may wait in a file without a name, in the file system of \
                      the data directory, until the server runs again. What is more goes into the archive at once, at the speed of the repository.",
            note: "With precopy: room on the data directory's file system for what is read while the server stands still.",
            ..text(|to, text| set(&mut to.spool_limit, size::size(text)))
        },
        SettingSpec {
            name: "plain-tar",
            unset: Unset::Is("off"),
            meaning: "With precopy: changed files are stored once more as a whole, so that stock tar alone unpacks the archive, without the script in it. \
                      Files of dropped tables are left over then; the manifest names them.",
            note: "With precopy: an archive for stock tar alone; each file that has changed is read again as a whole, and the freeze is longer.",
            ..switch(|to, on| to.plain_tar = on)
        },
        SettingSpec {
            name: "compression",
            value: "zstd | gzip | bzip2 | none",
            unset: Unset::Is("zstd"),
            meaning: "How the archive is compressed. With freeze the server is frozen meanwhile.",
            note: "zstd, gzip, bzip2 or none. With freeze the server is frozen while its data is compressed, so the level is low.",
            ..text(|to, text| set(&mut to.compression, compression(text)))
        },
        // Without it, and whether it suits the compression: see `settings::together`.
        SettingSpec {
            name: "compression-level",
            value: "N",
            unset: Unset::Described("1"),
            meaning: "1 to 19 for zstd, 1 to 9 for gzip and bzip2. With freeze a higher level means a longer freeze.",
            example: Example::Value("1"),
            ..text(|to, text| set(&mut to.compression_level, number(text, &(i32::MIN..=i32::MAX))))
        },
        SettingSpec {
            name: "threads",
            value: "N",
            unset: Unset::Found("one per core", |to| to.threads = cores()),
            meaning: "Threads that compress and decompress.",
            note: "Threads that compress and decompress. Without it: one per core.",
            example: Example::Value("4"),
            flags: &[flag_help(
                &["verify", "restore", "drill"],
                "Decompress with this many threads [default: one per core]",
            )],
            ..text(|to, text| set(&mut to.threads, number(text, &(1..=MAX_THREADS))))
        },
        SettingSpec {
            name: "binlogs",
            value: "newest | all | none",
            unset: Unset::Is("newest"),
            meaning: "Which binary logs go into the backup; the newest keeps the GTID state.",
            note: "Binary logs in the backup: newest (keeps the GTID state), all, or none.",
            ..text(|to, text| set(&mut to.binlogs, text.parse::<BinlogChoice>()))
        },
        SettingSpec {
            name: "allow-rocksdb",
            unset: Unset::Is("off"),
            meaning: "Back up a server with MyRocks or TokuDB tables, without those tables.",
            note: "Back up a server with MyRocks or TokuDB tables, without those tables.",
            ..switch(|to, on| to.allow_rocksdb = on)
        },
        SettingSpec {
            name: "allow-sync-donor",
            unset: Unset::Is("off"),
            meaning: "Freeze a donor, or desync a node for run, with gcs.sync_donor=yes: nobody in the whole cluster can write while it does not apply.",
            note: "Freeze a donor, or desync a node for run, with gcs.sync_donor=yes: nobody in the whole cluster can write meanwhile.",
            ..switch(|to, on| to.allow_sync_donor = on)
        },
    ],
};

fn compression(text: &str) -> Result<Compression, ValueError> {
    text.parse().map_err(|why: String| ValueError::new(why))
}

/// The cores that this process may use; 1 where the system does not tell.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}
