//! What goes into a backup, and how it is compressed.

use std::num::NonZero;

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, set, switch, text};
use super::flag_help::flag_help;
use crate::config::values::choice::{BinlogChoice, MethodChoice};
use crate::config::values::{ValueError, number};
use crate::model::Compression;

/// More threads than this bring nothing but memory.
const MAX_THREADS: usize = 256;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Capture and compression",
    text: "",
    settings: &[
        SettingSpec {
            name: "method",
            value: "auto | snapshot | freeze | mariadb-backup",
            unset: Unset::Is("auto"),
            meaning: "How the data is captured: [methods](methods.md). auto takes snapshot where files can be cloned, else freeze.",
            note: "How the data is captured: auto takes snapshot where files can be cloned (XFS, btrfs), else freeze; mariadb-backup leaves the server running, and its backups must be prepared.",
            ..text(|to, text| set(&mut to.method, text.parse::<MethodChoice>()))
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
                &["verify", "restore"],
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
            meaning: "Freeze a donor with gcs.sync_donor=yes: nobody in the whole cluster can write until it is thawed.",
            note: "Freeze a donor with gcs.sync_donor=yes: nobody in the whole cluster can write meanwhile.",
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
