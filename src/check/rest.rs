//! Whether the server stands still by the time it says so.

use super::finding::Finding;
use crate::capture::Stillness;
use crate::cluster::NodeReport;

const TOPIC: &str = "freeze";

/// The finding; none of a server that does, or of another family, of which the finding `server` tells.
pub(super) fn judge(report: &NodeReport) -> Option<Finding> {
    let version = report.variable("version").filter(|version| version.contains("MariaDB"))?;
    let guard =
        "a backup begins when two looks at its files agree, and is given up where one is written to later";
    match Stillness::of(Some(version)) {
        Stillness::InTime => None,
        Stillness::Doubtful => Some(Finding::ok(
            TOPIC,
            format!("{version} may say that it stands still before InnoDB does (MDEV-32115; not before 10.11.18 is that certain): {guard}"),
        )),
        Stillness::Early => Some(Finding::warning(
            TOPIC,
            format!("{version} says that it stands still before InnoDB does (MDEV-32115): {guard}"),
            "where backups are given up for that, take them when less is written, or by method=mariadb-backup; MariaDB 10.11.18 or later stands still in time"
                .to_owned(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::sql::Endpoint;

    #[test]
    fn a_server_that_says_it_too_early_is_told_of() {
        for (version, wanted) in [
            ("10.5.23-MariaDB-log", Some(Level::Warning)),
            ("10.11.6-MariaDB", Some(Level::Ok)),
            ("10.11.19-MariaDB", None),
            ("8.0.36-26.18", None),
        ] {
            let report = NodeReport::of(Endpoint::Socket("/s".into()), &[("version", version)], &[]);
            let finding = judge(&report);
            assert_eq!(finding.as_ref().map(|finding| finding.level), wanted, "{finding:?}");
        }
    }
}
