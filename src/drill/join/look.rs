//! Whether a server on the backup may join now, and would do so by IST.

use std::path::PathBuf;

use super::super::error::DrillError;
use super::calm::{
    most_members, refuse_busy, refuse_cut_off, refuse_older, refuse_out_of_reach, refuse_two_components,
    silence,
};
use super::request::JoinRequest;
use super::{donor, library};
use crate::cluster::{IstOutlook, NodeReport, Survey, ist_sentence};
use crate::model::WsrepGtid;
use crate::restore::Installed;

/// The cluster before the server joins: all of its members are Synced in the Primary component, and IST is possible.
#[derive(Debug, Clone)]
pub(in crate::drill) struct CalmCluster {
    pub(super) survey: Survey,
    /// How many members it has.
    pub(super) size: i64,
    /// The member that is to be the donor.
    pub(super) donor: String,
    /// Galera's library here.
    pub(super) library: PathBuf,
}

/// Asks the members; an error where a server would do harm, or not join by IST.
pub(in crate::drill) fn look(
    wanted: &JoinRequest,
    gtid: &WsrepGtid,
    server: &Installed,
) -> Result<CalmCluster, DrillError> {
    let survey = Survey::of_named(&wanted.access);
    let calm = || {
        refuse_older(&survey, server)?;
        let (size, donor) = judge(&survey, gtid, wanted)?;
        let library = library::find(wanted, &survey)?;
        refuse_out_of_reach(&survey)?;
        Ok(CalmCluster { survey: survey.clone(), size, donor, library })
    };
    calm().map_err(|why: String| DrillError::Undone(format!("no server joins the cluster (--join): {why}")))
}

/// How many members it has, and the name of the donor.
fn judge(survey: &Survey, gtid: &WsrepGtid, wanted: &JoinRequest) -> Result<(i64, String), String> {
    let outlook = IstOutlook::with_later(Some(IstOutlook::new(survey, gtid)), wanted.later.clone());
    refuse_cut_off(survey)?;
    let writesets = match outlook {
        Some(IstOutlook::Possible { writesets, .. }) => writesets,
        Some(other) => return Err(ist_sentence(&other, gtid).1),
        None => return Err("no member is known".into()),
    };
    refuse_two_components(survey)?;
    let size = most_members(survey).ok_or("no member tells wsrep_cluster_size")?;
    let known = survey.reports.len() + survey.arbitrators.len();
    if usize::try_from(size) != Ok(known) {
        return Err(format!(
            "the cluster has {size} members, and {known} of them are known, so that another one may be joining, or giving a state transfer{}: \
             --members HOST:PORT,… names them",
            silence(survey)
        ));
    }
    refuse_busy(survey)?;
    let groups = |report: &NodeReport| report.group().to_owned();
    let mut names: Vec<String> = survey.reports.iter().map(groups).collect();
    names.dedup();
    if names.len() > 1 {
        return Err(format!("the members that answer are of several clusters: {}", names.join(", ")));
    }
    let donor = donor::choose(survey, wanted.donor.as_deref())?;
    donor::refuse(survey, donor)?;
    // Who lacks nothing asks nobody, unless somebody writes meanwhile: the last look decides then.
    if writesets > 0 {
        donor::refuse_narrow(survey, donor, gtid)?;
    }
    Ok((size, donor.name().to_owned()))
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
    // The server that is about to ask is one of them by now.
    let most = before.size + 1;
    if let Some(size) = most_members(now).filter(|size| *size > most) {
        return Err(format!("the cluster has {size} members by now, and {most} were expected"));
    }
    refuse_busy(now)?;
    let donor = now
        .report(&before.donor)
        .ok_or_else(|| format!("'{}', which was to be the donor, is gone", before.donor))?;
    donor::refuse_narrow(now, donor, gtid)?;
    donor::refuse(now, donor)
}

#[cfg(test)]
mod tests {
    use super::super::test_members::{UUID, member};
    use super::*;

    fn said(change: (&str, &str), more: &[NodeReport], later: Option<(String, i64)>) -> Result<i64, String> {
        let reports = [&[member("a", ("x", "")), member("d", change)][..], more].concat();
        let gtid = WsrepGtid { uuid: UUID.into(), seqno: 10, domain_id: None };
        asked(reports, &gtid, later).map(|(size, _)| size)
    }

    fn asked(
        reports: Vec<NodeReport>,
        gtid: &WsrepGtid,
        later: Option<(String, i64)>,
    ) -> Result<(i64, String), String> {
        let wanted = JoinRequest { later, ..JoinRequest::for_tests(&[]) };
        judge(&Survey { reports, ..Survey::default() }, gtid, &wanted)
    }

