//! How long each wait may last.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, set, text};
use super::flag_help::flag_help;
use crate::config::values::duration::parse;
use crate::config::values::number;

/// More write sets than this is a slip.
const LONGEST_QUEUE: u64 = 1_000_000_000;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Time limits",
    text: "Seconds, or numbers with d, h, m, s: 90, 90s, 15m, 1h30m, 2d.",
    settings: &[
        SettingSpec {
            name: "flush-timeout",
            value: "TIME",
            unset: Unset::Is("60s"),
            meaning: "How long to wait until FLUSH TABLES WITH READ LOCK is to be had, before mysqld is asked for it, and then how \
                      long for mysqld's answer.",
            note: "The backup is given up when the server takes longer to freeze. Before that it is tried whether the lock is to be \
                   had: lock-timeout is how long one try may hold up the server's writes.",
            ..text(|to, text| set(&mut to.flush_timeout, parse(text)))
        },
        SettingSpec {
            name: "lock-timeout",
            value: "TIME",
            unset: Unset::Is("2s"),
            meaning: "How long one try for that lock may hold up the writes of the server, in whole seconds; made every 10 seconds \
                      while somebody is in the way.",
            ..text(|to, text| set(&mut to.lock_timeout, parse(text)))
        },
        SettingSpec {
            name: "freeze-timeout",
            value: "TIME",
            unset: Unset::Is("1h"),
            meaning: "The longest the server may stay frozen before the backup is given up.",
            note: "The server is released and the backup given up when it stays frozen longer.",
            ..text(|to, text| set(&mut to.freeze_timeout, parse(text)))
        },
        SettingSpec {
            name: "primary-timeout",
            value: "TIME",
            unset: Unset::Is("30m"),
            meaning: "How long to wait, at the end, for a node that is cut off from its cluster: a state transfer that ends outside \
                      the Primary component would leave the node a donor until it is restarted.",
            note: "How long the program waits, at its end, for a node that is cut off from its cluster: a state transfer that ends \
                   outside the Primary component would leave the node a donor for ever.",
            ..text(|to, text| set(&mut to.primary_timeout, parse(text)))
        },
        SettingSpec {
            name: "resync-timeout",
            value: "TIME",
            unset: Unset::Is("1h"),
            meaning: "How long run waits, when its command has ended, until the node has applied what it has not got to meanwhile, before it \
                      lets the node in again all the same: the cluster may have to wait for it then.",
            note: "run lets the node in again when its receive queue is empty, or when this time is over: the cluster may have to wait \
                   for it then (flow control).",
            flags: &[flag_help(
                &["run"],
                "How long the receive queue may take to drain before the node is let in all the same [default: 1h]",
            )],
            ..text(|to, text| set(&mut to.resync_timeout, parse(text)))
        },
        SettingSpec {
            name: "queue-limit",
            value: "N",
            unset: Unset::Described("none"),
            meaning: "run gives its command up when more write sets than this wait in the node's receive queue.",
            note: "run gives its command up when more write sets than this wait to be applied. Without it: no limit.",
            example: Example::Value("1000000"),
            flags: &[flag_help(
                &["run"],
                "Give the command up when more write sets than this wait in the receive queue [default: no limit]",
            )],
            ..text(|to, text| set(&mut to.queue_limit, number(text, &(1..=LONGEST_QUEUE))))
        },
        SettingSpec {
            name: "stall-timeout",
            value: "TIME",
            unset: Unset::Is("5m"),
            meaning: "How long the repository may take for one operation, such as a write or the sync of the whole archive, before \
                      the backup is given up.",
            note: "The backup is given up when one operation of the repository, such as a write or the sync of the whole archive, \
                   does not return within this time: a dead NFS server says nothing else.",
            ..text(|to, text| set(&mut to.stall_timeout, parse(text)))
        },
    ],
};
