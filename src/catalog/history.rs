//! Several histories in the folder of one cluster.
//!
//! A history is what a state UUID names: the write sets of one group since its first bootstrap, counted by seqno. A node of
//! another history has nothing in common with it, whatever the cluster is called. Two of them come into one folder when two
//! clusters have the same `wsrep_cluster_name`, or when a cluster was lost and bootstrapped anew.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{BackupFacts, Record};
use crate::model::{BackupId, Manifest, WsrepGtid};

/// What there is of one history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct History {
    /// Its state UUID.
    pub uuid: String,
    /// Backups with a manifest that can be read.
    pub backups: usize,
    /// The last of them by its own time.
    pub newest: BackupId,
    /// When that was taken.
    pub taken: Timestamp,
    /// When the first of them was taken.
    pub first: Timestamp,
}

impl History {
    /// The histories of these backups, the one with the last backup first.
    pub fn of<'a>(backups: impl Iterator<Item = (&'a BackupId, Timestamp, &'a WsrepGtid)>) -> Vec<Self> {
        let mut found: BTreeMap<&str, Self> = BTreeMap::new();
        for (id, at, gtid) in backups {
            let history = found.entry(gtid.uuid.as_str()).or_insert_with(|| Self {
                uuid: gtid.uuid.clone(),
                backups: 0,
                newest: id.clone(),
                taken: at,
                first: at,
            });
            history.backups += 1;
            history.first = history.first.min(at);
            if (at, id) > (history.taken, &history.newest) {
                (history.taken, history.newest) = (at, id.clone());
            }
        }
        let mut histories: Vec<Self> = found.into_values().collect();
        histories.sort_by(|a, b| (b.taken, &b.newest).cmp(&(a.taken, &a.newest)));
        histories
    }

    /// The same of records.
    pub fn of_records<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<Self> {
        Self::of_manifests(records.filter_map(|record| record.manifest.as_ref().ok()))
    }

    /// The same of manifests.
    pub fn of_manifests<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Vec<Self> {
        let all: Vec<_> = manifests.map(|one| (&one.id, one.frozen_at, one.lineage())).collect();
        Self::of(all.iter().map(|(id, at, lineage)| (*id, *at, lineage)))
    }

    /// The same of what is known.
    pub fn of_known<'a>(known: impl Iterator<Item = &'a BackupFacts>) -> Vec<Self> {
        Self::of(known.filter_map(|one| {
            let taken = one.taken.as_ref().ok()?;
            Some((&one.id, taken.at, &taken.gtid))
        }))
    }

    /// In words: `64f8fd84-…: 12 backups, the newest 20261120T113452Z_n1, taken 2026-11-20 11:34:52 UTC`.
    pub fn words(&self) -> String {
        let count = if self.backups == 1 {
            "1 backup,".into()
        } else {
            format!("{} backups, the newest", self.backups)
        };
        let taken = self.taken.strftime("%Y-%m-%d %H:%M:%S UTC");
        format!("{}: {count} {}, taken {taken}", self.uuid, self.newest)
    }
}

/// The backup with the furthest position of the same history, if that is further than this one's; none that is known to be
/// damaged, and of the same class. Where this one is the newest by its time, the cluster went back to an older backup, or a clock was wrong.
pub fn further<'a>(records: impl Iterator<Item = &'a Record>, than: &Manifest) -> Option<&'a Manifest> {
    let whole = records.filter(|record| !BackupFacts::of(record).flaw.is_some_and(|flaw| flaw.is_damage()));
    whole
        .filter_map(|record| record.manifest.as_ref().ok())
        .filter(|one| one.class() == than.class())
        .filter(|one| one.seqno_beside(than).is_some_and(|(own, other)| own > other))
        .max_by_key(|one| one.lineage().seqno)
}

