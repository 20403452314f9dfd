//! `wsrep_sst_backup.json`, the first member of every archive: it repeats what the manifest says.
//!
//! The manifest is the only object that nothing holds a digest of; this member's digest is in the index. So what
//! decides about a restore is compared with it, or taken from it.

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{Manifest, MariadbGtid, ServerIdentity, WsrepGtid, not_understood};

/// The member's content. Its fields have the same types and values in the manifest (doc/format.md).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Identity {
    format: u32,
    id: String,
    cluster: String,
    node: String,
    request: Option<String>,
    started: Timestamp,
    frozen_at: Timestamp,
    gtid: WsrepGtid,
    mariadb_gtid: MariadbGtid,
    server: ServerIdentity,
}

/// A field in which manifest and archive contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The field.
    pub field: &'static str,
    /// The words for it, which follow the name of the manifest.
    pub what: String,
}

impl Contradiction {
    /// Whether a restore could go wrong by it. Times and labels are only told.
    pub fn matters(&self) -> bool {
        !matches!(self.field, "request" | "started" | "frozen_at") && !self.field.starts_with("server.")
    }
}

impl Identity {
    /// Reads the member's content.
    pub fn parse(content: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(content).map_err(|error| not_understood(&error))
    }

    /// The data directory on the donor. A restore takes it from here: paths are rewritten by it.
    pub fn datadir(&self) -> &str {
        &self.server.datadir
    }

    /// Where the manifest says something else. What only one of them knows is no contradiction.
    pub fn contradictions(&self, manifest: &Manifest) -> Vec<Contradiction> {
        let (here, there) = (&manifest.mariadb_gtid, &self.mariadb_gtid);
        let text = |value: &dyn ToString| Some(value.to_string());
        let size = |server: &ServerIdentity| server.innodb_page_size.map(|size| size.to_string());
        let pairs = [
            ("format", text(&manifest.format), text(&self.format)),
            ("id", text(&manifest.id), text(&self.id)),
            ("cluster", text(&manifest.cluster), text(&self.cluster)),
            ("node", text(&manifest.node), text(&self.node)),
            ("request", manifest.request.clone(), self.request.clone()),
            ("started", text(&manifest.started), text(&self.started)),
            ("frozen_at", text(&manifest.frozen_at), text(&self.frozen_at)),
            ("gtid", text(&manifest.gtid), text(&self.gtid)),
            ("mariadb_gtid.binlog_pos", here.binlog_pos.clone(), there.binlog_pos.clone()),
            ("mariadb_gtid.current_pos", here.current_pos.clone(), there.current_pos.clone()),
            ("mariadb_gtid.slave_pos", here.slave_pos.clone(), there.slave_pos.clone()),
            ("server.version", manifest.server.version.clone(), self.server.version.clone()),
            ("server.innodb_page_size", size(&manifest.server), size(&self.server)),
        ];
        let differ = pairs.into_iter().filter_map(|(field, here, there)| Some((field, here?, there?)));
        differ
            .filter(|(_, here, there)| here != there)
            .map(|(field, here, there)| {
                let what = format!("it says {field} '{here}', the archive says '{there}'");
                Contradiction { field, what }
            })
            .collect()
    }
}
