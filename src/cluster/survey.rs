//! Asking everybody.

use std::collections::BTreeSet;

use super::access::Access;
use super::node_report::{NodeReport, NodeState};
use crate::model::{DRILL_INCOMING, HostPort, is_drill};
use crate::sql::{Endpoint, SqlSession};

/// A member that the group knows and that has not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Silent {
    /// wsrep_node_name; empty where only its address is known.
    pub name: String,
    /// Its incoming address; empty for an arbitrator and for a node that tells none.
    pub address: String,
    /// Why it has not answered.
    pub why: String,
}

/// Who is there for the clients while one member stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standby {
    /// This one.
    Synced(String),
    /// There is no other member.
    Alone,
    /// None of the others is Synced: their names and states.
    Nobody(Vec<(String, NodeState)>),
    /// None that has answered is, and some have not; why.
    Unknown(String),
}

/// Everything that the members say.
#[derive(Debug, Clone, Default)]
pub struct Survey {
    /// Those that answered: the local one first.
    pub reports: Vec<NodeReport>,
    /// Whether the first of `reports` is the server of this machine.
    pub has_local: bool,
    /// Those that did not.
    pub silent: Vec<Silent>,
    /// Arbitrators (garbd): members without data.
    pub arbitrators: Vec<String>,
}

impl Survey {
    /// Asks the local server, the members that are named, and those that these know.
    pub fn take(access: &Access) -> Self {
        Self::ask_all(access, access.local())
    }

    /// The same for one cluster: that of the members whose addresses are known, where one of them answers. The server of this machine is of it or is
    /// left out, also where the administrator has named members, and none of them answers.
    pub fn of_named(access: &Access) -> Self {
        let mut survey = Self::ask_all(access, None);
        if survey.reports.is_empty() {
            return if access.has_named_members() { survey } else { Self::take(access) };
        }
        if let Some(Ok((local, _))) = access.local().map(|endpoint| ask(access, endpoint))
            && survey.reports.iter().any(|report| report.is_with(&local))
        {
            survey.silent.retain(|silent| silent.name != local.name());
            survey.add(local);
        }
        survey
    }

    fn ask_all(access: &Access, local: Option<Endpoint>) -> Self {
        let mut survey = Self::default();
        let mut known = BTreeSet::new();
        let named = access.members.iter().cloned().map(Endpoint::Tcp);
        let mut local_silence = None;
        for endpoint in local.into_iter().chain(named) {
            let is_local = matches!(endpoint, Endpoint::Socket(_));
            match ask(access, endpoint.clone()) {
                Ok((report, members)) => {
                    survey.has_local |= is_local;
                    known.extend(members);
                    survey.add(report);
                }
                Err(why) if is_local => local_silence = Some(why),
                Err(why) => {
                    survey.silent.push(Silent { name: String::new(), address: endpoint.to_string(), why });
                }
            }
        }
        // Those that tell names first: whoever is met by address alone may be one of them.
        for (name, address) in known.into_iter().rev() {
            survey.meet(access, name, address);
        }
        // No member has answered: then also the local server's silence is worth a warning.
        if survey.reports.is_empty()
            && let Some(why) = local_silence
        {
            let address = access.local().map(|endpoint| endpoint.to_string()).unwrap_or_default();
            survey.silent.insert(0, Silent { name: String::new(), address, why });
        }
        survey
    }

    /// What the server of this session says, and those that it knows or that are named. It is the local one.
    pub fn around(access: &Access, local: Endpoint, session: &mut SqlSession) -> Result<Self, String> {
        let (report, known) = ask_in(local, session)?;
        let mut survey = Self { has_local: true, ..Self::default() };
        survey.add(report);
        for endpoint in access.members.iter().cloned().map(Endpoint::Tcp) {
            match ask(access, endpoint.clone()) {
                Ok((report, _)) => survey.add(report),
                Err(why) => {
                    survey.silent.push(Silent { name: String::new(), address: endpoint.to_string(), why });
                }
            }
        }
        for (name, address) in known.into_iter().rev() {
            survey.meet(access, name, address);
        }
        Ok(survey)
    }

    /// The same members once more: those that have answered before. The others would keep everybody waiting again.
    #[must_use]
    pub fn again(&self, access: &Access) -> Self {
        let mut survey = Self { reports: Vec::new(), ..self.clone() };
        for before in &self.reports {
            match ask(access, before.endpoint.clone()) {
                Ok((report, _)) => survey.add(report),
                Err(why) => survey.silent.push(Silent {
                    name: before.name().to_owned(),
                    address: before.endpoint.to_string(),
                    why,
                }),
            }
        }
        survey.has_local &=
            survey.reports.first().map(NodeReport::name) == self.local().map(NodeReport::name);
        survey
    }