/// The last backup of the same history that was taken later than this one, at a lower position. Then the cluster went back
/// to an older backup in between, or a clock was wrong: a node from this one may have rows that the cluster has left behind.
/// No time is short enough to be let off, and a damaged backup tells it as well.
pub fn later_but_lower<'a>(
    records: impl Iterator<Item = &'a Record>,
    than: &Manifest,
) -> Option<&'a Manifest> {
    records
        .filter_map(|record| record.manifest.as_ref().ok())
        .filter(|one| one.seqno_beside(than).is_some_and(|(own, other)| own < other))
        .filter(|one| one.frozen_at > than.frozen_at)
        .max_by_key(|one| one.frozen_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_are_told_apart_by_their_uuid_and_the_last_comes_first() {
        let gtid = |uuid: &str| WsrepGtid { uuid: uuid.into(), seqno: 1, domain_id: None };
        let (a, b) = (gtid("a"), gtid("b"));
        let ids: Vec<BackupId> = ["20261118T000000Z_n1", "20261119T000000Z_n1", "20261120T000000Z_n1"]
            .iter()
            .map(|id| id.parse().unwrap())
            .collect();
        let of = |gtids: [&WsrepGtid; 3]| {
            let backups = ids.iter().zip(gtids).map(|(id, gtid)| (id, id.started().unwrap(), gtid));
            History::of(backups)
        };
        let two = of([&a, &b, &a]);
        assert_eq!(
            two.iter().map(History::words).collect::<Vec<_>>(),
            [
                "a: 2 backups, the newest 20261120T000000Z_n1, taken 2026-11-20 00:00:00 UTC",
                "b: 1 backup, 20261119T000000Z_n1, taken 2026-11-19 00:00:00 UTC",
            ]
        );
        assert_eq!(two[0].first, ids[0].started().unwrap());
        assert_eq!(of([&a, &a, &b])[0].uuid, "b");
        assert_eq!(of([&a; 3]).len(), 1);
        assert_eq!(History::of(std::iter::empty()), []);
    }

    #[test]
    fn a_later_backup_at_a_lower_position_tells_that_the_cluster_went_back() {
        let record = |id: &str, uuid: &str, seqno: i64| {
            let id: BackupId = id.parse().unwrap();
            let at = id.started().unwrap();
            let manifest = serde_json::from_value(serde_json::json!({
                "format": 1, "id": id, "cluster": "c", "node": "n1", "method": "freeze", "started": at,
                "frozen_at": at, "finished": at, "flush_ms": 1, "frozen_ms": 2,
                "gtid": {"uuid": uuid, "seqno": seqno, "domain_id": 0},
                "mariadb_gtid": {}, "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
                "archive": {"name": "backup.tar", "bytes": 1, "sha256": "", "compression": "none"},
                "index": {"name": "index.json.zst", "bytes": 1, "sha256": ""},
                "damaged_pages": 0, "tool": {"version": "0"}
            }));
            let evidence = crate::catalog::Evidence::default();
            Record { cluster: "c".into(), id, manifest: Ok(manifest.unwrap()), evidence }
        };
        let all = [
            record("20261117T000000Z_n1", "a", 50),
            record("20261118T000000Z_n1", "a", 91),
            record("20261118T000100Z_n2", "a", 11),
            record("20261119T000000Z_n1", "a", 95),
            record("20261120T000000Z_n1", "b", 1),
        ];
        let later = |place: usize| {
            let manifest = all[place].manifest.as_ref().unwrap();
            later_but_lower(all.iter(), manifest).map(|later| later.lineage().seqno)
        };
        assert_eq!([0, 1, 2, 3, 4].map(later), [Some(11), Some(11), None, None, None]);
    }

    #[test]
    fn a_server_that_is_no_node_has_a_history_by_itself_and_a_format_that_says_so() {
        let document = |format: u32, id: &str, node: &str, gtid: Option<i64>| {
            let at = id.parse::<BackupId>().unwrap().started().unwrap();
            let mut document = serde_json::json!({
                "format": format, "id": id, "cluster": "c", "node": node, "method": "mariadb-backup", "started": at,
                "frozen_at": at, "finished": at, "flush_ms": 0, "frozen_ms": 0,
                "mariadb_gtid": {"binlog_pos": "", "slave_pos": "0-1-7"}, "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
                "archive": {"name": "backup.tar", "bytes": 1, "sha256": "", "compression": "none"},
                "index": {"name": "index.json.zst", "bytes": 1, "sha256": ""},
                "damaged_pages": 0, "tool": {"version": "0"}
            });
            if let Some(seqno) = gtid {
                document["gtid"] = serde_json::json!({"uuid": "a", "seqno": seqno, "domain_id": null});
            }
            Manifest::parse(&serde_json::to_vec(&document).unwrap())
        };
        let why = document(1, "20261117T000000Z_n1", "n1", None).unwrap_err().to_string();
        assert!(why.contains("missing field `gtid`"), "{why}");
        let all = [
            document(1, "20261117T000000Z_n1", "n1", Some(50)).unwrap(),
            document(2, "20261118T000000Z_n1", "n1", None).unwrap(),
            document(2, "20261119T000000Z_n2", "n2", None).unwrap(),
            document(2, "20261120T000000Z_n1", "n1", None).unwrap(),
        ];
        let told: Vec<(String, usize)> =
            History::of_manifests(all.iter()).into_iter().map(|one| (one.uuid, one.backups)).collect();
        assert_eq!(told, [("server n1 at /d".into(), 2), ("server n2 at /d".into(), 1), ("a".into(), 1)]);
        assert_eq!((all[0].position(), all[1].position()), ("a:50".into(), "0-1-7".into()));
        // Only time tells which one is further.
        assert_eq!(all[3].seqno_beside(&all[1]), Some((0, 0)));
        assert_eq!(all[3].seqno_beside(&all[2]), None);
        assert_eq!(all[3].seqno_beside(&all[0]), None);
    }
}
