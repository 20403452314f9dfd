//! The cluster, after the server has left.

use std::time::{Duration, Instant};

use super::look::CalmCluster;
use super::request::JoinRequest;
use crate::cluster::{NodeReport, Survey};
use crate::model::DRILL_INCOMING;

/// How long the members may take to see that the server has left. One that has died is waited for by them as long as `evs.suspect_timeout`
/// and `evs.inactive_timeout` say, 15 s at most unless somebody has set more.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two questions.
const POLL: Duration = Duration::from_millis(200);

/// Waits until the members that have answered before see the cluster as it was, also where the drill is given up; what is not so, in words.
pub(super) fn settle(before: &CalmCluster, wanted: &JoinRequest) -> Option<String> {
    let began = Instant::now();
    loop {
        let objection = objection(&before.survey.again(&wanted.access), before)?;
        if began.elapsed() >= LIMIT {
            log::warn!("{objection}");
            return Some(objection);
        }
        std::thread::sleep(POLL);
    }
}

/// Whether members go on without the drilled server: one is in a Primary component that it is not in. Who has not noticed yet that the component is gone
/// still counts it in.
pub(super) fn goes_on(now: &Survey) -> bool {
    let counts_it_in = |report: &NodeReport| {
        let addresses = report.status("wsrep_incoming_addresses").unwrap_or_default();
        addresses.split(',').any(|address| address.trim() == DRILL_INCOMING)
    };
    now.reports.iter().any(|report| report.is_primary() && !counts_it_in(report))
}

/// What is done where no part of the cluster is Primary any more, in words that complete a sentence.
pub(super) const BOOTSTRAP: &str = "on ONE of the members that reach each other, and have been in the Primary component together, \
     SET GLOBAL wsrep_provider_options='pc.bootstrap=YES' (with the wsrep-provider plugin, as Debian's 11.8 has it: \
     SET GLOBAL wsrep_provider_pc_bootstrap=ON) makes one of them again";

fn objection(now: &Survey, before: &CalmCluster) -> Option<String> {
    if now.reports.is_empty() {
        return Some("that the cluster is as it was could not be seen: no member answers any more".into());
    }
    if !now.reports.iter().any(NodeReport::is_primary) {
        return Some(format!("no member that answers is in a Primary component: {BOOTSTRAP}"));
    }
    now.reports.iter().find_map(|report| {
        let size = report.number("wsrep_cluster_size").unwrap_or(0);
        let is_held_up = report.status("wsrep_flow_control_active") == Some("true");
        let says = |what: String| Some(format!("'{}' says that {what}", report.name()));
        if size != before.size {
            return says(format!(
                "the cluster has {size} members, and it had {} before the drill",
                before.size
            ));
        }
        if !report.is_synced() {
            return says(format!("it is {}, and it was Synced before the drill", report.state()));
        }
        if is_held_up { says("flow control holds the cluster up".into()) } else { None }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Endpoint;

    #[test]
    fn members_go_on_when_they_are_primary_without_the_drilled_server() {
        let said = |component: &str, addresses: &str| {
            let status = [("wsrep_cluster_status", component), ("wsrep_incoming_addresses", addresses)];
            let report = NodeReport::of(Endpoint::Tcp("a".parse().unwrap()), &[], &status);
            goes_on(&Survey { reports: vec![report], ..Survey::default() })
        };
        assert!(said("Primary", "10.0.0.1:3306,10.0.0.2:3306"));
        assert!(!said("Primary", "10.0.0.1:3306, 127.0.0.1:1"));
        assert!(!said("non-Primary", "10.0.0.1:3306"));
    }

    #[test]
    fn a_cluster_is_as_it_was_when_each_member_says_so() {
        let member_in = |component: &str, size: &str, state: &str, held: &str| {
            NodeReport::of(
                Endpoint::Tcp("a".parse().unwrap()),
                &[("wsrep_node_name", "a")],
                &[
                    ("wsrep_cluster_status", component),
                    ("wsrep_local_state", state),
                    ("wsrep_cluster_size", size),
                    ("wsrep_flow_control_active", held),
                ],
            )
        };
        let member = |size: &str, state: &str, held: &str| member_in("Primary", size, state, held);
        let survey = |reports| Survey { reports, ..Survey::default() };
        let before = CalmCluster {
            survey: Survey::default(),
            size: 2,
            donor: "a".into(),
            library: std::path::PathBuf::new(),
        };
        let said = |reports| objection(&survey(reports), &before);
        assert_eq!(said(vec![member("2", "4", "false")]), None);
        for (reports, text) in [
            (vec![member("2", "4", "false"), member("3", "4", "false")], "has 3 members, and it had 2"),
            (vec![member("2", "2", "false")], "it is Donor/Desynced"),
            (vec![member("2", "4", "true")], "flow control holds"),
            (vec![], "no member answers any more"),
            (
                vec![member_in("non-Primary", "2", "0", "false")],
                "SET GLOBAL wsrep_provider_options='pc.bootstrap=YES'",
            ),
        ] {
            let why = said(reports).unwrap();
            assert!(why.contains(text), "{why}");
        }
    }
}