    /// Who is there for the clients while the member of this name stands still.
    pub fn standby(&self, name: &str) -> Standby {
        let others = || self.reports.iter().filter(|report| report.name() != name);
        if let Some(synced) = others().find(|report| report.is_synced()) {
            return Standby::Synced(synced.name().to_owned());
        }
        let silent: Vec<&Silent> = self.silent.iter().filter(|silent| silent.name != name).collect();
        if self.reports.is_empty() || !silent.is_empty() {
            let why = silent.iter().map(|silent| silent.why.as_str()).collect::<Vec<_>>().join("; ");
            return Standby::Unknown(why);
        }
        let others: Vec<(String, NodeState)> =
            others().map(|report| (report.name().to_owned(), report.state())).collect();
        if others.is_empty() { Standby::Alone } else { Standby::Nobody(others) }
    }

    /// Asks a member that the group knows, unless it has answered already. The name may be unknown.
    fn meet(&mut self, access: &Access, name: String, address: String) {
        // It is gone in a moment, and answers nobody.
        if is_drill(&name) || address == DRILL_INCOMING {
            return;
        }
        // AUTO is the address of every node that has not found out its own.
        let is_auto = address.eq_ignore_ascii_case("AUTO");
        let is_met = |known: &str| !known.is_empty() && !is_auto && known == address;
        if self.report(&name).is_some() || self.silent.iter().any(|silent| is_met(&silent.address)) {
            return;
        }
        if address.is_empty() {
            // mysqld always tells an address, AUTO or not; garbd has none.
            self.arbitrators.push(if name.is_empty() { "garbd".into() } else { name });
            return;
        }
        if is_auto {
            let why = "it does not tell its address for SQL (wsrep_node_incoming_address is AUTO there); set it there, or name the member \
                       with the setting 'members' or --members";
            self.silent.push(Silent { name, address, why: why.to_owned() });
            return;
        }
        let answer = address
            .parse::<HostPort>()
            .and_then(|address| ask(access, Endpoint::Tcp(address)))
            .and_then(|(report, _)| {
                let found = report.name().to_owned();
                let is_right = name.is_empty() || found == name;
                if is_right { Ok(report) } else { Err(format!("'{found}' answers there")) }
            });
        match answer {
            Ok(report) => self.add(report),
            Err(why) => self.silent.push(Silent { name, address, why }),
        }
    }

    /// State UUID of the group's history, where the members in the Primary component say one and the same.
    pub fn history(&self) -> Option<&str> {
        let is_known = |uuid: &&str| uuid.bytes().any(|byte| !matches!(byte, b'0' | b'-'));
        let primary = self.reports.iter().filter(|report| report.is_primary());
        let mut told = primary.filter_map(NodeReport::state_uuid).filter(is_known);
        let first = told.next()?;
        told.all(|other| other == first).then_some(first)
    }

    /// The furthest position of the members of that history, where one of them is Synced: others lag behind.
    pub fn last_committed(&self) -> Option<i64> {
        let history = self.history()?;
        let of_it =
            self.reports.iter().filter(|report| report.is_primary() && report.state_uuid() == Some(history));
        let is_known = of_it.clone().any(NodeReport::is_synced);
        of_it.filter_map(NodeReport::last_committed).max().filter(|_| is_known)
    }

    fn add(&mut self, report: NodeReport) {
        if self.report(report.name()).is_none() {
            self.reports.push(report);
        }
    }

    /// The answer of the node of this name.
    pub fn report(&self, name: &str) -> Option<&NodeReport> {
        self.reports.iter().find(|report| report.name() == name)
    }

    /// The answer of the server of this machine.
    pub fn local(&self) -> Option<&NodeReport> {
        self.reports.first().filter(|_| self.has_local)
    }
}

/// A member of the group: its name, which may be empty, and its incoming address.
type GroupMember = (String, String);

/// One member's answer, and whom it knows.
fn ask(access: &Access, endpoint: Endpoint) -> Result<(NodeReport, Vec<GroupMember>), String> {
    let mut session = access.connect(&endpoint)?;
    ask_in(endpoint, &mut session)
}

/// The same in a session that is open.
fn ask_in(endpoint: Endpoint, session: &mut SqlSession) -> Result<(NodeReport, Vec<GroupMember>), String> {
    let report = NodeReport::ask(endpoint, session)?;
    let members = match session.cluster_members() {
        Ok(members) if !members.is_empty() => members,
        told => {
            log::debug!("'{}' does not tell the names of the members: {:?}", report.name(), told.err());
            others_by_address(&report)
        }
    };
    Ok((report, members))
}

