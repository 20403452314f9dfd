//! The local server as a member of its cluster.

use super::finding::Finding;
use super::garbd::generation;
use crate::cluster::{NodeReport, NodeState, Survey};
use crate::model::GaleraRelease;

/// The oldest server that backups are made for.
const OLDEST: (u32, u32) = (10, 4);

fn flag(report: &NodeReport, name: &str) -> Option<bool> {
    report.variable(name).map(|value| value.eq_ignore_ascii_case("on") || value == "1")
}

/// Major and minor number.
pub(super) fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `identity` is the server's process in words.
pub(super) fn judge(report: &NodeReport, survey: &Survey, identity: &str) -> Vec<Finding> {
    let mut findings = vec![version(report, identity)];
    if flag(report, "wsrep_on") == Some(false) || report.provider_version().is_none() {
        let text = "wsrep is off: this server is no node of a cluster, and nobody can ask it for a backup";
        findings.push(Finding::error("cluster", text, "wsrep_on=ON, wsrep_provider and wsrep_cluster_address in [mysqld]; see MariaDB's manual, then restart"));
        return findings;
    }
    findings.push(provider(report));
    findings.push(state(report, survey));
    if flag(report, "wsrep_sst_donor_rejects_queries") == Some(true) {
        let text = "wsrep_sst_donor_rejects_queries is ON: while it is backed up this node refuses its clients, and \
                    new SQL connections of the donor program too: no binlog position for replicas, no waiting for the \
                    Primary component";
        findings.push(Finding::warning(
            "cluster",
            text,
            "SET GLOBAL wsrep_sst_donor_rejects_queries=OFF, and the same in [mysqld]".to_owned(),
        ));
    }
    if let Some(methods) = report.variable("wsrep_sst_allowed_methods")
        && !methods.split(',').any(|method| method.trim() == "backup")
    {
        let text = format!("wsrep_sst_allowed_methods is '{methods}': mysqld would not start the program");
        findings.push(Finding::error(
            "program",
            text,
            format!("wsrep_sst_allowed_methods={methods},backup in [mysqld], and restart"),
        ));
    }
    findings
}

/// Who has made the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ServerFamily {
    MariaDb,
    /// Percona XtraDB Cluster, which alone has `wsrep_sst_allowed_methods` and `pxc_strict_mode`.
    Percona,
    /// Galera Cluster for MySQL (mysql-wsrep), or something else.
    MySql,
}

impl ServerFamily {
    fn of(report: &NodeReport) -> Self {
        let text = ["version", "version_comment"].map(|name| report.variable(name).unwrap_or_default());
        if text.iter().any(|text| text.to_ascii_lowercase().contains("mariadb")) {
            Self::MariaDb
        } else if report
            .variable("wsrep_sst_allowed_methods")
            .or(report.variable("pxc_strict_mode"))
            .is_some()
        {
            Self::Percona
        } else {
            Self::MySql
        }
    }

    /// What is supported of a server that is none of MariaDB's; how it starts the program is in the tests of the conversation.
    fn limits(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::MariaDb => None,
            Self::Percona => Some((
                "Percona XtraDB Cluster, which starts this program in the same way where wsrep_sst_allowed_methods has 'backup'; that its InnoDB \
                 stands still after the flush is not known, and no backup of such a server has been tested",
                "take physical backups of it by Percona XtraBackup; before you rely on one of this program, restore it with --as standalone, and compare",
            )),
            Self::MySql => Some((
                "no MariaDB, but a server of MySQL's kind (Galera Cluster for MySQL), which starts this program in the same way; no backup of such a \
                 server has been tested",
                "take a backup, restore it with --as standalone, and compare, before you rely on it",
            )),
        }
    }
}

