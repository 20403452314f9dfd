//! Classes of backups that count apart: a dump is no newer version of a physical backup, nor a dump of one database one of a whole server.

use std::collections::BTreeSet;

use super::Record;
use crate::model::BackupClass;

/// Backups of which classes are meant by who asks for the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WantedClass {
    /// [`usual_class`].
    #[default]
    Usual,
    /// Dumps: of everything where there is one, else of the only part of which there are some.
    Dump,
}

/// The class of which the newest backup is meant where nothing else is said: physical where there is one, else whole dumps.
pub fn usual_class(records: &[Record]) -> BackupClass {
    let has = |class: &BackupClass| {
        records.iter().any(|record| record.manifest.as_ref().is_ok_and(|found| found.class() == *class))
    };
    if !has(&BackupClass::Physical) && has(&BackupClass::Sql) {
        BackupClass::Sql
    } else {
        BackupClass::Physical
    }
}

impl WantedClass {
    /// The class that is meant among these; the error names those of which none is the one.
    pub(super) fn among(self, records: &[Record]) -> Result<BackupClass, String> {
        let classes: BTreeSet<BackupClass> =
            records.iter().filter_map(|record| Some(record.manifest.as_ref().ok()?.class())).collect();
        let usual = usual_class(records);
        let whole = match self {
            Self::Usual => usual,
            Self::Dump => BackupClass::Sql,
        };
        if classes.contains(&whole) {
            return Ok(whole);
        }
        let parts: Vec<&BackupClass> =
            classes.iter().filter(|class| matches!(class, BackupClass::PartialSql(_))).collect();
        match parts.as_slice() {
            // What cannot be read may be anything.
            [] => Ok(whole),
            [only] => Ok((*only).clone()),
            several => {
                let words: Vec<String> = several.iter().map(|class| class.words()).collect();
                Err(format!("there are dumps of several parts only ({}): name an ID", words.join("; ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Evidence;
    use crate::model::{Dump, Manifest};

    const MANIFEST: &str = r#"{"format": 1, "id": "20261120T113452Z_n1", "cluster": "c", "node": "n1", "method": "freeze",
        "started": "2026-11-20T11:34:52Z", "frozen_at": "2026-11-20T11:34:52Z", "finished": "2026-11-20T11:34:52Z", "flush_ms": 1,
        "frozen_ms": 2, "gtid": {"uuid": "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f", "seqno": 7}, "mariadb_gtid": {},
        "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1, "archive": {"name": "backup.tar", "bytes": 1, "sha256": "",
        "compression": "none"}, "index": {"name": "index.json.zst", "bytes": 1, "sha256": ""}, "damaged_pages": 0,
        "tool": {"version": "0"}}"#;

    fn records(parts: &[Option<&str>]) -> Vec<Record> {
        let of = |part: Option<&str>| {
            let mut manifest: Manifest = serde_json::from_str(MANIFEST).unwrap();
            manifest.dump =
                part.map(|part| Dump { whole: part.is_empty(), filter: part.into(), ..Dump::default() });
            Record {
                cluster: "c".into(),
                id: manifest.id.clone(),
                manifest: Ok(manifest),
                evidence: Evidence::default(),
            }
        };
        parts.iter().copied().map(of).collect()
    }

    #[test]
    fn a_dump_is_the_newest_only_where_dumps_are_meant_or_nothing_else_is_there() {
        let part = |name: &str| BackupClass::PartialSql(name.into());
        for (there, usual, dump) in [
            (&[None, Some(""), Some("a")][..], Ok(BackupClass::Physical), Ok(BackupClass::Sql)),
            (&[Some(""), Some("a")], Ok(BackupClass::Sql), Ok(BackupClass::Sql)),
            (&[None, Some("a")], Ok(BackupClass::Physical), Ok(part("a"))),
            (&[Some("a"), Some("a")], Ok(part("a")), Ok(part("a"))),
            (&[Some("a"), Some("b")], Err(()), Err(())),
            (&[], Ok(BackupClass::Physical), Ok(BackupClass::Sql)),
        ] {
            let records = records(there);
            assert_eq!(WantedClass::Usual.among(&records).map_err(drop), usual, "{there:?}");
            assert_eq!(WantedClass::Dump.among(&records).map_err(drop), dump, "{there:?}");
        }
    }
}
