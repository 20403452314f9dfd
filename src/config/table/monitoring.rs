//! What a monitoring system reads.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, set, text};
use crate::config::values::absolute_path;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Monitoring",
    text: "",
    settings: &[SettingSpec {
        name: "metrics-file",
        value: "FILE",
        unset: Unset::Described("none"),
        meaning: "A Prometheus text file of this node for the textfile collector of node_exporter, written anew after each backup and \
                  by prune, verify and check.",
        note: "A file for node_exporter's textfile collector: the newest backup, the backups kept, the last verification, the last \
               run on this node. Its folder must be writable for the server's user.",
        example: Example::Value("/var/lib/prometheus/node-exporter/wsrep_sst_backup.prom"),
        ..text(|to, text| set(&mut to.metrics_file, absolute_path(text)))
    }],
};
