//! At which position, of which server: the first member of the archive, and a part of its manifest.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::{Label, tool};
use crate::model::{
    BackupId, Connection, Dump, FORMAT, FilesState, MariadbGtid, NEWEST_FORMAT, ServerIdentity, ToolIdentity,
    WsrepGtid, to_record,
};

/// What is known when the server stands still; the content of `wsrep_sst_backup.json`.
pub struct BackupIdentity {
    /// The position of the files; none where the server is no Galera node.
    pub gtid: Option<WsrepGtid>,
    /// What the files are.
    pub files: FilesState,
    /// When the server stood still.
    pub frozen_at: Timestamp,
    /// From the question until it did.
    pub flush_time: Duration,
    /// The positions for replicas.
    pub mariadb_gtid: MariadbGtid,
    /// InnoDB's LSN, of a server that is no Galera node, where it is known ([`Manifest::innodb_lsn`](crate::model::Manifest::innodb_lsn)).
    pub innodb_lsn: Option<u64>,
    /// From whom the server replicates; none where that is not known.
    pub replication: Option<Vec<Connection>>,
    /// What a restore wants to know of the server.
    pub server: ServerIdentity,
    /// What was dumped, where it is a dump.
    pub dump: Option<Dump>,
}

impl BackupIdentity {
    /// The oldest format that can say this.
    pub(super) fn format(&self) -> u32 {
        let of_position = if self.gtid.is_some() { FORMAT } else { NEWEST_FORMAT };
        of_position.max(self.files.format())
    }

    /// The content of the member in an archive of this format.
    pub(super) fn to_bytes(&self, format: u32, id: &BackupId, label: &Label) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Document<'a> {
            format: u32,
            id: &'a str,
            cluster: &'a str,
            node: &'a str,
            request: Option<&'a str>,
            started: Timestamp,
            frozen_at: Timestamp,
            #[serde(skip_serializing_if = "FilesState::is_clean")]
            files_state: FilesState,
            #[serde(skip_serializing_if = "Option::is_none")]
            gtid: Option<&'a WsrepGtid>,
            #[serde(skip_serializing_if = "Option::is_none")]
            donor_gtid: Option<String>,
            mariadb_gtid: &'a MariadbGtid,
            #[serde(skip_serializing_if = "Option::is_none")]
            replication: Option<&'a [Connection]>,
            server: &'a ServerIdentity,
            tool: ToolIdentity,
        }
        to_record(&Document {
            format,
            id: id.as_str(),
            cluster: &label.cluster,
            node: &label.node,
            request: label.request.as_deref(),
            started: label.started,
            frozen_at: self.frozen_at,
            files_state: self.files,
            gtid: self.gtid.as_ref(),
            donor_gtid: label.asked.as_ref().map(WsrepGtid::position),
            mariadb_gtid: &self.mariadb_gtid,
            replication: self.replication.as_deref(),
            server: &self.server,
            tool: tool(),
        })
    }
}