fn version(report: &NodeReport, identity: &str) -> Finding {
    let version = report.variable("version").unwrap_or("of unknown version");
    let text = format!("{version}, {identity}");
    if let Some((what, cure)) = ServerFamily::of(report).limits() {
        return Finding::warning("server", format!("{text}: {what}"), cure.to_owned());
    }
    if numbers(version).is_some_and(|numbers| numbers >= OLDEST) {
        return Finding::ok("server", text);
    }
    let text = format!("{text}: no backup of such a server has been tested");
    Finding::warning(
        "server",
        text,
        "take a backup, restore it with --as standalone, and compare, before you rely on it".to_owned(),
    )
}

fn provider(report: &NodeReport) -> Finding {
    let version = report.provider_version().unwrap_or_default();
    if generation(version) != Some(4) {
        return Finding::warning(
            "provider",
            format!("Galera {version}: backups are tested with generation 4 (26.4) only"),
            "take a backup, restore it on a spare node, and see it join, before you rely on it".to_owned(),
        );
    }
    if let Some(mended) = GaleraRelease::read(version).and_then(GaleraRelease::loses_in_ist) {
        return Finding::warning(
            "provider",
            format!(
                "Galera {version}: this release is known to lose write sets in IST, by which a restored node joins"
            ),
            format!(
                "install Galera 26.{mended} or later on every node, one by one, before a node is restored"
            ),
        );
    }
    Finding::ok("provider", format!("Galera {version}"))
}

