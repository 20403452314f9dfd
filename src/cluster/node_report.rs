//! What one member says of itself.

use std::collections::HashMap;
use std::fmt;

use serde::Serialize;

use crate::sql::{Endpoint, SqlSession};

/// `wsrep_local_state` (`galera/src/replicator_smm_stats.cpp`, `state2stats`): the number is stable, the comment is for
/// people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// 1: it receives a state transfer, or has no cluster.
    Joining,
    /// 2: it gives a state transfer, or was desynced by hand.
    Donor,
    /// 3: it catches up.
    Joined,
    /// 4.
    Synced,
    /// Anything else, such as 0 (not initialised).
    Other,
}

impl NodeState {
    fn from_number(text: &str) -> Self {
        match text {
            "1" => Self::Joining,
            "2" => Self::Donor,
            "3" => Self::Joined,
            "4" => Self::Synced,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Joining => "Joining",
            Self::Donor => "Donor/Desynced",
            Self::Joined => "Joined",
            Self::Synced => "Synced",
            Self::Other => "not in a cluster",
        })
    }
}

/// A member's answer.
#[derive(Debug, Clone)]
pub struct NodeReport {
    /// Where it answered.
    pub endpoint: Endpoint,
    variables: HashMap<String, String>,
    status: HashMap<String, String>,
}

/// What is asked of a member.
const VARIABLES: [&str; 27] = [
    "basedir",
    "datadir",
    "file_key_management_filename",
    "innodb_data_home_dir",
    "innodb_encrypt_log",
    "innodb_encrypt_tables",
    "innodb_log_group_home_dir",
    "innodb_undo_directory",
    "lock_wait_timeout",
    "log_bin_basename",
    "pid_file",
    "port",
    // Percona XtraDB Cluster only.
    "pxc_strict_mode",
    "read_only",
    "version",
    "version_comment",
    "wsrep_cluster_address",
    "wsrep_cluster_name",
    "wsrep_data_home_dir",
    "wsrep_node_address",
    "wsrep_node_incoming_address",
    "wsrep_node_name",
    "wsrep_on",
    "wsrep_provider_options",
    // Percona XtraDB Cluster only.
    "wsrep_sst_allowed_methods",
    "wsrep_sst_auth",
    "wsrep_sst_donor_rejects_queries",
];

impl NodeReport {
    /// Asks.
    pub fn ask(endpoint: Endpoint, session: &mut SqlSession) -> Result<Self, String> {
        let variables = session.variables(&VARIABLES)?;
        let mut status = session.status("wsrep_")?;
        status.extend(session.status("Uptime")?);
        Ok(Self { endpoint, variables, status })
    }

    /// From what another process has been told; see [`NodeReport::into_parts`].
    pub fn from_parts(
        endpoint: Endpoint,
        variables: HashMap<String, String>,
        status: HashMap<String, String>,
    ) -> Self {
        Self { endpoint, variables, status }
    }

    /// Variables and status.
    pub fn into_parts(self) -> (HashMap<String, String>, HashMap<String, String>) {
        (self.variables, self.status)
    }

    /// From given values, for tests.
    #[cfg(test)]
    pub(crate) fn of(endpoint: Endpoint, variables: &[(&str, &str)], status: &[(&str, &str)]) -> Self {
        let map = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        Self { endpoint, variables: map(variables), status: map(status) }
    }

    /// A variable of [`VARIABLES`], unless it is empty.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A status variable that begins with `wsrep_` or `uptime`, unless it is empty.
    pub fn status(&self, name: &str) -> Option<&str> {
        self.status.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A status variable that is a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.status(name)?.parse().ok()
    }

    /// wsrep_node_name.
    pub fn name(&self) -> &str {
        self.variable("wsrep_node_name").unwrap_or_default()
    }

    /// wsrep_cluster_name.
    pub fn group(&self) -> &str {
        self.variable("wsrep_cluster_name").unwrap_or_default()
    }

    /// Its state in the group.
    pub fn state(&self) -> NodeState {
        self.status("wsrep_local_state").map_or(NodeState::Other, NodeState::from_number)
    }

    /// Whether it is in the Primary component.
    pub fn is_primary(&self) -> bool {
        self.status("wsrep_cluster_status") == Some("Primary")
    }

