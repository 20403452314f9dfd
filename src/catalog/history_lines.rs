//! Lines of one history that have parted, in the folder of one cluster.
//!
//! A cluster that goes back to an older backup leaves a part of its history behind: what was taken of that at a higher position than a later
//! backup has. A node from there may join with rows that the cluster has not.
//!
//! Two clusters that were made of one backup, in one folder under one name, are two lines that both go on.
//! Both have the state UUID, so nothing but the positions tells them apart: they go back and forward in turn. A cluster that
//! went back does not look like that: it goes on from where it went back to, in the steps in which it always went.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::{BackupFacts, Catalog, DataMoment, TOLERANCE};
use crate::model::BackupId;

/// Backups that are told in words by their names.
const MOST: usize = 5;

/// What has parted within one history of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lines {
    /// The folder of the cluster.
    pub cluster_folder: String,
    /// The state UUID.
    pub history: String,
    /// Backups of which nobody can tell of which of two clusters they are, oldest first; none where there is one.
    pub two_lines: Vec<BackupId>,
    /// Backups of what the cluster has left behind when it went back to an older backup, oldest first.
    pub left_behind: Vec<BackupId>,
}

impl Lines {
    /// In words: what there is, and what to do.
    pub fn words(&self) -> (String, &'static str) {
        let Self { cluster_folder, history, two_lines, left_behind } = self;
        if !two_lines.is_empty() {
            let text = format!(
                "two clusters that were made of one backup seem to store into the folder of cluster '{cluster_folder}': positions of the \
                 history {history} go back and forward in turn ({})",
                names(two_lines)
            );
            let cure = "give each cluster a wsrep_cluster_name or a repository of its own; until then name the ID of a backup in place of \
                        'latest', and nothing of these is pruned";
            return (text, cure);
        }
        let text = format!(
            "cluster '{cluster_folder}' (history {history}) went back to an older backup, and what was taken of the part that it has left \
             behind is still there ({})",
            names(left_behind)
        );
        (
            text,
            "restore no node of the cluster from these: it may join with rows that the cluster has left behind",
        )
    }
}

fn names(ids: &[BackupId]) -> String {
    let last: Vec<&str> = ids[ids.len().saturating_sub(MOST)..].iter().map(BackupId::as_str).collect();
    match ids.len() {
        count if count > MOST => format!("{count} backups, the last ones: {}", last.join(", ")),
        _ => last.join(", "),
    }
}

impl Catalog {
    /// Where histories have parted, cluster by cluster. Backups that something speaks against tell nothing.
    pub fn lines(&self, now: Timestamp) -> Vec<Lines> {
        let doubts = self.doubts(now);
        let mut histories: BTreeMap<(&str, String), Vec<(BackupId, DataMoment)>> = BTreeMap::new();
        for (record, _) in self.records.iter().zip(doubts).filter(|(_, doubt)| doubt.is_none()) {
            if let BackupFacts { id, taken: Ok(taken), .. } = BackupFacts::of(record) {
                let history = (record.cluster.as_str(), taken.gtid.uuid.clone());
                histories.entry(history).or_default().push((id, taken));
            }
        }
        let of_one = |((cluster, history), mut sound): ((&str, String), Vec<(BackupId, DataMoment)>)| {
            sound.sort_by(|(a, at), (b, bt)| (at.at, a).cmp(&(bt.at, b)));
            let placed: Vec<(usize, &DataMoment)> =
                sound.iter().map(|(_, taken)| taken).enumerate().collect();
            let ids =
                |places: BTreeSet<usize>| places.into_iter().map(|place| sound[place].0.clone()).collect();
            let lines = Lines {
                cluster_folder: cluster.to_owned(),
                history,
                two_lines: ids(two_lines(&placed)),
                left_behind: ids(left_behind(&placed)),
            };
            (!lines.left_behind.is_empty()).then_some(lines)
        };
        histories.into_iter().filter_map(of_one).collect()
    }
}

/// Those that a later backup, taken when the clocks of nodes do not matter, has a lower position than.
fn left_behind(sound: &[(usize, &DataMoment)]) -> BTreeSet<usize> {
    let is_passed = |nth: usize| {
        let (_, one) = sound[nth];
        sound[nth + 1..].iter().any(|(_, later)| {
            later.gtid.seqno < one.gtid.seqno && later.at.duration_since(one.at) > TOLERANCE
        })
    };
    (0..sound.len()).filter(|nth| is_passed(*nth)).map(|nth| sound[nth].0).collect()
}