fn state(report: &NodeReport, survey: &Survey) -> Finding {
    let (group, name) = (report.group(), report.name());
    let component = report.status("wsrep_cluster_status").unwrap_or("unknown");
    let members = report.status("wsrep_cluster_size").unwrap_or("?");
    let names: Vec<&str> = survey.arbitrators.iter().map(String::as_str).collect();
    let arbitrators =
        if names.is_empty() { String::new() } else { format!(" (arbitrator: {})", names.join(", ")) };
    if !report.is_primary() {
        let text = format!(
            "node '{name}' of '{group}' is not in the Primary component ({component}): it cannot be a donor"
        );
        return Finding::error(
            "cluster",
            text,
            "see why it is cut off: network, and SHOW STATUS LIKE 'wsrep_%' on the other members",
        );
    }
    let among = if members == "1" { "the only member".into() } else { format!("one of {members} members") };
    let text = format!("node '{name}' of '{group}', {among}{arbitrators}, is {}", report.state());
    match report.state() {
        NodeState::Synced => Finding::ok("cluster", text),
        NodeState::Donor => {
            let cure = match report.desync_count() {
                0 | 1 => {
                    "wait until its transfer is over; if none runs: SET GLOBAL wsrep_desync=OFF".to_owned()
                }
                count => format!("it was desynced {count} times: SET GLOBAL wsrep_desync=OFF as often"),
            };
            Finding::warning("cluster", format!("{text}: garbd waits until it is Synced"), cure)
        }
        _ => Finding::warning(
            "cluster",
            format!("{text}: only a Synced node can be a donor"),
            "wait until it is Synced".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::sql::Endpoint;

    #[test]
    fn of_percona_it_is_told_what_is_not_known_and_which_methods_it_allows() {
        let of = |methods: &str| {
            let variables = [
                ("version", "8.0.42-33.1"),
                ("version_comment", "Percona XtraDB Cluster (GPL), Release rel33, WSREP version 26.1.4.3"),
                ("pxc_strict_mode", "ENFORCING"),
                ("wsrep_on", "ON"),
                ("wsrep_sst_allowed_methods", methods),
            ];
            let status = [
                ("wsrep_provider_version", "4.22(r1)"),
                ("wsrep_cluster_status", "Primary"),
                ("wsrep_local_state", "4"),
            ];
            let report = NodeReport::of(Endpoint::Socket("/s".into()), &variables, &status);
            judge(&report, &Survey::default(), "pid 7")
        };
        // The defaults of 8.0.41 and 8.4.4 and later; those of before had no 'clone'.
        let findings = of("xtrabackup-v2,clone");
        assert!(
            findings[0].text.contains("Percona XtraDB Cluster") && findings[0].level == Level::Warning,
            "{findings:?}"
        );
        assert!(findings[0].text.contains("stands still after the flush is not known"), "{findings:?}");
        let program = findings.iter().find(|finding| finding.topic == "program").unwrap();
        assert!(program.cure.as_deref().unwrap().contains("xtrabackup-v2,clone,backup"), "{program:?}");
        assert!(!of("xtrabackup-v2,clone,backup").iter().any(|finding| finding.topic == "program"));
    }

    #[test]
    fn the_state_of_the_node_decides() {
        let healthy = [
            ("wsrep_provider_version", "26.4.23(r1234)"),
            ("wsrep_cluster_status", "Primary"),
            ("wsrep_local_state", "4"),
            ("wsrep_cluster_size", "3"),
        ];
        let variables = [
            ("version", "10.11.19-MariaDB-log"),
            ("wsrep_on", "ON"),
            ("wsrep_node_name", "n1"),
            ("wsrep_cluster_name", "c"),
        ];
        for (changed, wanted, text) in [
            (("", ""), None, ""),
            (("version", "10.3.39-MariaDB"), Some(("server", Level::Warning)), "10.3.39"),
            (("version", "8.0.36-26.18"), Some(("server", Level::Warning)), "Galera Cluster for MySQL"),
            (("version", "5.7.44-log"), Some(("server", Level::Warning)), "Galera Cluster for MySQL"),
            (
                ("wsrep_provider_version", "26.4.25(r1)"),
                Some(("provider", Level::Warning)),
                "lose write sets in IST",
            ),
            (
                ("wsrep_provider_version", "26.4.26(r1)"),
                Some(("provider", Level::Warning)),
                "lose write sets in IST",
            ),
            (
                ("wsrep_provider_version", "4.25(rXXXX)"),
                Some(("provider", Level::Warning)),
                "lose write sets in IST",
            ),
            (("wsrep_provider_version", "4.23(rXXXX)"), None, ""),
            (("wsrep_provider_version", "26.4.27(r1)"), None, ""),
            (("wsrep_on", "OFF"), Some(("cluster", Level::Error)), "wsrep is off"),
            (("wsrep_provider_version", ""), Some(("cluster", Level::Error)), "wsrep is off"),
            (("wsrep_provider_version", "25.3.37(r3)"), Some(("provider", Level::Warning)), "25.3.37"),
            (("wsrep_cluster_status", "non-Primary"), Some(("cluster", Level::Error)), "not in the Primary"),
            (
                ("wsrep_local_state", "2"),
                Some(("cluster", Level::Warning)),
                "one of 3 members, is Donor/Desynced",
            ),
            (("wsrep_local_state", "1"), Some(("cluster", Level::Warning)), "Joining"),
            (
                ("wsrep_sst_donor_rejects_queries", "ON"),
                Some(("cluster", Level::Warning)),
                "refuses its clients",
            ),
            (
                ("wsrep_sst_allowed_methods", "rsync,xtrabackup-v2"),
                Some(("program", Level::Error)),
                "would not start",
            ),
            (("wsrep_sst_allowed_methods", "rsync, backup"), None, ""),
        ] {
            let all: Vec<(&str, &str)> = [&healthy[..], &variables[..], &[changed]].concat();
            let report = NodeReport::of(Endpoint::Socket("/s".into()), &all, &all);
            let findings = judge(&report, &Survey::default(), "pid 7");
            let bad: Vec<&Finding> = findings.iter().filter(|f| f.level != Level::Ok).collect();
            assert_eq!(bad.first().map(|f| (f.topic, f.level)), wanted, "{changed:?}: {findings:?}");
            assert!(
                bad.len() <= 1 && bad.iter().all(|f| f.text.contains(text) && f.cure.is_some()),
                "{bad:?}"
            );
        }
    }
}
