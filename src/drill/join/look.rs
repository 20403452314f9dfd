//! Whether a server on the backup may join now, and would do so by IST.

use super::super::error::DrillError;
use super::request::JoinRequest;
use crate::cluster::{IstOutlook, NodeReport, Standby, Survey, ist_sentence};
use crate::model::WsrepGtid;
use crate::restore::Installed;
use crate::tool::ReleaseSeries;

/// The cluster before the server joins: all of its members are Synced in the Primary component, and IST is possible.
#[derive(Debug, Clone)]
pub(in crate::drill) struct CalmCluster {
    pub(super) survey: Survey,
    /// How many members it has.
    pub(super) size: i64,
    /// The member that is to be the donor: the one whose gcache reaches back furthest.
    pub(super) donor: String,
}

/// The most of its gcache that Galera takes off as no longer safe for IST, write sets.
const MOST_GAP: i64 = 1 << 20;

/// Asks the members; an error where a server would do harm, or not join by IST.
pub(in crate::drill) fn look(
    wanted: &JoinRequest,
    gtid: &WsrepGtid,
    server: &Installed,
) -> Result<CalmCluster, DrillError> {
    let survey = Survey::take(&wanted.access);
    refuse_older(&survey, server)
        .and_then(|()| judge(survey, gtid, wanted.later.clone()))
        .map_err(|why| DrillError::Undone(format!("no server joins the cluster (--join): {why}")))
}

/// A server of an older series than a member's may not understand what that writes.
fn refuse_older(survey: &Survey, server: &Installed) -> Result<(), String> {
    let series = |report: &NodeReport| report.variable("version").and_then(ReleaseSeries::read);
    let (Some(newest), Some(here)) =
        (survey.reports.iter().filter_map(series).max(), ReleaseSeries::read(&server.version))
    else {
        return Ok(());
    };
    if here >= newest {
        return Ok(());
    }
    Err(format!(
        "a member is MariaDB {newest}, and the server here is {here}: name one of that series with --mysqld"
    ))
}

fn judge(survey: Survey, gtid: &WsrepGtid, later: Option<(String, i64)>) -> Result<CalmCluster, String> {
    let outlook = IstOutlook::with_later(Some(IstOutlook::new(&survey, gtid)), later);
    refuse_cut_off(&survey)?;
    let writesets = match outlook {
        Some(IstOutlook::Possible { writesets, .. }) => writesets,
        Some(other) => return Err(ist_sentence(&other, gtid).1),
        None => return Err("no member is known".into()),
    };
    let size = survey.reports.iter().filter_map(|report| report.number("wsrep_cluster_size")).max();
    let size = size.ok_or("no member tells wsrep_cluster_size")?;
    let known = survey.reports.len() + survey.arbitrators.len();
    if usize::try_from(size) != Ok(known) {
        return Err(format!(
            "the cluster has {size} members, and {known} of them are known, so that another one may be joining, or giving a state transfer{}: \
             --members HOST:PORT,… names them",
            silence(&survey)
        ));
    }
    refuse_busy(&survey)?;
    let groups = |report: &NodeReport| report.group().to_owned();
    let mut names: Vec<String> = survey.reports.iter().map(groups).collect();
    names.dedup();
    if names.len() > 1 {
        return Err(format!("the members that answer are of several clusters: {}", names.join(", ")));
    }
    let donor = furthest_back(&survey).ok_or("no member tells wsrep_local_cached_downto")?;
    // Who lacks nothing asks nobody, unless somebody writes meanwhile: the last look decides then.
    if writesets > 0 {
        refuse_narrow(&survey, donor, gtid)?;
    }
    let donor = donor.name().to_owned();
    refuse_without_another(&survey, &donor)?;
    Ok(CalmCluster { survey, size, donor })
}

/// The last look, when the server is in the group and about to ask for a donor: why it must not, in words. It looks at the members that have
/// answered before.
pub(super) fn look_again(wanted: &JoinRequest, gtid: &WsrepGtid, before: &CalmCluster) -> Result<(), String> {
    may_ask(&before.survey.again(&wanted.access), gtid, before)
}

fn may_ask(now: &Survey, gtid: &WsrepGtid, before: &CalmCluster) -> Result<(), String> {
    refuse_cut_off(now)?;
    match IstOutlook::new(now, gtid) {
        IstOutlook::Possible { .. } => {}
        other => return Err(ist_sentence(&other, gtid).1),
    }
    if now.reports.len() < before.survey.reports.len() {
        return Err(format!("a member that has answered before does not answer any more{}", silence(now)));
    }
    refuse_busy(now)?;
    let donor = now
        .report(&before.donor)
        .ok_or_else(|| format!("'{}', which was to be the donor, is gone", before.donor))?;
    refuse_narrow(now, donor, gtid)?;
    refuse_without_another(now, &before.donor)
}

