//! Whether a node that starts at a position can join by IST.
//!
//! A donor sends the write sets after `seqno` from its gcache, which reaches down to `wsrep_local_cached_downto`:
//! IST is possible while some member of the same history has `cached_downto` ≤ seqno + 1. Otherwise, and with
//! another state UUID, the node takes a full SST.
//!
//! Within one history a cluster may have gone back to an older backup. A node that is ahead of the group does not join at
//! all: galera's `ReplicatorSMM::process_conf_change` says "Reversing history" and mysqld ends. Once the group has passed
//! the node's position again, nothing tells the two apart: the node joins with the rows that were abandoned.

use super::node_report::NodeReport;
use super::survey::Survey;
use crate::model::WsrepGtid;

/// What a node restored at a position will do when it joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IstOutlook {
    /// It joins by IST.
    Possible {
        /// A member that has the write sets.
        donor: String,
        /// Write sets to be sent, as of now.
        writesets: u64,
        /// Write sets that may still be added before the oldest one needed is dropped: 0 when the needed one is the
        /// oldest in the cache.
        spare: u64,
    },
    /// No member has the write sets any more.
    TooOld {
        /// The oldest seqno that any member has.
        oldest: i64,
        /// The member that has it.
        member: String,
    },
    /// The position is ahead of the cluster: the cluster went back to an older backup.
    Ahead {
        /// The last write set that a member has.
        last: i64,
        /// The member that has it.
        member: String,
    },
    /// The position may be of what the cluster has left behind when it went back to an older backup.
    Abandoned {
        /// A backup that was taken later, at a lower position.
        later: String,
        /// Its position.
        seqno: i64,
    },
    /// The cluster has another history.
    OtherHistory {
        /// Its state UUID.
        uuid: String,
    },
    /// No member in the Primary component has answered.
    Unknown {
        /// Why, for each that was asked.
        why: String,
    },
}

impl IstOutlook {
    /// For a node at `gtid`, by what the members say.
    pub fn new(survey: &Survey, gtid: &WsrepGtid) -> Self {
        let primary: Vec<_> = survey.reports.iter().filter(|report| report.is_primary()).collect();
        let same: Vec<_> = primary
            .iter()
            .filter(|report| report.state_uuid().is_some_and(|uuid| uuid == gtid.uuid))
            .collect();
        if same.is_empty() {
            return match primary.iter().find_map(|report| report.state_uuid()) {
                Some(uuid) => Self::OtherHistory { uuid: uuid.to_owned() },
                None => Self::Unknown { why: silence(survey) },
            };
        }
        let needed = gtid.seqno.saturating_add(1);
        let told = same.iter().filter_map(|report| Some((report.last_committed()?, report.name()))).max();
        if let Some((last, member)) = told.filter(|(last, _)| *last < gtid.seqno) {
            // A member that is not Synced lags behind for as long as that lasts, and is not what the cluster has.
            if same.iter().any(|report| report.is_synced()) {
                return Self::Ahead { last, member: member.to_owned() };
            }
            return Self::Unknown {
                why: format!("'{member}' is at seqno {last}, behind the backup, and not Synced"),
            };
        }
        let last = told.map_or(gtid.seqno, |(last, _)| last);
        let writesets = u64::try_from(last.saturating_sub(gtid.seqno)).unwrap_or(0);
        let cached = |report: &&NodeReport| report.cached_downto().filter(|downto| *downto > 0);
        let Some((downto, donor)) =
            same.iter().filter_map(|report| Some((cached(report)?, report.name()))).min()
        else {
            return Self::Unknown { why: "no member tells wsrep_local_cached_downto".into() };
        };
        // Nothing written since needs no write set at all.
        if downto <= needed || writesets == 0 {
            let spare = u64::try_from(needed.saturating_sub(downto)).unwrap_or(0);
            Self::Possible { donor: donor.to_owned(), writesets, spare }
        } else {
            Self::TooOld { oldest: downto, member: donor.to_owned() }
        }
    }

    /// The same where the repository has a later backup of this history at a lower position, at `later`. Who takes a full
    /// SST, or does not join at all, keeps no rows of before.
    pub fn with_later(outlook: Option<Self>, later: Option<(String, i64)>) -> Option<Self> {
        match (outlook, later) {
            (None | Some(Self::Possible { .. } | Self::Unknown { .. }), Some((later, seqno))) => {
                Some(Self::Abandoned { later, seqno })
            }
            (outlook, _) => outlook,
        }
    }
}