/// The places of backups of which a rule that goes by time cannot tell which line they are of. They are of one history, in
/// no doubt, oldest first.
///
/// Two lines are seen where a step back is made good by one step forward, beyond what was there before it. Who has gone
/// back to the last backup but one is let off: it begins above all that was there before the last one.
pub fn two_lines(sound: &[(usize, &DataMoment)]) -> BTreeSet<usize> {
    let seqno = |nth: usize| sound[nth].1.gtid.seqno;
    let mut involved = BTreeSet::new();
    for low in 1..sound.len() {
        let high = low - 1;
        let is_apart = sound[low].1.at.duration_since(sound[high].1.at) > TOLERANCE;
        let before = (0..high).map(seqno).max();
        if !is_apart || seqno(low) >= seqno(high) || before.is_some_and(|before| seqno(low) >= before) {
            continue;
        }
        let Some(beyond) = (low + 1..sound.len()).find(|nth| seqno(*nth) > seqno(high)) else { continue };
        if seqno(beyond).saturating_sub(seqno(beyond - 1)) >= seqno(high).saturating_sub(seqno(low)) {
            involved.extend(sound[high..=beyond].iter().map(|(place, _)| *place));
        }
    }
    involved
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::{Evidence, Record};

    fn catalog(taken: &[(i64, &str)]) -> Catalog {
        let record = |(day, (seqno, cluster)): (usize, &(i64, &str))| {
            let id: BackupId = format!("202611{:02}T000000Z_n1", day + 1).parse().unwrap();
            let at = id.started().unwrap();
            let manifest = json!({
                "format": 1, "id": id, "cluster": cluster, "node": "n1", "method": "freeze", "started": at,
                "frozen_at": at, "finished": at, "flush_ms": 1, "frozen_ms": 2,
                "gtid": {"uuid": "u", "seqno": seqno, "domain_id": 0},
                "mariadb_gtid": {}, "server": {"datadir": "/d"}, "data_bytes": 1, "files": 1,
                "archive": {"name": "backup.tar", "bytes": 1, "sha256": "", "compression": "none"},
                "index": {"name": "index.json.zst", "bytes": 1, "sha256": ""},
                "damaged_pages": 0, "tool": {"version": "0"}
            });
            let evidence = Evidence { written: Some(at), ..Evidence::default() };
            let manifest = Ok(serde_json::from_value(manifest).unwrap());
            Record { cluster: (*cluster).into(), id, manifest, evidence }
        };
        Catalog { records: taken.iter().enumerate().map(record).collect(), ..Catalog::default() }
    }

    #[test]
    fn what_a_cluster_has_left_behind_is_told_and_two_clusters_are() {
        let now = "2026-12-01T00:00:00Z".parse().unwrap();
        let lines = |seqnos: &[i64]| {
            let of_one: Vec<(i64, &str)> = seqnos.iter().map(|seqno| (*seqno, "c")).collect();
            let found = catalog(&of_one).lines(now);
            let days = |ids: &[BackupId]| {
                ids.iter().map(|id| id.as_str()[6..8].parse().unwrap()).collect::<Vec<usize>>()
            };
            assert!(found.len() <= 1);
            found.first().map(|lines| (days(&lines.two_lines), days(&lines.left_behind)))
        };
        assert_eq!(lines(&[10, 20, 30]), None);
        // It went back from 30, and is beyond that today.
        assert_eq!(lines(&[10, 20, 30, 12, 22, 32]), Some((vec![], vec![2, 3])));
        assert_eq!(
            lines(&[100, 200, 110, 210, 120, 220]).map(|(two, left)| (!two.is_empty(), left)),
            Some((true, vec![2, 4]))
        );
        // Different folders are different clusters.
        assert_eq!(catalog(&[(10, "a"), (30, "a"), (12, "b"), (13, "b")]).lines(now), []);
        let all = catalog(&[(10, "c"), (20, "c"), (30, "c"), (12, "c")]).lines(now);
        let (text, cure) = all[0].words();
        assert!(
            text.contains("'c' (history u) went back")
                && text.ends_with("(20261102T000000Z_n1, 20261103T000000Z_n1)"),
            "{text}"
        );
        assert!(cure.starts_with("restore no node"));
    }
}