fn refuse_cut_off(survey: &Survey) -> Result<(), String> {
    match survey.reports.iter().find(|report| !report.is_primary()) {
        Some(cut_off) => Err(format!("'{}' is not in the Primary component", cut_off.name())),
        None => Ok(()),
    }
}

fn refuse_busy(survey: &Survey) -> Result<(), String> {
    match survey.reports.iter().find(|report| !report.is_synced()) {
        Some(busy) => Err(format!("'{}' is {}: try again when it is Synced", busy.name(), busy.state())),
        None => Ok(()),
    }
}

/// While one member is the donor, another one must be there for the clients that are sent away from donors.
fn refuse_without_another(survey: &Survey, donor: &str) -> Result<(), String> {
    match survey.standby(donor) {
        Standby::Synced(_) => Ok(()),
        Standby::Alone | Standby::Nobody(_) | Standby::Unknown(_) => {
            Err(format!("'{donor}' would be the donor, and no other member is known to be Synced meanwhile"))
        }
    }
}

/// Among members that can give IST Galera takes the one whose gcache is the tightest (`group_find_ist_donor_by_state` in `gcs/src/gcs_group.cpp`),
/// unless it is told another one.
fn furthest_back(survey: &Survey) -> Option<&NodeReport> {
    let told = |report: &&NodeReport| report.cached_downto().is_some_and(|downto| downto > 0);
    survey.reports.iter().filter(told).min_by_key(|report| report.cached_downto())
}

/// Galera gives no IST from the oldest 1/128 of what the group has (`group_find_ist_donor`, there), and takes any member for a full state transfer
/// then. Of that it must be sure beforehand.
fn refuse_narrow(survey: &Survey, donor: &NodeReport, gtid: &WsrepGtid) -> Result<(), String> {
    let last = survey.reports.iter().filter_map(NodeReport::last_committed).max().unwrap_or(gtid.seqno);
    let downto = donor.cached_downto().filter(|downto| *downto > 0).unwrap_or(i64::MAX);
    let gap = (last.saturating_sub(downto).max(0) / 128).min(MOST_GAP);
    if gtid.seqno >= downto.saturating_add(gap) {
        return Ok(());
    }
    Err(format!(
        "IST is possible by a hair only: the backup is at seqno {}, the oldest write set of '{}' is {downto}, and Galera gives none of the oldest {} \
         by IST; take a newer backup, if there is one",
        gtid.seqno,
        donor.name(),
        gap + 1
    ))
}

