//! What a node has to do, and in which state it is.

use std::collections::HashMap;

/// Numbers of `SHOW STATUS LIKE 'wsrep_%'`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeLoad {
    /// Write sets that wait to be applied (`wsrep_local_recv_queue`).
    pub queue: u64,
    /// How often this node has asked the cluster to wait (`wsrep_flow_control_sent`), since its counters were last reset.
    pub flow_control_sent: u64,
    /// `wsrep_local_state` is 4.
    pub is_synced: bool,
    /// It is in the Primary component.
    pub is_primary: bool,
    /// How often it is desynced (`wsrep_desync_count`): by hand, by a lock or by a transfer.
    pub desyncs: u64,
    /// Its last committed seqno.
    pub last_committed: Option<i64>,
    /// The first seqno that its gcache still has (`wsrep_local_cached_downto`).
    pub cached_downto: Option<i64>,
}

impl NodeLoad {
    pub(super) fn of(status: &HashMap<String, String>) -> Self {
        let text = |name: &str| status.get(name).map(String::as_str);
        let number = |name: &str| text(name).and_then(|number| number.parse().ok()).unwrap_or(0);
        let seqno = |name: &str| text(name).and_then(|number| number.parse().ok());
        Self {
            queue: number("wsrep_local_recv_queue"),
            flow_control_sent: number("wsrep_flow_control_sent"),
            is_synced: text("wsrep_local_state") == Some("4"),
            is_primary: text("wsrep_cluster_status") == Some("Primary"),
            desyncs: number("wsrep_desync_count"),
            last_committed: seqno("wsrep_last_committed"),
            cached_downto: seqno("wsrep_local_cached_downto"),
        }
    }
}
