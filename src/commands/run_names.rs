//! What the backup of a `run` is called, by the server's own word, or by the option files while it has not answered.

use std::sync::Arc;

use jiff::Timestamp;

use crate::cluster::NodeReport;
use crate::config::{ServerOptions, Settings};
use crate::job::Metrics;
use crate::lease;
use crate::model::safe_component;

/// The names of a backup.
pub(super) struct RunNames {
    /// The cluster in the manifest; of a server by itself the setting `cluster`, else its host.
    pub(super) cluster: String,
    /// The server.
    pub(super) node: String,
    /// The cluster's folder.
    pub(super) folder: String,
}

impl RunNames {
    /// By the server's own word.
    pub(super) fn of(own: &NodeReport, settings: &Settings) -> Self {
        let group = is_node(own).then(|| own.group().to_owned());
        Self::new(group, server_name(own), settings)
    }

    /// By its option files.
    pub(super) fn configured(server: &ServerOptions, settings: &Settings) -> Self {
        let set = |name: &str| server.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let group = set("wsrep-cluster-name").filter(|_| server.flag("wsrep-on") != Some(false));
        Self::new(group, set("wsrep-node-name").unwrap_or_else(lease::host), settings)
    }

    fn new(group: Option<String>, node: String, settings: &Settings) -> Self {
        let named = settings.cluster.clone();
        let cluster = group.or_else(|| named.clone()).unwrap_or_else(lease::host);
        let folder = safe_component(named.as_deref().unwrap_or(&cluster));
        Self { cluster, node, folder }
    }

    /// Where the numbers of a run go that begins now.
    pub(super) fn metrics(&self, settings: &Settings) -> Arc<Metrics> {
        let path = settings.metrics_file.clone();
        Arc::new(Metrics::new(path, &self.folder, &self.node, Timestamp::now()))
    }
}

/// Whether the server is a node of a cluster.
pub(super) fn is_node(own: &NodeReport) -> bool {
    own.variable("wsrep_on") == Some("ON")
}

/// `wsrep_node_name`, which is the host's name where it is not set; a server without wsrep may have none.
pub(super) fn server_name(own: &NodeReport) -> String {
    if own.name().is_empty() { lease::host() } else { own.name().to_owned() }
}
