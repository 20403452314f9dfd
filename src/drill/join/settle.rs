//! The cluster, after the server has left.

use std::time::{Duration, Instant};

use super::look::CalmCluster;
use super::request::JoinRequest;
use crate::cluster::Survey;

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

fn objection(now: &Survey, before: &CalmCluster) -> Option<String> {
    if now.reports.is_empty() {
        return Some("that the cluster is as it was could not be seen: no member answers any more".into());
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
    use crate::cluster::NodeReport;
    use crate::sql::Endpoint;

    #[test]
    fn a_cluster_is_as_it_was_when_each_member_says_so() {
        let member = |size: &str, state: &str, held: &str| {
            NodeReport::of(
                Endpoint::Tcp("a".parse().unwrap()),
                &[("wsrep_node_name", "a")],
                &[
                    ("wsrep_cluster_status", "Primary"),
                    ("wsrep_local_state", state),
                    ("wsrep_cluster_size", size),
                    ("wsrep_flow_control_active", held),
                ],
            )
        };
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
        ] {
            let why = said(reports).unwrap();
            assert!(why.contains(text), "{why}");
        }
    }
}
