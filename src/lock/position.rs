//! Where a locked server stands.

use crate::model::{MariadbGtid, WsrepGtid};
use crate::sql::SqlSession;

/// The position under the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockPosition {
    /// Of a node of a Galera cluster; none of another server.
    pub wsrep: Option<WsrepGtid>,
    /// MariaDB's own.
    pub mariadb: MariadbGtid,
}

impl LockPosition {
    /// Asks a server that holds still; with `is_node` it must have a position in the history of its cluster.
    pub(super) fn of(session: &mut SqlSession, is_node: bool) -> Result<Self, String> {
        let wsrep = if is_node { Some(wsrep(session)?) } else { None };
        Ok(Self { wsrep, mariadb: session.mariadb_gtid()? })
    }
}

fn wsrep(session: &mut SqlSession) -> Result<WsrepGtid, String> {
    let status = session.status("wsrep_")?;
    let get = |name: &str| {
        status.get(name).map(String::as_str).ok_or_else(|| format!("the server does not tell its {name}"))
    };
    if get("wsrep_cluster_status")? != "Primary" {
        return Err("the node is not in the Primary component any more".into());
    }
    let text = format!("{}:{}", get("wsrep_local_state_uuid")?, get("wsrep_last_committed")?);
    let mut gtid: WsrepGtid = text.parse().map_err(|error: crate::model::GtidError| error.to_string())?;
    let domain = session.variables(&["wsrep_gtid_domain_id"])?.remove("wsrep_gtid_domain_id");
    gtid.domain_id = domain.and_then(|domain| domain.parse().ok());
    Ok(gtid)
}
