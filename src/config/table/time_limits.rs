//! How long each wait may last.

use super::chapter::Chapter;
use super::entry::{SettingSpec, Unset, set, text};
use crate::config::values::duration::parse;

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
