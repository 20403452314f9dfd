//! Whether a node may be desynced now.

use std::fmt;

use crate::cluster::{NodeReport, NodeState, Standby, Survey};
use crate::model::{PROVIDER_OPTIONS, syncs_donor};

/// Why it may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DesyncRefusal {
    /// The server of this machine has not answered; why.
    NoAnswer(String),
    /// It is no Galera node.
    NoGalera(String),
    /// It is not Synced: its name and state.
    NotSynced(String, String),
    /// It takes part in flow control although it is desynced: its name.
    SyncsDonor(String),
    /// Other members are desynced: names and states.
    Others(Vec<String>),
    /// No other Synced node would be left.
    LastSynced(String),
}

impl DesyncRefusal {
    /// Whether a member, this one or another, is desynced: for a backup, perhaps.
    pub fn is_of_a_donor(&self) -> bool {
        match self {
            Self::NotSynced(_, state) => *state == NodeState::Donor.to_string(),
            Self::Others(_) => true,
            Self::NoAnswer(_) | Self::NoGalera(_) | Self::SyncsDonor(_) | Self::LastSynced(_) => false,
        }
    }

    /// Whether `--force` overrides it.
    pub fn can_be_forced(&self) -> bool {
        matches!(self, Self::SyncsDonor(_) | Self::Others(_) | Self::LastSynced(_))
    }
}

impl fmt::Display for DesyncRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(why) => write!(
                f,
                "the server of this machine does not answer: {why}; set 'user', 'password' and 'socket' in [wsrep_sst_backup], or run \
                 this as the server's user"
            ),
            Self::NoGalera(name) => {
                write!(f, "the server '{name}' is no node of a Galera cluster: nothing is to be desynced")
            }
            Self::NotSynced(name, state) => write!(
                f,
                "node '{name}' is {state}, not Synced: wait until it is; where it was desynced by hand, that is left alone (SET GLOBAL \
                 wsrep_desync=OFF)"
            ),
            Self::SyncsDonor(name) => write!(
                f,
                "gcs.sync_donor is on on '{name}': desynced it would hold up the writes of the whole cluster all the same; set it to 'no' in \
                 wsrep_provider_options, or allow it with allow-sync-donor or --force"
            ),
            Self::Others(states) => write!(
                f,
                "{}: another backup, a state transfer, or somebody's wsrep_desync; a second desynced member is for --force only",
                states.join(", ")
            ),
            Self::LastSynced(name) => write!(
                f,
                "'{name}' is the only Synced node: desynced it would leave none for the clients; --force does it all the same"
            ),
        }
    }
}

/// Judges what the members say; what speaks against it and is forced or allowed (`allow-sync-donor`), and what is not known, in words.
pub fn judge(survey: &Survey, force: bool, allow_sync_donor: bool) -> Result<Vec<String>, DesyncRefusal> {
    let Some(own) = survey.local() else {
        let why: Vec<&str> = survey.silent.iter().map(|silent| silent.why.as_str()).collect();
        return Err(DesyncRefusal::NoAnswer(why.first().copied().unwrap_or("it has no socket").to_owned()));
    };
    let name = own.name().to_owned();
    if own.variable("wsrep_on") != Some("ON") || own.provider_version().is_none() {
        return Err(DesyncRefusal::NoGalera(own.name().to_owned()));
    }
    if !own.is_primary() {
        return Err(DesyncRefusal::NotSynced(name, "not in the Primary component".into()));
    }
    if own.state() != NodeState::Synced || own.desync_count() > 0 {
        return Err(DesyncRefusal::NotSynced(name, own.state().to_string()));
    }
    let mut warnings = Vec::new();
    if own.variable(PROVIDER_OPTIONS).is_some_and(syncs_donor) {
        object(DesyncRefusal::SyncsDonor(name.clone()), force || allow_sync_donor, &mut warnings)?;
    }
    others(survey, &name, force, &mut warnings)?;
    match survey.standby(&name) {
        Standby::Synced(_) => {}
        Standby::Alone | Standby::Nobody(_) => object(DesyncRefusal::LastSynced(name), force, &mut warnings)?,
        Standby::Unknown(why) => {
            warnings.push(format!("whether another member is Synced is not known: {why}"));
        }
    }
    Ok(warnings)
}

/// The same once this node is desynced: two that were not when each looked may have begun at once.
pub fn judge_again(survey: &Survey, name: &str, force: bool) -> Result<(), DesyncRefusal> {
    others(survey, name, force, &mut Vec::new())
}

