//! Whether a frozen donor holds up its whole cluster.

use super::finding::Finding;
use crate::cluster::{NodeReport, NodeState};
use crate::model::syncs_donor;

const TOPIC: &str = "flow control";

/// What is to be told of it. `allowed`: the donor freezes all the same (`allow-sync-donor`).
pub(super) fn judge(report: &NodeReport, allowed: bool) -> Finding {
    let stops = "while it is frozen, nobody in the whole cluster can write";
    if !report.variable("wsrep_provider_options").is_some_and(syncs_donor) {
        let requested = report.status("wsrep_flow_control_requested");
        if report.state() == NodeState::Donor
            && requested.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            let text = format!(
                "this node is desynced and holds up its cluster: gcs.sync_donor was switched on at run time; {stops}"
            );
            return Finding::error(TOPIC, text, off());
        }
        let text = "a donor takes no part in it (gcs.sync_donor is off; one that was switched on at run time shows when it is one)";
        return Finding::ok(TOPIC, text);
    }
    let text = format!("gcs.sync_donor is on: {stops}");
    if allowed {
        return Finding::warning(TOPIC, format!("{text}; allow-sync-donor has the donor do it"), off());
    }
    Finding::error(TOPIC, format!("{text}; 'backup', 'run' and the donor refuse"), off())
}

fn off() -> String {
    "take gcs.sync_donor out of wsrep_provider_options in [mysqld], and SET GLOBAL wsrep_provider_options='gcs.sync_donor=no'; where \
     the plugin wsrep_provider is loaded (MariaDB 11.8) it is the variable wsrep_provider_gcs_sync_donor, to be set OFF"
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::sql::Endpoint;

    #[test]
    fn a_donor_that_stops_its_cluster_is_an_error() {
        for (option, state, requested, allowed, level, text) in [
            ("no", "4", "false", false, Level::Ok, "takes no part"),
            ("yes", "4", "false", false, Level::Error, "the donor refuse"),
            ("YES", "4", "false", true, Level::Warning, "allow-sync-donor"),
            ("no", "2", "true", false, Level::Error, "at run time"),
            ("no", "4", "true", false, Level::Ok, "takes no part"),
        ] {
            let report = NodeReport::of(
                Endpoint::Socket("/s".into()),
                &[(
                    "wsrep_provider_options",
                    &format!("gcs.max_throttle = 0.25; gcs.sync_donor = {option}; x = y"),
                )],
                &[("wsrep_local_state", state), ("wsrep_flow_control_requested", requested)],
            );
            let finding = judge(&report, allowed);
            assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
        }
    }
}
