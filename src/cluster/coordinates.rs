//! Where a cluster is: its group's name and address, and how its members talk to each other.
//!
//! A running server's variables are the truth; its option files speak for one that does not answer; flags speak for
//! a machine that is no node at all.

use super::address::ClusterAddress;
use super::node_report::NodeReport;
use crate::config::ServerOptions;

/// The name, address and options with which a program joins a group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coordinates {
    /// wsrep_cluster_name.
    pub group: Option<String>,
    /// wsrep_cluster_address.
    pub address: Option<String>,
    /// wsrep_provider_options.
    pub provider_options: Option<String>,
    /// wsrep_node_name of the local node.
    pub node: Option<String>,
    /// wsrep_node_address of the local node.
    pub node_address: Option<String>,
}

impl Coordinates {
    /// From the option files of the server on this machine.
    pub fn from_options(options: &ServerOptions) -> Self {
        let coordinates = Self::by(|name| options.get(name).filter(|value| !value.is_empty()));
        Self { provider_options: options.provider_options(), ..coordinates }
    }

    /// From a member that answers.
    pub fn from_report(report: &NodeReport) -> Self {
        Self::by(|name| report.variable(name))
    }

    fn by<'a>(variable: impl Fn(&str) -> Option<&'a str>) -> Self {
        let get = |name: &str| variable(name).map(ToOwned::to_owned);
        Self {
            group: get("wsrep_cluster_name"),
            address: get("wsrep_cluster_address"),
            provider_options: get("wsrep_provider_options"),
            node: get("wsrep_node_name"),
            node_address: get("wsrep_node_address"),
        }
    }

    /// What is missing here, from there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            group: self.group.or(other.group),
            address: self.address.or(other.address),
            provider_options: self.provider_options.or(other.provider_options),
            node: self.node.or(other.node),
            node_address: self.node_address.or(other.node_address),
        }
    }

    /// The group's address; an error for one that is not understood.
    pub fn cluster_address(&self) -> Result<ClusterAddress, String> {
        self.address.as_deref().unwrap_or_default().parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_knows_is_heard() {
        let first = Coordinates { group: Some("a".into()), ..Coordinates::default() };
        let second =
            Coordinates { group: Some("b".into()), node: Some("n".into()), ..Coordinates::default() };
        let both = first.or(second);
        assert_eq!((both.group.as_deref(), both.node.as_deref()), (Some("a"), Some("n")));
    }
}