fn others(survey: &Survey, name: &str, force: bool, warnings: &mut Vec<String>) -> Result<(), DesyncRefusal> {
    let is_desynced = |report: &&NodeReport| report.state() == NodeState::Donor || report.desync_count() > 0;
    let others = survey.reports.iter().filter(|report| report.name() != name && report.is_primary());
    let states: Vec<String> = others
        .filter(is_desynced)
        .map(|report| format!("'{}' is {}", report.name(), report.state()))
        .collect();
    if states.is_empty() { Ok(()) } else { object(DesyncRefusal::Others(states), force, warnings) }
}

fn object(refusal: DesyncRefusal, force: bool, warnings: &mut Vec<String>) -> Result<(), DesyncRefusal> {
    if !force {
        return Err(refusal);
    }
    warnings.push(format!("forced: {refusal}"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Endpoint;

    fn member(name: &str, state: &str, desyncs: &str) -> NodeReport {
        member_with(name, state, desyncs, "gcs.sync_donor = no; ")
    }

    fn member_with(name: &str, state: &str, desyncs: &str, options: &str) -> NodeReport {
        NodeReport::of(
            Endpoint::Tcp(name.parse().unwrap()),
            &[("wsrep_node_name", name), ("wsrep_on", "ON"), (PROVIDER_OPTIONS, options)],
            &[
                ("wsrep_local_state", state),
                ("wsrep_cluster_status", "Primary"),
                ("wsrep_desync_count", desyncs),
                ("wsrep_provider_version", "26.4.23"),
            ],
        )
    }

    fn survey(reports: Vec<NodeReport>) -> Survey {
        Survey { reports, has_local: true, ..Survey::default() }
    }

    #[test]
    fn the_members_decide_and_force_overrides_what_others_are_doing() {
        let own = || member("n1", "4", "0");
        let judged = |reports: Vec<NodeReport>| judge(&survey(reports), false, false);
        assert_eq!(judged(vec![own(), member("n2", "4", "0")]), Ok(vec![]));
        let last = DesyncRefusal::LastSynced("n1".into());
        assert_eq!(judged(vec![own()]), Err(last.clone()));
        assert_eq!(judged(vec![own(), member("n2", "3", "0")]), Err(last));
        let others = DesyncRefusal::Others(vec!["'n2' is Donor/Desynced".into()]);
        assert_eq!(judged(vec![own(), member("n2", "2", "1"), member("n3", "4", "0")]), Err(others));
        assert!(matches!(
            judged(vec![own(), member("n2", "4", "1"), member("n3", "4", "0")]),
            Err(DesyncRefusal::Others(_))
        ));
        for mine in [member("n1", "2", "1"), member("n1", "4", "1"), member("n1", "3", "0")] {
            let refusal = judge(&survey(vec![mine, member("n2", "4", "0")]), true, true).unwrap_err();
            assert!(matches!(refusal, DesyncRefusal::NotSynced(..)) && !refusal.can_be_forced());
        }
        let forced = judge(&survey(vec![own(), member("n2", "2", "1")]), true, false).unwrap();
        assert_eq!(forced.len(), 2, "{forced:?}");
        assert!(matches!(judge(&Survey::default(), true, true), Err(DesyncRefusal::NoAnswer(_))));
        let standalone = NodeReport::of(Endpoint::Socket("/s".into()), &[("wsrep_on", "OFF")], &[]);
        assert!(matches!(judge(&survey(vec![standalone]), true, true), Err(DesyncRefusal::NoGalera(_))));
    }

    #[test]
    fn a_node_that_holds_up_its_cluster_although_it_is_desynced_is_for_those_who_want_it() {
        let syncing = member_with("n1", "4", "0", "gcache.size = 1G; gcs.sync_donor = yes; ");
        let survey = survey(vec![syncing, member_with("n2", "4", "0", "gcs.sync_donor = yes; ")]);
        let refusal = judge(&survey, false, false).unwrap_err();
        assert_eq!(refusal, DesyncRefusal::SyncsDonor("n1".into()));
        assert!(refusal.can_be_forced() && !refusal.is_of_a_donor());
        for (force, allow) in [(true, false), (false, true)] {
            let warnings = judge(&survey, force, allow).unwrap();
            assert!(
                warnings.len() == 1 && warnings[0].contains("gcs.sync_donor is on on 'n1'"),
                "{warnings:?}"
            );
        }
    }

    #[test]
    fn once_desynced_a_node_looks_at_the_others_only() {
        let survey = survey(vec![member("n1", "2", "1"), member("n2", "4", "0")]);
        assert_eq!(judge_again(&survey, "n1", false), Ok(()));
        assert!(judge_again(&survey, "n2", false).is_err());
    }
}
