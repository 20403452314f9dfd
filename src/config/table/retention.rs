//! Which backups are kept.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, set, switch, text};
use super::flag_help::flag_help;
use crate::config::values::duration;
use crate::config::values::retention::count;

const NONE: Unset = Unset::Described("none");

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Retention",
    text: "What the command prune keeps. A backup stays when one of these keeps it; without any of them nothing is \
           removed. The newest backup and those that are held always stay.",
    settings: &[
        SettingSpec {
            name: "keep-last",
            value: "N",
            unset: NONE,
            meaning: "The newest N backups.",
            note: "Which backups 'prune' keeps: the newest ones, those taken within a time before the newest, and the newest of \
                   each of the last days, weeks, months and years that have one. A backup stays when one of these keeps it. Without \
                   any of them nothing is removed.",
            example: Example::Value("3"),
            flags: &[flag_help(&["prune"], "Keep the newest N")],
            ..text(|to, text| set(&mut to.retention.last, count(text)))
        },
        SettingSpec {
            name: "keep-within",
            value: "TIME",
            unset: NONE,
            meaning: "Backups taken within this time before the newest one. A number needs its unit: 30d.",
            example: Example::Value("2d"),
            flags: &[flag_help(
                &["prune"],
                "Keep backups taken within this time before the newest one, e.g. 30d",
            )],
            ..text(|to, text| set(&mut to.retention.within, duration::parse_long(text)))
        },
        SettingSpec {
            name: "keep-daily",
            value: "N",
            unset: NONE,
            meaning: "The newest backup of each of the last N days (UTC) that have one.",
            example: Example::Value("7"),
            flags: &[flag_help(&["prune"], "Keep the newest of each of the last N days (UTC) that have one")],
            ..text(|to, text| set(&mut to.retention.daily, count(text)))
        },
        SettingSpec {
            name: "keep-weekly",
            value: "N",
            unset: NONE,
            meaning: "The same by weeks, which begin on Monday.",
            example: Example::Value("5"),
            flags: &[flag_help(&["prune"], "The same by weeks, from Monday")],
            ..text(|to, text| set(&mut to.retention.weekly, count(text)))
        },
        SettingSpec {
            name: "keep-monthly",
            value: "N",
            unset: NONE,
            meaning: "The same by months.",
            example: Example::Value("12"),
            flags: &[flag_help(&["prune"], "The same by months")],
            ..text(|to, text| set(&mut to.retention.monthly, count(text)))
        },
        SettingSpec {
            name: "keep-yearly",
            value: "N",
            unset: NONE,
            meaning: "The same by years.",
            example: Example::Value("3"),
            flags: &[flag_help(&["prune"], "The same by years")],
            ..text(|to, text| set(&mut to.retention.yearly, count(text)))
        },
        SettingSpec {
            name: "prune-after-backup",
            unset: Unset::Is("off"),
            meaning: "The donor prunes its cluster's backups after each backup, for a few seconds at most.",
            note: "The donor prunes its cluster's backups after each backup, for a few seconds at most.",
            ..switch(|to, on| to.prune_after_backup = on)
        },
    ],
};
