//! Where backups are kept.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, set, text};
use super::flag_help::{EVERY_COMMAND, FlagHelp, flag_help};
use crate::config::values::repository::{DEFAULT, RepositoryUrl};
use crate::config::values::string;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Repository",
    text: "",
    settings: &[
        SettingSpec {
            name: "repository",
            value: "DIRECTORY | s3://BUCKET/PREFIX",
            unset: Unset::Is(DEFAULT),
            meaning: "Where backups are kept. A directory must be writable for the server's user and lie outside of /home, /usr and \
                      /etc, which the server's systemd sandbox protects. Its path is absolute; with --repository a relative one counts \
                      from the working directory.",
            note: "Where backups go: a directory that the server's user can write to, or s3://bucket/prefix. The directory lies \
                   outside /home, /usr and /etc, which the server's systemd sandbox protects.",
            flags: &[FlagHelp {
                value: Some("DIR"),
                ..flag_help(
                    &[EVERY_COMMAND],
                    "Directory that holds the backups [default: /var/backups/wsrep_sst_backup]",
                )
            }],
            ..text(|to, text| set(&mut to.repository, text.parse::<RepositoryUrl>()))
        },
        SettingSpec {
            name: "cluster",
            value: "NAME",
            unset: Unset::Described("the server's wsrep_cluster_name"),
            meaning: "The folder in the repository; for commands: which cluster is meant.",
            note: "The folder in the repository. Without it: the server's wsrep_cluster_name.",
            example: Example::Value("my_cluster"),
            flags: &[flag_help(&[EVERY_COMMAND], "Backups of this cluster only (wsrep_cluster_name)")],
            ..text(|to, text| set(&mut to.cluster, string(text)))
        },
    ],
};