/// The other members by `wsrep_incoming_addresses`, in which `wsrep_local_index` is the place of the member itself.
fn others_by_address(report: &NodeReport) -> Vec<GroupMember> {
    let addresses = report.status("wsrep_incoming_addresses").unwrap_or_default().split(',').map(str::trim);
    let own = report.number("wsrep_local_index").and_then(|index| usize::try_from(index).ok());
    let others = addresses.enumerate().filter(|(index, _)| Some(*index) != own);
    others.map(|(_, address)| (String::new(), address.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::config::{OptionFiles, ServerOptions, Settings};
    use crate::hosts;

    #[test]
    fn without_the_names_the_addresses_tell_who_else_is_there() {
        let endpoint = Endpoint::Tcp("a".parse().unwrap());
        let status = [("wsrep_incoming_addresses", "a:1,b:1,,AUTO"), ("wsrep_local_index", "1")];
        let report = NodeReport::of(endpoint.clone(), &[("wsrep_node_name", "n2")], &status);
        let addresses: Vec<String> = others_by_address(&report).into_iter().map(|(_, a)| a).collect();
        assert_eq!(addresses, ["a:1", "", "AUTO"]);
        let alone = [("wsrep_incoming_addresses", "a:1"), ("wsrep_local_index", "0")];
        assert!(others_by_address(&NodeReport::of(endpoint, &[], &alone)).is_empty());
    }

    #[test]
    fn where_members_are_named_the_server_here_is_not_asked_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let socket = UnixListener::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let closed = hosts::free_port(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let members = vec![HostPort { host: "127.0.0.1".into(), port: Some(closed) }];
        let settings = Settings { members, socket: Some(path), ..Settings::default() };
        let server = ServerOptions::from(&OptionFiles::default(), &[], None);
        let survey = Survey::of_named(&Access::new(&settings, &server, None));
        assert_eq!((survey.reports.len(), survey.silent.len()), (0, 1));
        assert!(socket.accept().is_err(), "it was asked");
    }

    #[test]
    fn members_that_tell_no_address_are_each_silent() {
        let access = Access::to_members(&Settings::default(), None);
        let mut survey = Survey::default();
        for name in ["n2", "n3"] {
            survey.meet(&access, name.into(), "AUTO".into());
        }
        let silent: Vec<&str> = survey.silent.iter().map(|silent| silent.name.as_str()).collect();
        assert_eq!((silent, survey.arbitrators.len()), (vec!["n2", "n3"], 0));
        assert!(survey.silent[0].why.contains("wsrep_node_incoming_address is AUTO"), "{:?}", survey.silent);
    }

    #[test]
    fn a_drilled_server_is_no_member_that_is_asked() {
        let access = Access::to_members(&Settings::default(), None);
        let mut survey = Survey::default();
        survey.meet(&access, crate::model::drill_name(), "192.0.2.1:3306".into());
        survey.meet(&access, crate::model::drill_name(), String::new());
        survey.meet(&access, String::new(), DRILL_INCOMING.into());
        assert_eq!((survey.silent, survey.arbitrators), (vec![], vec![]));
    }

    #[test]
    fn a_member_stands_still_only_while_another_is_synced() {
        let member = |name: &str, state: &str| {
            NodeReport::of(
                Endpoint::Tcp(name.parse().unwrap()),
                &[("wsrep_node_name", name)],
                &[("wsrep_local_state", state), ("wsrep_cluster_status", "Primary")],
            )
        };
        let silent = |name: &str| Silent { name: name.into(), address: "a:1".into(), why: "refused".into() };
        let standby = |reports: Vec<NodeReport>, silent: Vec<Silent>| {
            Survey { reports, silent, ..Survey::default() }.standby("n1")
        };
        let (own, donor) = (|| member("n1", "2"), || member("n2", "2"));
        assert_eq!(standby(vec![own(), donor(), member("n3", "4")], vec![]), Standby::Synced("n3".into()));
        assert_eq!(standby(vec![own()], vec![]), Standby::Alone);
        assert_eq!(standby(vec![own()], vec![silent("n1")]), Standby::Alone);
        assert_eq!(
            standby(vec![own(), donor()], vec![]),
            Standby::Nobody(vec![("n2".into(), NodeState::Donor)])
        );
        let unknown = Standby::Unknown("refused".into());
        assert_eq!(standby(vec![own(), donor()], vec![silent("n3")]), unknown);
        assert_eq!(standby(vec![own()], vec![silent("")]), unknown);
        assert_eq!(standby(vec![], vec![]), Standby::Unknown(String::new()));
    }
}
