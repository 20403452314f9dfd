//! How fast a backup may be, and who makes way for whom.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, set, switch, text};
use super::flag_help::flag_help;
use crate::config::values::size;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Speed and priority",
    text: "",
    settings: &[
        SettingSpec {
            name: "limit-rate",
            value: "RATE",
            unset: Unset::Is("none"),
            meaning: "Bytes a second, such as 200M (256K to 1T): the data directory is read, and the repository written, no faster. \
                      This makes the freeze longer. verify, copy, restore and drill keep to it as well.",
            note: "No more bytes a second, neither from the data directory nor to the repository (256K to 1T). Without it: no \
                   limit. The server is frozen while its data is read, so a limit makes the freeze longer. It holds for verify, \
                   restore and drill, too.",
            example: Example::Value("200M"),
            flags: &[
                flag_help(
                    &["verify", "restore", "drill"],
                    "Read no more bytes a second from the repository, and write no more of what is restored, e.g. 50M; 'none' is no \
                     limit [default: the setting of that name]",
                ),
                flag_help(
                    &["copy"],
                    "Copy no more bytes a second, e.g. 50M; 'none' is no limit [default: the setting of that name]",
                ),
            ],
            ..text(|to, text| set(&mut to.limit_rate, size::rate(text)))
        },
        SettingSpec {
            name: "low-priority",
            unset: Unset::Is("on"),
            meaning: "The donor makes way for the server from continue on (nice 15), verify, copy and drill always.",
            note: "The donor makes way for the server (nice 15, lowest best-effort I/O level) as soon as it runs again, and verify \
                   and drill always.",
            ..switch(|to, on| to.low_priority = on)
        },
    ],
};
