//! Whether a server on the backup may join now, and would do so by IST.

use super::super::error::DrillError;
use super::request::JoinRequest;
use crate::cluster::{IstOutlook, NodeReport, Survey, ist_sentence};
use crate::model::WsrepGtid;
use crate::restore::Installed;
use crate::tool::ReleaseSeries;

/// The cluster before the server joins: all of its members are Synced in the Primary component, and IST is possible.
#[derive(Debug, Clone)]
pub(in crate::drill) struct CalmCluster {
    pub(super) survey: Survey,
    /// How many members it has.
    pub(super) size: i64,
}

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
    if let Some(cut_off) = survey.reports.iter().find(|report| !report.is_primary()) {
        return Err(format!("'{}' is not in the Primary component", cut_off.name()));
    }
    match outlook {
        Some(IstOutlook::Possible { .. }) => {}
        Some(other) => return Err(ist_sentence(&other, gtid).1),
        None => return Err("no member is known".into()),
    }
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
    if let Some(busy) = survey.reports.iter().find(|report| !report.is_synced()) {
        return Err(format!("'{}' is {}: try again when it is Synced", busy.name(), busy.state()));
    }
    let groups = |report: &NodeReport| report.group().to_owned();
    let mut names: Vec<String> = survey.reports.iter().map(groups).collect();
    names.dedup();
    if names.len() > 1 {
        return Err(format!("the members that answer are of several clusters: {}", names.join(", ")));
    }
    Ok(CalmCluster { survey, size })
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
            let reports = vec![member("a", ("wsrep_cluster_size", "1"))];
            judge(Survey { reports, ..Survey::default() }, &gtid, later).map(|calm| calm.size)
        };
        assert_eq!(of(4, UUID, None), Ok(1));
        assert!(of(3, UUID, None).unwrap_err().contains("IST is not possible any more"));
        assert!(of(21, UUID, None).unwrap_err().contains("behind the backup at seqno 21"));
        let other = "11111111-e4fc-11f1-a7f7-8a19f99d6a1a";
        assert!(of(4, other, None).unwrap_err().contains(&format!("has the history {UUID}")));
        assert!(of(4, UUID, Some(("l".into(), 2))).unwrap_err().contains("DO NOT JOIN"));
    }
}