    /// Whether it is Synced, in the Primary component, and answers queries.
    pub fn is_synced(&self) -> bool {
        self.is_primary() && self.state() == NodeState::Synced
    }

    /// Whether both are nodes of one cluster by what they say: its name, and where both are in a Primary component its history and the number of its
    /// configuration, in which a copy of the cluster differs. A node may be cut off from its cluster; a server that has left it, or was in none, is no
    /// node of it.
    pub fn is_with(&self, other: &Self) -> bool {
        let is_node = |report: &Self| {
            report.status("wsrep_cluster_status").is_some_and(|component| component != "Disconnected")
        };
        let is_known = self.is_primary() && other.is_primary();
        is_node(self)
            && is_node(other)
            && self.group() == other.group()
            && (!is_known || (self.state_uuid() == other.state_uuid() && self.conf_id() == other.conf_id()))
    }

    /// How often it was desynced, by hand or by a transfer.
    pub fn desync_count(&self) -> i64 {
        self.number("wsrep_desync_count").unwrap_or(0)
    }

    /// The number of the configuration that it is in: all members of a component have the same one, unless it changes just then.
    pub fn conf_id(&self) -> Option<i64> {
        self.number("wsrep_cluster_conf_id")
    }

    /// UUID of the group's history.
    pub fn state_uuid(&self) -> Option<&str> {
        self.status("wsrep_cluster_state_uuid")
    }

    /// The oldest seqno in its gcache.
    pub fn cached_downto(&self) -> Option<i64> {
        self.number("wsrep_local_cached_downto")
    }

    /// Bytes of write sets that have gone through its gcache since its counters were last reset, with the seconds
    /// since then: those it has replicated and those it has received.
    pub fn traffic(&self) -> Option<(u64, u64)> {
        let count = |name| self.number(name).and_then(|number| u64::try_from(number).ok());
        let bytes = count("wsrep_replicated_bytes")?.saturating_add(count("wsrep_received_bytes")?);
        Some((bytes, count("uptime_since_flush_status").or_else(|| count("uptime"))?))
    }

    /// `wsrep_provider_version`: `26.4.23(r…)`, `25.3.37(r…)`.
    pub fn provider_version(&self) -> Option<&str> {
        self.status("wsrep_provider_version")
    }

    /// Its last committed seqno.
    pub fn last_committed(&self) -> Option<i64> {
        self.number("wsrep_last_committed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_synced_only_in_the_primary_component() {
        let endpoint = || Endpoint::Tcp("a".parse().unwrap());
        let of = |state, component| {
            NodeReport::of(
                endpoint(),
                &[("wsrep_node_name", "n1")],
                &[("wsrep_local_state", state), ("wsrep_cluster_status", component)],
            )
        };
        assert!(of("4", "Primary").is_synced());
        assert!(!of("4", "non-Primary").is_synced());
        assert!(!of("2", "Primary").is_synced());
        assert_eq!(of("2", "Primary").state().to_string(), "Donor/Desynced");
        assert_eq!(of("0", "Disconnected").state(), NodeState::Other);
        assert_eq!(of("4", "Primary").name(), "n1");
    }

    #[test]
    fn a_server_by_itself_or_of_another_cluster_is_no_node_of_this_one() {
        let in_configuration = |group, component, uuid, number| {
            NodeReport::of(
                Endpoint::Tcp("a".parse().unwrap()),
                &[("wsrep_cluster_name", group)],
                &[
                    ("wsrep_cluster_status", component),
                    ("wsrep_cluster_state_uuid", uuid),
                    ("wsrep_cluster_conf_id", number),
                ],
            )
        };
        let of = |group, component, uuid| in_configuration(group, component, uuid, "7");
        let node = of("c", "Primary", "u");
        assert!(node.is_with(&of("c", "Primary", "u")));
        // One that is cut off is a node all the same.
        assert!(node.is_with(&in_configuration("c", "non-Primary", "u", "18446744073709551615")));
        for stranger in [
            of("c", "Disconnected", "u"),
            of("other", "Primary", "u"),
            of("c", "Primary", "v"),
            of("c", "", ""),
            in_configuration("c", "Primary", "u", "3"),
        ] {
            assert!(!node.is_with(&stranger), "{stranger:?}");
        }
    }
}
