//! Several histories in the folder of one cluster.
//!
//! A history is what a state UUID names: the write sets of one group since its first bootstrap, counted by seqno. A node of
//! another history has nothing in common with it, whatever the cluster is called. Two of them come into one folder when two
//! clusters have the same `wsrep_cluster_name`, or when a cluster was lost and bootstrapped anew.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Known, Record};
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
        let manifests = records.filter_map(|record| record.manifest.as_ref().ok());
        Self::of(manifests.map(|manifest| (&manifest.id, manifest.frozen_at, &manifest.gtid)))
    }

    /// The same of what is known.
    pub fn of_known<'a>(known: impl Iterator<Item = &'a Known>) -> Vec<Self> {
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
/// damaged. Where this one is the newest by its time, the cluster went back to an older backup, or a clock was wrong.
pub fn further<'a>(records: impl Iterator<Item = &'a Record>, than: &Manifest) -> Option<&'a Manifest> {
    let whole = records.filter(|record| !Known::of(record).flaw.is_some_and(|flaw| flaw.is_damage()));
    whole
        .filter_map(|record| record.manifest.as_ref().ok())
        .filter(|one| one.gtid.uuid == than.gtid.uuid && one.gtid.seqno > than.gtid.seqno)
        .max_by_key(|one| one.gtid.seqno)
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
}
