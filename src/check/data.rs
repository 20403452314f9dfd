//! Data that no backup has: tables of engines that are not frozen or not here, and the keys of encrypted ones.

use std::path::Path;

use super::finding::Finding;
use crate::members::MemberReport;

const TOPIC: &str = "data";
/// Engines that keep their data elsewhere, and MyRocks.
pub(super) const ENGINES: [&str; 6] = ["S3", "SPIDER", "CONNECT", "COLUMNSTORE", "FEDERATED", "ROCKSDB"];

/// What is to be told. `plugins` are pairs of type and name, where they are known; `rocksdb` is MyRocks' folder.
pub(super) fn judge(
    report: &MemberReport,
    plugins: Option<&[(String, String)]>,
    rocksdb: Option<&Path>,
    allow_rocksdb: bool,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(folder) = rocksdb {
        findings.push(myrocks(folder, allow_rocksdb));
    }
    let Some(plugins) = plugins else {
        let text =
            "whether engines keep data elsewhere, and whether data is encrypted, is not known without SQL";
        findings.push(Finding::warning(TOPIC, text, "see SQL above".to_owned()));
        return findings;
    };
    let engines: Vec<&str> = plugins
        .iter()
        .filter(|(kind, name)| kind == "STORAGE ENGINE" && !name.eq_ignore_ascii_case("rocksdb"))
        .map(|(_, name)| name.as_str())
        .collect();
    if !engines.is_empty() {
        let text = format!(
            "active engines that keep data elsewhere: {}; that data is not in a backup",
            engines.join(", ")
        );
        let cure = "back it up where it is: SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES \
                    names the tables";
        findings.push(Finding::warning(TOPIC, text, cure.to_owned()));
    }
    let keys: Vec<&str> =
        plugins.iter().filter(|(kind, _)| kind == "ENCRYPTION").map(|(_, name)| name.as_str()).collect();
    let is_on = |name| report.variable(name).is_some_and(|value| !value.eq_ignore_ascii_case("off"));
    if !keys.is_empty() {
        let text = format!(
            "encryption plugin {}: its keys are not in a backup, and a restore needs them",
            keys.join(", ")
        );
        findings.push(Finding::warning(
            TOPIC,
            text,
            "keep a copy of the keys in another safe place".to_owned(),
        ));
    } else if is_on("innodb_encrypt_tables") || is_on("innodb_encrypt_log") {
        let text =
            "InnoDB encrypts tables or its log: the keys are not in a backup, and a restore needs them";
        findings.push(Finding::warning(
            TOPIC,
            text,
            "keep a copy of the keys in another safe place".to_owned(),
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            TOPIC,
            "nothing is left out: no MyRocks, no engine with data elsewhere, no encryption keys",
        ));
    }
    findings
}

fn myrocks(folder: &Path, allowed: bool) -> Finding {
    let folder = folder.display();
    if allowed {
        let text = format!("{folder} is left out of backups (allow-rocksdb)");
        return Finding::warning(TOPIC, text, "back its tables up with mariadb-backup".to_owned());
    }
    Finding::error(
        TOPIC,
        format!("{folder} holds MyRocks tables, which a state transfer does not freeze: the donor refuses"),
        "allow-rocksdb in [wsrep_sst_backup] to leave them out knowingly; back them up with mariadb-backup",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::sql::Endpoint;

    #[test]
    fn what_a_backup_lacks_is_told() {
        let pair = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
        let rocks = Some(Path::new("/d/#rocksdb"));
        for (variable, plugins, rocksdb, allow, wanted) in [
            ("OFF", vec![], None, false, vec![(Level::Ok, "nothing is left out")]),
            (
                "OFF",
                vec![pair("STORAGE ENGINE", "ROCKSDB")],
                None,
                false,
                vec![(Level::Ok, "nothing is left out")],
            ),
            ("OFF", vec![], rocks, false, vec![(Level::Error, "/d/#rocksdb holds")]),
            ("OFF", vec![], rocks, true, vec![(Level::Warning, "left out")]),
            ("ON", vec![], None, false, vec![(Level::Warning, "InnoDB encrypts")]),
            (
                "ON",
                vec![pair("ENCRYPTION", "file_key_management"), pair("STORAGE ENGINE", "SPIDER")],
                None,
                false,
                vec![(Level::Warning, "SPIDER"), (Level::Warning, "file_key_management")],
            ),
        ] {
            let report =
                MemberReport::of(Endpoint::Socket("/s".into()), &[("innodb_encrypt_tables", variable)], &[]);
            let findings = judge(&report, Some(&plugins), rocksdb, allow);
            assert_eq!(findings.len(), wanted.len(), "{findings:?}");
            assert_eq!(judge(&report, None, None, false)[0].level, Level::Warning);
            for (finding, (level, text)) in findings.iter().zip(wanted) {
                assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
            }
        }
    }
}
