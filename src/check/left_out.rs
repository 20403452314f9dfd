//! What a backup of this node leaves out by design, and where a restored node looks for files that are not in its data directory.

use std::path::Path;

use super::finding::Finding;
use crate::capture::is_same_directory;
use crate::cluster::NodeReport;
use crate::model::Connection;

const REPLICATION: &str = "replication";

/// The masters of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Masters {
    /// The server has told.
    Told(Vec<Connection>),
    /// It has not; whether there are files of a replica in the data directory.
    Untold { why: String, has_files: bool },
}

/// The finding on replication; none for a node without masters.
pub(super) fn judge_replication(masters: &Masters, user: &str) -> Option<Finding> {
    match masters {
        Masters::Told(masters) if masters.is_empty() => None,
        Masters::Told(masters) => {
            let words: Vec<String> = masters.iter().map(Connection::words).collect();
            let text = format!(
                "this node replicates from other servers: {}. No backup has its connections and relay logs: a restored \
                 server replicates from nobody",
                words.join("; ")
            );
            let cure = "keep the passwords; 'show' and 'restore' tell masters and positions of a backup, to set it up again";
            Some(Finding::warning(REPLICATION, text, cure.to_owned()))
        }
        Masters::Untold { has_files: false, .. } => None,
        Masters::Untold { why, .. } => {
            let text = format!(
                "this node has files of a replica, and does not tell '{user}' its masters ({why}). No backup has its \
                 connections and relay logs; the positions in the manifest are those of the files, which may be behind"
            );
            Some(Finding::warning(
                REPLICATION,
                text,
                format!("GRANT REPLICA MONITOR ON *.* TO '{user}'@localhost"),
            ))
        }
    }
}

/// What is to be told of files that lie in, or outside of, the data directory against expectation.
pub(super) fn judge_places(report: &NodeReport, datadir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(home) = report.variable("wsrep_data_home_dir").map(|home| datadir.join(home))
        && !home.components().eq(datadir.components())
        && !is_same_directory(&home, datadir)
    {
        let text = format!(
            "wsrep_data_home_dir is '{}': a restored node looks for grastate.dat there, and takes a full SST when it does \
             not find its position",
            home.display()
        );
        let cure = "restore on the node itself, or with --defaults-file: where the option files name the restored data \
                    directory, restore writes grastate.dat there too; else move it there";
        findings.push(Finding::warning("restore", text, cure.to_owned()));
    }
    let key = report.variable("file_key_management_filename").map(|key| datadir.join(key));
    if let Some(key) = key.filter(|key| {
        key.parent().is_some_and(|parent| parent.ancestors().any(|above| is_same_directory(above, datadir)))
    }) {
        let text =
            format!("'{}' is left out of backups, although it lies in the data directory", key.display());
        let cure = "keep a copy of the keys in another safe place, and put it back before a restored server is started";
        findings.push(Finding::warning("data", text, cure.to_owned()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Endpoint;

    #[test]
    fn masters_are_named_and_a_node_without_any_needs_no_word() {
        let of = |masters: Masters| judge_replication(&masters, "mysql");
        let untold = |has_files| Masters::Untold { why: "error 1227".into(), has_files };
        assert_eq!(of(Masters::Told(Vec::new())), None);
        assert_eq!(of(untold(false)), None);
        let master =
            Connection { name: "src1".into(), host: "h".into(), user: "r".into(), ..Connection::default() };
        let text = of(Masters::Told(vec![master])).unwrap().text;
        assert!(text.contains("from other servers: 'src1' from r@h, no position yet."), "{text}");
        let finding = of(untold(true)).unwrap();
        assert!(finding.text.contains("error 1227") && finding.cure.unwrap().contains("REPLICA MONITOR"));
    }

    #[test]
    fn files_out_of_place_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        std::fs::create_dir_all(at("data/keys")).unwrap();
        std::os::unix::fs::symlink(at("data"), at("link")).unwrap();
        let of = |home: &str, key: &str| {
            let pairs = [("wsrep_data_home_dir", at(home)), ("file_key_management_filename", at(key))];
            let pairs: Vec<(&str, &str)> =
                pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let report = NodeReport::of(Endpoint::Socket("/s".into()), &pairs, &[]);
            judge_places(&report, Path::new(&at("data")))
        };
        assert_eq!(of("link/", "keys.enc"), []);
        let found = of("wsrep", "link/keys/k.enc");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].text.contains("looks for grastate.dat there") && found[1].text.contains("left out"));
    }
}
