//! How Galera finds the donor that is asked for by name, and what the log of each member says of that.
//!
//! `group_find_node_by_name` in `gcs/src/gcs_group.cpp` compares as many letters as the wanted name has, and takes the first member that fits, in an order
//! that nobody outside knows: `n1` may be `n10`, an arbitrator, or whoever asks.

use super::node_report::NodeReport;
use super::survey::Survey;

/// Whom Galera may take where the donor `name` is asked for: another member, or a guest. `guest` is what the name of the guest begins with that asks.
pub fn taken_for<'a>(survey: &'a Survey, name: &str, guest: &'a str) -> Option<&'a str> {
    let reports = survey.reports.iter().map(NodeReport::name);
    let silent = survey.silent.iter().map(|silent| silent.name.as_str());
    let arbitrators = survey.arbitrators.iter().map(String::as_str);
    let mut all = reports.chain(silent).chain(arbitrators).chain([guest]);
    all.find(|other| *other != name && other.starts_with(name))
}

/// What has become of a request for a state transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferAnswer<'a> {
    /// The member of this name is the donor.
    Donor(&'a str),
    /// No member can be it; the rest of the line, in which the reason is.
    Nobody(&'a str),
}

/// What a line says of the request of the member `joiner`. Each member's log has the requests of all.
pub fn transfer_answer<'a>(line: &'a str, joiner: &str) -> Option<TransferAnswer<'a>> {
    // `Member 3.0 (backup-5eb8a1) requested state transfer from 'n2'. Selected 1.0 (n2)(SYNCED) as donor.`
    let member = line.split_once("Member ")?.1.split_once(" (")?.1;
    let rest = member.strip_prefix(joiner)?.strip_prefix(") requested state transfer from ")?;
    let Some((_, selected)) = rest.split_once("'. Selected ") else {
        return Some(TransferAnswer::Nobody(rest));
    };
    selected.split_once('(')?.1.rsplit_once(")(").map(|(name, _)| TransferAnswer::Donor(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Silent;
    use crate::sql::Endpoint;

    #[test]
    fn whoever_has_a_name_that_begins_with_the_donors_may_be_taken_for_it() {
        let report = |name: &str| {
            NodeReport::of(Endpoint::Tcp("a".parse().unwrap()), &[("wsrep_node_name", name)], &[])
        };
        let silent = Silent { name: "db21".into(), address: String::new(), why: String::new() };
        let survey = Survey {
            reports: vec![report("n1"), report("n10")],
            silent: vec![silent],
            arbitrators: vec!["garbd-a".into()],
            ..Survey::default()
        };
        let found = |name: &str| taken_for(&survey, name, "backup-");
        assert_eq!((found("n1"), found("n10"), found("n2")), (Some("n10"), None, None));
        assert_eq!(
            (found("db2"), found("garbd"), found("back")),
            (Some("db21"), Some("garbd-a"), Some("backup-"))
        );
        assert_eq!(found("backup-node"), None);
    }

    #[test]
    fn what_others_ask_for_is_no_answer() {
        let line = |member: &str, rest: &str| {
            format!(
                "2026-11-20 16:08:12.560  INFO: Member 3.0 ({member}) requested state transfer from {rest}"
            )
        };
        let selected = "'a (b)'. Selected 1.0 (a (b))(SYNCED) as donor.";
        let own = line("backup-1", selected);
        assert_eq!(transfer_answer(&own, "backup-1"), Some(TransferAnswer::Donor("a (b)")));
        let any = line("backup-1", "'*any*'. Selected 1.0 (n2)(SYNCED) as donor.");
        assert_eq!(transfer_answer(&any, "backup-1"), Some(TransferAnswer::Donor("n2")));
        for other in ["n3", "backup-12", "x (backup-1"] {
            assert_eq!(transfer_answer(&line(other, selected), "backup-1"), None, "{other}");
        }
        let nobody =
            line("backup-1", "'n7', but it is impossible to select State Transfer donor: No route to host");
        assert!(
            matches!(transfer_answer(&nobody, "backup-1"), Some(TransferAnswer::Nobody(why)) if why.ends_with("No route to host"))
        );
        assert_eq!(transfer_answer("Member 3.0 (backup-1) synced with group.", "backup-1"), None);
    }
}
