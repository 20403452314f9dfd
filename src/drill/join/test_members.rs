//! Members as tests want them.

use crate::cluster::NodeReport;
use crate::sql::Endpoint;

/// The history of all of them.
pub(super) const UUID: &str = "64f8fd84-e4fc-11f1-a7f7-8a19f99d6a1a";

/// One that is calm, but for one word of its status.
pub(super) fn member(name: &str, change: (&str, &str)) -> NodeReport {
    let mut status = vec![
        ("wsrep_cluster_status", "Primary"),
        ("wsrep_local_state", "4"),
        ("wsrep_cluster_state_uuid", UUID),
        ("wsrep_local_cached_downto", "5"),
        ("wsrep_last_committed", "20"),
        ("wsrep_cluster_size", "2"),
        ("wsrep_cluster_conf_id", "7"),
    ];
    // The later one of two counts.
    status.push(change);
    NodeReport::of(
        Endpoint::Tcp(name.parse().unwrap()),
        &[("wsrep_node_name", name), ("wsrep_cluster_name", "c")],
        &status,
    )
}
