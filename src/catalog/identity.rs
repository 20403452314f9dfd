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
    /// Where the files were stored before it was known, the first one of two does not have it.
    frozen_at: Option<Timestamp>,
    gtid: Option<WsrepGtid>,
    /// Archives of the first versions do not have it.
    donor_gtid: Option<String>,
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
        !matches!(self.field, "request" | "started" | "frozen_at" | "donor_gtid")
            && !self.field.starts_with("server.")
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

    /// The same of an identity that was written before the position was known; another one stands behind the files.
    pub fn contradictions_before_position(&self, manifest: &Manifest) -> Vec<Contradiction> {
        let all = self.contradictions(manifest).into_iter();
        all.filter(|found| {
            !matches!(found.field, "gtid" | "frozen_at") && !found.field.starts_with("mariadb_gtid.")
        })
        .collect()
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
            ("frozen_at", text(&manifest.frozen_at), self.frozen_at.as_ref().map(ToString::to_string)),
            ("gtid", Some(words(manifest.gtid.as_ref())), Some(words(self.gtid.as_ref()))),
            ("donor_gtid", manifest.donor_gtid.clone(), self.donor_gtid.clone()),
            ("mariadb_gtid.binlog_pos", here.binlog_pos.clone(), there.binlog_pos.clone()),
            ("mariadb_gtid.current_pos", here.current_pos.clone(), there.current_pos.clone()),
            ("mariadb_gtid.slave_pos", here.slave_pos.clone(), there.slave_pos.clone()),
            ("server.version", manifest.server.version.clone(), self.server.version.clone()),
            ("server.innodb_page_size", size(&manifest.server), size(&self.server)),
        ];
        let asked = manifest.donor_gtid.as_deref().filter(|_| self.donor_gtid.is_none());
        let impossible =
            asked.filter(|asked| !may_precede(asked, &manifest.lineage())).map(|asked| Contradiction {
                field: "donor_gtid",
                what: format!(
                    "it says donor_gtid '{asked}', which is no position before its own, {}",
                    manifest.position()
                ),
            });
        let differ = pairs.into_iter().filter_map(|(field, here, there)| Some((field, here?, there?)));
        differ
            .filter(|(_, here, there)| here != there)
            .map(|(field, here, there)| {
                let what = format!("it says {field} '{here}', the archive says '{there}'");
                Contradiction { field, what }
            })
            .chain(impossible)
            .collect()
    }
}

/// A position in a cluster, or that there is none.
fn words(gtid: Option<&WsrepGtid>) -> String {
    gtid.map_or_else(|| "-".to_owned(), WsrepGtid::words)
}

/// Whether a backup at `gtid` may have been asked for at this position: one of the same history, not later.
fn may_precede(asked: &str, gtid: &WsrepGtid) -> bool {
    asked.parse().is_ok_and(|asked: WsrepGtid| asked.uuid == gtid.uuid && asked.seqno <= gtid.seqno)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_is_asked_for_in_its_own_history_and_not_after_it() {
        let uuid = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";
        let gtid: WsrepGtid = format!("{uuid}:417 0").parse().unwrap();
        for (asked, may) in [
            (format!("{uuid}:417"), true),
            (format!("{uuid}:0"), true),
            (format!("{uuid}:418"), false),
            (format!("{}:416", uuid.replace('4', "5")), false),
            ("yesterday".into(), false),
        ] {
            assert_eq!(may_precede(&asked, &gtid), may, "{asked}");
        }
    }
}