fn silence(survey: &Survey) -> String {
    let silent = survey.silent.iter().map(|silent| silent.why.clone());
    let cut_off = survey
        .reports
        .iter()
        .filter(|report| !report.is_primary())
        .map(|report| format!("'{}' is not in the Primary component", report.name()));
    let all: Vec<String> = silent.chain(cut_off).collect();
    if all.is_empty() { "no member is known".into() } else { all.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Endpoint;

    const UUID: &str = "64f8fd84-e4fc-11f1-a7f7-8a19f99d6a1a";

    fn member(name: &str, uuid: &str, downto: &str, last: &str) -> NodeReport {
        NodeReport::of(
            Endpoint::Tcp(name.parse().unwrap()),
            &[("wsrep_node_name", name)],
            &[
                ("wsrep_cluster_status", "Primary"),
                ("wsrep_local_state", "4"),
                ("wsrep_cluster_state_uuid", uuid),
                ("wsrep_local_cached_downto", downto),
                ("wsrep_last_committed", last),
            ],
        )
    }

    fn outlook(members: Vec<NodeReport>, seqno: i64) -> IstOutlook {
        let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
        IstOutlook::new(&Survey { reports: members, ..Survey::default() }, &gtid)
    }

    #[test]
    fn the_member_that_reaches_down_furthest_decides() {
        let members = || vec![member("a", UUID, "50", "100"), member("b", UUID, "40", "99")];
        let possible = |writesets, spare| IstOutlook::Possible { donor: "b".into(), writesets, spare };
        assert_eq!(outlook(members(), 60), possible(40, 21));
        assert_eq!(outlook(members(), 39), possible(61, 0));
        assert_eq!(outlook(members(), 38), IstOutlook::TooOld { oldest: 40, member: "b".into() });
        assert_eq!(outlook(vec![member("b", UUID, "40", "38")], 38), possible(0, 0));
    }

    #[test]
    fn a_position_ahead_of_the_cluster_is_no_ist() {
        let members = || vec![member("a", UUID, "1", "10"), member("b", UUID, "5", "11")];
        assert_eq!(outlook(members(), 91), IstOutlook::Ahead { last: 11, member: "b".into() });
        assert_eq!(outlook(members(), 12), IstOutlook::Ahead { last: 11, member: "b".into() });
        assert!(matches!(outlook(members(), 11), IstOutlook::Possible { writesets: 0, .. }));
        // One that lags behind is not the cluster.
        let lagging = vec![member("a", UUID, "1", "10"), member("b", UUID, "1", "91")];
        assert!(matches!(outlook(lagging, 91), IstOutlook::Possible { writesets: 0, .. }));
        let donor = NodeReport::of(
            Endpoint::Tcp("d".parse().unwrap()),
            &[],
            &[
                ("wsrep_cluster_status", "Primary"),
                ("wsrep_local_state", "2"),
                ("wsrep_cluster_state_uuid", UUID),
                ("wsrep_local_cached_downto", "1"),
                ("wsrep_last_committed", "90"),
            ],
        );
        assert!(matches!(outlook(vec![donor], 91), IstOutlook::Unknown { .. }));
    }

    #[test]
    fn a_later_backup_at_a_lower_position_takes_the_promise_away() {
        let later = || Some(("l".to_owned(), 11));
        let abandoned = Some(IstOutlook::Abandoned { later: "l".into(), seqno: 11 });
        let possible = outlook(vec![member("a", UUID, "1", "200")], 91);
        assert!(matches!(possible, IstOutlook::Possible { .. }));
        for outlook in [None, Some(possible), Some(IstOutlook::Unknown { why: "x".into() })] {
            assert_eq!(IstOutlook::with_later(outlook.clone(), later()), abandoned);
            assert_eq!(IstOutlook::with_later(outlook.clone(), None), outlook);
        }
        for outlook in [
            IstOutlook::TooOld { oldest: 100, member: "a".into() },
            IstOutlook::Ahead { last: 20, member: "a".into() },
            IstOutlook::OtherHistory { uuid: "u".into() },
        ] {
            assert_eq!(IstOutlook::with_later(Some(outlook.clone()), later()), Some(outlook));
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let other = "11111111-e4fc-11f1-a7f7-8a19f99d6a1a";
        let strangers = vec![member("a", other, "1", "9")];
        assert_eq!(outlook(strangers, 5), IstOutlook::OtherHistory { uuid: other.into() });
        let empty = vec![member("a", UUID, "18446744073709551615", "9")];
        assert!(matches!(outlook(empty, 5), IstOutlook::Unknown { .. }));
        let nobody = outlook(vec![], 5);
        assert_eq!(nobody, IstOutlook::Unknown { why: "no member is known".into() });
    }
}
