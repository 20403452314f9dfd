//! Why members are not in the state in which a server may join them, in words.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cluster::{GROUP_PORT, NodeReport, Silent, Survey, group_address};
use crate::hosts;
use crate::restore::Installed;
use crate::tool::ReleaseSeries;

/// How long a member may take to accept a connection at its group address.
const REACH: Duration = Duration::from_secs(5);

/// Who reaches some members of the group alone has the others' messages handed on by these, and all of them may be long in agreeing upon who is there.
pub(super) fn refuse_out_of_reach(survey: &Survey) -> Result<(), String> {
    for report in &survey.reports {
        let Some(place) = group_address(report) else { continue };
        hosts::try_connection(&place.host, place.port.unwrap_or(GROUP_PORT), REACH).map_err(|cause| {
            format!("'{}' cannot be reached at '{place}', where the group is: {cause}", report.name())
        })?;
    }
    Ok(())
}

/// A server of an older series than a member's may not understand what that writes.
pub(super) fn refuse_older(survey: &Survey, server: &Installed) -> Result<(), String> {
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

/// A copy of a cluster that was started from one of its backups has its name and its history, and is another cluster: a server that knows members of both
/// would have them meet. Members of one component agree upon its number; where it changes just then they do not, for a moment.
pub(super) fn refuse_two_components(survey: &Survey) -> Result<(), String> {
    let component = |report: &NodeReport| report.conf_id().map(|id| (id, report.name().to_owned()));
    let primary = survey.reports.iter().filter(|report| report.is_primary());
    let components: BTreeMap<i64, String> = primary.filter_map(component).collect();
    if components.len() < 2 {
        return Ok(());
    }
    let members: Vec<&str> = components.values().map(String::as_str).collect();
    Err(format!(
        "{} are not in the same Primary component (wsrep_cluster_conf_id): try again where one is just joining or leaving; where one is of a copy of the \
         cluster, name the members that are meant with --members",
        members.join(", ")
    ))
}

/// How many members there are, by the one that sees most of them.
pub(super) fn most_members(survey: &Survey) -> Option<i64> {
    survey.reports.iter().filter_map(|report| report.number("wsrep_cluster_size")).max()
}

/// One that is not in the Primary component does not know what the others do.
pub(super) fn refuse_cut_off(survey: &Survey) -> Result<(), String> {
    match survey.reports.iter().find(|report| !report.is_primary()) {
        Some(cut_off) => Err(format!("'{}' is not in the Primary component", cut_off.name())),
        None => Ok(()),
    }
}

/// A donor or a joiner has its hands full.
pub(super) fn refuse_busy(survey: &Survey) -> Result<(), String> {
    match survey.reports.iter().find(|report| !report.is_synced()) {
        Some(busy) => Err(format!("'{}' is {}: try again when it is Synced", busy.name(), busy.state())),
        None => Ok(()),
    }
}

/// Who has not answered, and why, behind a comma.
pub(super) fn silence(survey: &Survey) -> String {
    let said = |silent: &Silent| {
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

    #[test]
    fn a_member_whose_group_address_is_out_of_reach_keeps_the_server_away() {
        let listener = hosts::free_port(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let of = |port: u16| {
            let options = format!("base_host = 127.0.0.1; base_port = {port}; ");
            let variables = [("wsrep_node_name", "a"), ("wsrep_provider_options", options.as_str())];
            let reports = vec![NodeReport::of(Endpoint::Tcp("a".parse().unwrap()), &variables, &[])];
            refuse_out_of_reach(&Survey { reports, ..Survey::default() })
        };
        assert!(of(listener).unwrap_err().contains("'a' cannot be reached at '127.0.0.1:"));
        let group = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert_eq!(of(group.local_addr().unwrap().port()), Ok(()));
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
}
