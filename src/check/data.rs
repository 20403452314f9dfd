//! Data that no backup has: tables of engines that are not frozen or not here, and the keys of encrypted ones.

use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::capture::{EngineData, Engines};
use crate::cluster::NodeReport;

const TOPIC: &str = "data";

/// The engines and the encryption of the server.
#[derive(Debug, Clone, Default)]
pub(super) struct DataFacts {
    /// Names of the plugins that encrypt, where they are known.
    pub(super) encryption: Option<Vec<String>>,
    /// Names of the engines, where they are known.
    pub(super) engines: Option<Vec<String>>,
    /// Directories of engines that are not frozen, and whose.
    pub(super) unfrozen: Vec<(PathBuf, String)>,
}

/// The findings on engines and encryption.
pub(super) fn judge(report: &NodeReport, asked: &DataFacts, allow_unfrozen: bool) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        asked.unfrozen.iter().map(|(folder, engine)| unfrozen(folder, engine, allow_unfrozen)).collect();
    let (Some(encryption), Some(names)) = (&asked.encryption, &asked.engines) else {
        let text =
            "whether engines keep data elsewhere, and whether data is encrypted, is not known without SQL";
        findings.push(Finding::warning(TOPIC, text, "see SQL above".to_owned()));
        return findings;
    };
    let engines = Engines { names: Some(names.clone()), unfrozen: Vec::new() };
    for (engine, _) in engines.not_frozen() {
        if !asked.unfrozen.iter().any(|(_, of)| of == engine) {
            findings.push(unfrozen(Path::new("the data directory"), engine, allow_unfrozen));
        }
    }
    let of = |wanted: EngineData| -> Vec<&str> {
        names.iter().map(String::as_str).filter(|name| EngineData::of(name) == wanted).collect()
    };
    let tables = "SELECT TABLE_SCHEMA, TABLE_NAME, ENGINE FROM information_schema.TABLES names the tables";
    let elsewhere = of(EngineData::Elsewhere);
    if !elsewhere.is_empty() {
        let text = format!(
            "active engines that keep data elsewhere: {}; that data is not in a backup",
            elsewhere.join(", ")
        );
        findings.push(Finding::warning(TOPIC, text, format!("back it up where it is: {tables}")));
    }
    let unknown = of(EngineData::Unknown);
    if !unknown.is_empty() {
        let text = format!(
            "active engines that this program does not know: {}; whether their files stand still under the freeze, and \
             are all here, is not known",
            unknown.join(", ")
        );
        findings.push(Finding::warning(TOPIC, text, format!("see whether they are in use: {tables}")));
    }
    let is_on = |name| report.variable(name).is_some_and(|value| !value.eq_ignore_ascii_case("off"));
    if !encryption.is_empty() {
        let text = format!(
            "encryption plugin {}: its keys are not in a backup, and a restore needs them",
            encryption.join(", ")
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
            "nothing is left out: no engine that is not frozen or has data elsewhere, no encryption keys",
        ));
    }
    findings
}

fn unfrozen(folder: &Path, engine: &str, allowed: bool) -> Finding {
    let folder = folder.display();
    if allowed {
        let by_program = if engine == "MyRocks" { "; mariadb-backup copies them" } else { "" };
        let text = format!("{folder}: {engine} tables are left out of backups (allow-rocksdb){by_program}");
        return Finding::warning(
            TOPIC,
            text,
            "back its tables up apart, for example by mariadb-dump".to_owned(),
        );
    }
    Finding::error(
        TOPIC,
        format!(
            "{folder} holds {engine} tables, which a state transfer does not freeze: the donor refuses, and so does 'run'"
        ),
        "allow-rocksdb in [wsrep_sst_backup] to leave them out knowingly; back them up apart",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::sql::Endpoint;

    #[test]
    fn what_a_backup_lacks_is_told() {
        let rocks = Some(("/d/#rocksdb", "MyRocks"));
        for (variable, encryption, engines, folder, allow, wanted) in [
            ("OFF", None, "InnoDB", None, false, vec![(Level::Ok, "nothing is left out")]),
            ("OFF", None, "ROCKSDB", None, false, vec![(Level::Error, "MyRocks tables")]),
            ("OFF", None, "ROCKSDB", rocks, false, vec![(Level::Error, "/d/#rocksdb holds")]),
            ("OFF", None, "InnoDB", rocks, true, vec![(Level::Warning, "left out")]),
            ("OFF", None, "TokuDB", None, true, vec![(Level::Warning, "TokuDB tables are left out")]),
            (
                "OFF",
                None,
                "Columnstore",
                None,
                false,
                vec![(Level::Warning, "Columnstore; that data is not")],
            ),
            ("OFF", None, "Quantum", None, false, vec![(Level::Warning, "does not know: Quantum")]),
            ("ON", None, "InnoDB", None, false, vec![(Level::Warning, "InnoDB encrypts")]),
            (
                "ON",
                Some("file_key_management"),
                "SPIDER",
                None,
                false,
                vec![(Level::Warning, "SPIDER"), (Level::Warning, "file_key_management")],
            ),
        ] {
            let report =
                NodeReport::of(Endpoint::Socket("/s".into()), &[("innodb_encrypt_tables", variable)], &[]);
            let asked = DataFacts {
                encryption: Some(encryption.into_iter().map(str::to_owned).collect()),
                engines: Some(vec!["Aria".into(), engines.into()]),
                unfrozen: folder.into_iter().map(|(path, of)| (path.into(), of.into())).collect(),
            };
            let findings = judge(&report, &asked, allow);
            assert_eq!(findings.len(), wanted.len(), "{findings:?}");
            assert_eq!(judge(&report, &DataFacts::default(), false)[0].level, Level::Warning);
            for (finding, (level, text)) in findings.iter().zip(wanted) {
                assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
            }
        }
    }
}
