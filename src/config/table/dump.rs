//! What the method `logical` dumps.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, list, set, switch, text};
use crate::config::values::dump::{arguments, names, tables};
use crate::config::values::number;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Dumps",
    text: "What the method logical dumps. Its compression is gzip where nothing else is set.",
    settings: &[
        SettingSpec {
            name: "databases",
            value: "NAMES",
            unset: Unset::Described("all"),
            meaning: "The databases that are dumped, with commas between them; a line adds to those before it. Such a dump is a \
                      backup of a part: it stands in for no other one.",
            note: "For method=logical: which databases are dumped (without it: all), and tables that are left out.",
            example: Example::Value("shop,accounts"),
            ..list(|to, text| names(text).map(|mut names| to.dump.databases.append(&mut names)))
        },
        SettingSpec {
            name: "ignore-tables",
            value: "DATABASE.TABLE",
            unset: Unset::Described("none"),
            meaning: "Tables that are not dumped, with commas between them; a line adds to those before it. Such a dump is a backup \
                      of a part, too.",
            example: Example::Value("shop.sessions"),
            ..list(|to, text| tables(text).map(|mut names| to.dump.ignore_tables.append(&mut names)))
        },
        SettingSpec {
            name: "ignore-global-priv",
            unset: Unset::Is("on"),
            meaning: "Leave the system's own databases mysql and sys out of a dump: on a Galera cluster the DROP of their tables \
                      (mysql.global_priv among them) goes to every node, and their rows to one. Users and grants are beside the dump \
                      as statements in any case.",
            note: "Leaves the databases mysql and sys out of a dump; users and grants are beside it as statements.",
            ..switch(|to, on| to.dump.ignore_global_priv = on)
        },
        SettingSpec {
            name: "dump-args",
            value: "ARGUMENTS",
            unset: Unset::Described("none"),
            meaning: "More arguments for mariadb-dump, with blanks between them. What would break a dump is refused with the reason.",
            note: "More arguments for mariadb-dump; what would break a dump is refused.",
            example: Example::Value("--skip-extended-insert --order-by-primary"),
            ..list(|to, text| arguments(text).map(|mut words| to.dump.args.append(&mut words)))
        },
        SettingSpec {
            name: "dump-retries",
            value: "N",
            unset: Unset::Is("2"),
            meaning: "How often 'run' begins a dump again that another node's DDL has ruined. In a state transfer a server can be \
                      frozen only once: there is no second try.",
            note: "How often 'run' begins a dump again that another node's DDL has ruined.",
            ..text(|to, text| set(&mut to.dump.retries, number(text, &(0..=100_u32))))
        },
    ],
};