    #[test]
    fn only_a_calm_cluster_whose_members_are_all_known_is_joined() {
        assert_eq!(said(("x", ""), &[], None), Ok(2));
        let refused = |change, text: &str| {
            let why = said(change, &[], None).unwrap_err();
            assert!(why.contains(text), "{why}");
        };
        refused(("wsrep_cluster_status", "non-Primary"), "'d' is not in the Primary component");
        refused(("wsrep_local_state", "2"), "'d' is Donor/Desynced: try again");
        refused(("wsrep_local_state", "1"), "'d' is Joining: try again");
        refused(("wsrep_cluster_conf_id", "3"), "d, a are not in the same Primary component");
        refused(("wsrep_cluster_size", "3"), "the cluster has 3 members, and 2 of them are known");
        let stranger = member("c", ("wsrep_cluster_size", "3"));
        assert_eq!(said(("x", ""), &[stranger], None), Ok(3));
    }

    /// A pair of members, of which the second one is so, and which one is the donor for a backup at that seqno.
    fn judged(seqno: i64, change: (&str, &str)) -> Result<String, String> {
        let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
        asked(vec![member("a", ("x", "")), member("d", change)], &gtid, None).map(|(_, donor)| donor)
    }

    #[test]
    fn the_donor_is_the_member_whose_gcache_reaches_back_furthest() {
        assert_eq!(judged(10, ("wsrep_local_cached_downto", "2")), Ok("d".into()));
        assert_eq!(judged(10, ("wsrep_local_cached_downto", "9")), Ok("a".into()));
    }

    #[test]
    fn the_donor_is_the_member_that_is_wanted_if_it_can_be_one() {
        let gtid = WsrepGtid { uuid: UUID.into(), seqno: 10, domain_id: None };
        let reports = vec![member("a", ("x", "")), member("d", ("wsrep_local_cached_downto", "11"))];
        let survey = Survey { reports, ..Survey::default() };
        let donor = |name: &str| {
            let wanted = JoinRequest { donor: Some(name.into()), ..JoinRequest::for_tests(&[]) };
            judge(&survey, &gtid, &wanted).map(|(_, donor)| donor)
        };
        assert_eq!(donor("a"), Ok("a".into()));
        assert!(donor("d").unwrap_err().contains("the oldest write set of 'd' is 11"));
        assert!(donor("z").unwrap_err().contains("no member 'z' has answered (--donor), but a, d"));
    }

    #[test]
    fn a_gcache_that_reaches_back_by_a_hair_is_not_enough() {
        // Of 4..20 nothing is taken off but the margin of one, of 2..1284 ten.
        assert!(judged(5, ("x", "")).is_ok());
        let hair = |seqno, last| {
            let reports = [("a", "x", ""), ("d", "wsrep_last_committed", last)];
            let reports = reports.map(|(name, key, value)| member(name, (key, value))).to_vec();
            let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
            asked(reports, &gtid, None).map(|(_, donor)| donor)
        };
        assert_eq!(hair(15, "1285"), Ok("a".into()));
        assert!(hair(14, "1285").unwrap_err().contains("Galera gives none of the oldest 11"));
        assert!(judged(4, ("x", "")).unwrap_err().contains("by a hair only"));
    }

    #[test]
    fn the_last_look_sees_what_has_become_of_the_members() {
        let reports = vec![member("a", ("x", "")), member("d", ("x", ""))];
        let before = CalmCluster {
            survey: Survey { reports, ..Survey::default() },
            size: 2,
            donor: "a".into(),
            library: PathBuf::new(),
        };
        let gtid = WsrepGtid { uuid: UUID.into(), seqno: 10, domain_id: None };
        let again =
            |reports: Vec<NodeReport>| may_ask(&Survey { reports, ..Survey::default() }, &gtid, &before);
        let all = |change| vec![member("a", change), member("d", ("x", ""))];
        assert_eq!(again(all(("wsrep_cluster_size", "3"))), Ok(()));
        for (reports, text) in [
            (all(("wsrep_local_state", "2")), "'a' is Donor/Desynced"),
            (all(("wsrep_cluster_size", "4")), "the cluster has 4 members by now, and 3 were expected"),
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
        let alone = vec![member("a", ("wsrep_cluster_size", "1"))];
        assert!(asked(alone, &gtid, None).unwrap_err().contains("no other member is known to be Synced"));
    }

    #[test]
    fn a_backup_without_its_write_sets_or_of_another_history_is_refused() {
        let of = |seqno: i64, uuid: &str, later| {
            let gtid = WsrepGtid { uuid: uuid.into(), seqno, domain_id: None };
            let reports = vec![member("a", ("x", "")), member("d", ("x", ""))];
            asked(reports, &gtid, later).map(|(size, _)| size)
        };
        assert_eq!(of(5, UUID, None), Ok(2));
        assert!(of(3, UUID, None).unwrap_err().contains("IST is not possible any more"));
        assert!(of(21, UUID, None).unwrap_err().contains("behind the backup at seqno 21"));
        let other = "11111111-e4fc-11f1-a7f7-8a19f99d6a1a";
        assert!(of(4, other, None).unwrap_err().contains(&format!("has the history {UUID}")));
        assert!(of(4, UUID, Some(("l".into(), 2))).unwrap_err().contains("DO NOT JOIN"));
    }
}
