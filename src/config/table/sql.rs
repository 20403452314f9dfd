//! How the server and the other members are asked by SQL.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, secret, set, switch, text};
use super::flag_help::flag_help;
use crate::config::values::secret::Secret;
use crate::config::values::{members, path, string};

pub(super) const CHAPTER: Chapter = Chapter {
    title: "SQL",
    text: "SQL is optional: with it the server's files are found by asking the server, the binary log's position is \
           recorded, and the state of the members is known.",
    settings: &[
        SettingSpec {
            name: "user",
            value: "NAME",
            unset: Unset::Described("the user of the operating system"),
            meaning: "The account for SQL.",
            note: "SQL to the local server, used to find its files and to record the binlog position that a replica needs. Without \
                   these: the user of the operating system, over the socket that mysqld names.",
            example: Example::Value("backup"),
            ..text(|to, text| set(&mut to.user, string(text)))
        },
        SettingSpec {
            name: "password",
            value: "TEXT",
            unset: Unset::Described("none"),
            meaning: "Its password.",
            example: Example::Value(""),
            ..secret(|to, text| set(&mut to.password, Ok(Secret::from(text.to_owned()))))
        },
        SettingSpec {
            name: "socket",
            value: "FILE",
            unset: Unset::Described("the server's"),
            meaning: "The local server's socket.",
            example: Example::Value("/run/mysqld/mysqld.sock"),
            ..text(|to, text| set(&mut to.socket, path(text)))
        },
        SettingSpec {
            name: "members",
            value: "HOST:PORT,...",
            unset: Unset::Described("none"),
            meaning: "Members that answer SQL over TCP, with the same user and password, for the commands backup, check, \
                      drill, run and restore. One is enough, it names the others.",
            note: "SQL to the other members, over TCP, for the commands backup, check, drill, run and restore: they learn from it which members \
                   are Synced and whether IST will be possible. One member is enough, it names the others.",
            example: Example::Value("db1:3306,db2:3306"),
            flags: &[
                flag_help(
                    &["backup"],
                    "SQL addresses of members, where they are to be asked for their state",
                ),
                flag_help(&["check"], "SQL addresses of members, who are asked for their state"),
                flag_help(
                    &["drill"],
                    "SQL addresses of members, who are asked whether the server may join [default: the hosts of \
                     wsrep_cluster_address]",
                ),
                flag_help(&["run"], "SQL addresses of members, who are asked for their state"),
                flag_help(
                    &["restore"],
                    "SQL addresses of members, who are asked whether IST will be possible [default: the hosts of \
                     wsrep_cluster_address]",
                ),
            ],
            ..text(|to, text| set(&mut to.members, members(text)))
        },
        SettingSpec {
            name: "ssl-ca",
            value: "FILE",
            unset: Unset::Described("none"),
            meaning: "PEM file of the authorities for TLS over TCP, which is used where this is set.",
            example: Example::Value("/etc/mysql/ca.pem"),
            ..text(|to, text| set(&mut to.ssl_ca, path(text)))
        },
        SettingSpec {
            name: "ssl-cert",
            value: "FILE",
            unset: Unset::Described("none"),
            meaning: "The client's certificate.",
            example: Example::Value("/etc/mysql/client-cert.pem"),
            ..text(|to, text| set(&mut to.ssl_cert, path(text)))
        },
        SettingSpec {
            name: "ssl-key",
            value: "FILE",
            unset: Unset::Described("none"),
            meaning: "The key of that certificate.",
            example: Example::Value("/etc/mysql/client-key.pem"),
            ..text(|to, text| set(&mut to.ssl_key, path(text)))
        },
        SettingSpec {
            name: "ssl-verify-server-cert",
            unset: Unset::Is("on"),
            meaning: "Whether a server's certificate must bear the name of its host.",
            ..switch(|to, on| to.ssl_verify_server_cert = on)
        },
    ],
};