/// Who has not answered, and why, behind a comma.
fn silence(survey: &Survey) -> String {
    let said = |silent: &crate::cluster::Silent| {
        let name = if silent.name.is_empty() { &silent.address } else { &silent.name };
        format!("'{name}': {}", silent.why)
    };
    let all: Vec<String> = survey.silent.iter().map(said).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join("; ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Endpoint;

    const UUID: &str = "64f8fd84-e4fc-11f1-a7f7-8a19f99d6a1a";

    fn member(name: &str, change: (&str, &str)) -> NodeReport {
        let mut status = vec![
            ("wsrep_cluster_status", "Primary"),
            ("wsrep_local_state", "4"),
            ("wsrep_cluster_state_uuid", UUID),
            ("wsrep_local_cached_downto", "5"),
            ("wsrep_last_committed", "20"),
            ("wsrep_cluster_size", "2"),
        ];
        // The later one of two counts.
        status.push(change);
        NodeReport::of(
            Endpoint::Tcp(name.parse().unwrap()),
            &[("wsrep_node_name", name), ("wsrep_cluster_name", "c")],
            &status,
        )
    }

    fn said(change: (&str, &str), more: &[NodeReport], later: Option<(String, i64)>) -> Result<i64, String> {
        let reports = [&[member("a", ("x", "")), member("b", change)][..], more].concat();
        let gtid = WsrepGtid { uuid: UUID.into(), seqno: 10, domain_id: None };
        judge(Survey { reports, ..Survey::default() }, &gtid, later).map(|calm| calm.size)
    }

    #[test]
    fn only_a_calm_cluster_whose_members_are_all_known_is_joined() {
        assert_eq!(said(("x", ""), &[], None), Ok(2));
        let refused = |change, text: &str| {
            let why = said(change, &[], None).unwrap_err();
            assert!(why.contains(text), "{why}");
        };
        refused(("wsrep_cluster_status", "non-Primary"), "'b' is not in the Primary component");
        refused(("wsrep_local_state", "2"), "'b' is Donor/Desynced: try again");
        refused(("wsrep_local_state", "1"), "'b' is Joining: try again");
        refused(("wsrep_cluster_size", "3"), "the cluster has 3 members, and 2 of them are known");
        let stranger = member("c", ("wsrep_cluster_size", "3"));
        assert_eq!(said(("x", ""), &[stranger], None), Ok(3));
    }

    /// A pair of members, of which the second one is so, and what comes of it for a backup at that seqno.
    fn judged(seqno: i64, change: (&str, &str)) -> Result<CalmCluster, String> {
        let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
        let reports = vec![member("a", ("x", "")), member("b", change)];
        judge(Survey { reports, ..Survey::default() }, &gtid, None)
    }

    #[test]
    fn the_donor_is_the_member_whose_gcache_reaches_back_furthest() {
        assert_eq!(judged(10, ("wsrep_local_cached_downto", "2")).unwrap().donor, "b");
        assert_eq!(judged(10, ("wsrep_local_cached_downto", "9")).unwrap().donor, "a");
    }

    #[test]
    fn a_gcache_that_reaches_back_by_a_hair_is_not_enough() {
        // Of 4..20 nothing is taken off but the margin of one, of 2..1284 ten.
        assert!(judged(5, ("x", "")).is_ok());
        let hair = |seqno, last| {
            let reports = [("a", "x", ""), ("b", "wsrep_last_committed", last)];
            let reports = reports.map(|(name, key, value)| member(name, (key, value))).to_vec();
            let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
            judge(Survey { reports, ..Survey::default() }, &gtid, None).map(|calm| calm.donor)
        };
        assert_eq!(hair(15, "1285"), Ok("a".into()));
        assert!(hair(14, "1285").unwrap_err().contains("Galera gives none of the oldest 11"));
        assert!(judged(4, ("x", "")).unwrap_err().contains("by a hair only"));
    }

    #[test]
    fn the_last_look_sees_what_has_become_of_the_members() {
        let before = judged(10, ("x", "")).unwrap();
        let gtid = WsrepGtid { uuid: UUID.into(), seqno: 10, domain_id: None };
        let again =
            |reports: Vec<NodeReport>| may_ask(&Survey { reports, ..Survey::default() }, &gtid, &before);
        let all = |change| vec![member("a", change), member("b", ("x", ""))];
        assert_eq!(again(all(("wsrep_cluster_size", "3"))), Ok(()));
        for (reports, text) in [
            (all(("wsrep_local_state", "2")), "'a' is Donor/Desynced"),
            (all(("wsrep_cluster_status", "non-Primary")), "'a' is not in the Primary"),
            (all(("wsrep_local_cached_downto", "11")), "by a hair only"),
            (vec![member("a", ("x", ""))], "does not answer any more"),
        ] {
            let why = again(reports).unwrap_err();
            assert!(why.contains(text), "{why}");
        }
    }

    #[test]
    fn a_donor_that_would_be_alone_is_not_asked() {
        let gtid = WsrepGtid { uuid: UUID.into(), seqno: 10, domain_id: None };
        let alone = Survey { reports: vec![member("a", ("wsrep_cluster_size", "1"))], ..Survey::default() };
        assert!(judge(alone, &gtid, None).unwrap_err().contains("no other member is known to be Synced"));
    }

    #[test]
    fn a_server_of_an_older_series_than_a_member_joins_none() {
        let said = |member: &str| {
            let report = NodeReport::of(Endpoint::Tcp("a".parse().unwrap()), &[("version", member)], &[]);
            let server = Installed { program: "/x".into(), version: "10.11.9-MariaDB".into() };
            refuse_older(&Survey { reports: vec![report], ..Survey::default() }, &server)
        };
        assert_eq!((said("10.11.19-MariaDB-log"), said("10.6.1-MariaDB")), (Ok(()), Ok(())));
        assert!(
            said("11.4.2-MariaDB")
                .unwrap_err()
                .contains("a member is MariaDB 11.4, and the server here is 10.11")
        );
    }

    #[test]
    fn a_backup_without_its_write_sets_or_of_another_history_is_refused() {
        let of = |seqno: i64, uuid: &str, later| {
            let gtid = WsrepGtid { uuid: uuid.into(), seqno, domain_id: None };
            let reports = vec![member("a", ("x", "")), member("b", ("x", ""))];
            judge(Survey { reports, ..Survey::default() }, &gtid, later).map(|calm| calm.size)
        };
        assert_eq!(of(5, UUID, None), Ok(2));
        assert!(of(3, UUID, None).unwrap_err().contains("IST is not possible any more"));
        assert!(of(21, UUID, None).unwrap_err().contains("behind the backup at seqno 21"));
        let other = "11111111-e4fc-11f1-a7f7-8a19f99d6a1a";
        assert!(of(4, other, None).unwrap_err().contains(&format!("has the history {UUID}")));
        assert!(of(4, UUID, Some(("l".into(), 2))).unwrap_err().contains("DO NOT JOIN"));
    }
}
