//! Who and when the archive is of: its first member, and a part of its manifest.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::Run;
use super::publish::tool;
use crate::capture::{Facts, ServerLayout};
use crate::model::{Connection, FORMAT, MariadbGtid, ServerIdentity, ToolIdentity, WsrepGtid, to_record};
use crate::quiesce::Quiet;

/// What is known when the server stands still; the content of `wsrep_sst_backup.json`.
pub(super) struct Identity {
    pub(super) gtid: WsrepGtid,
    pub(super) frozen_at: Timestamp,
    pub(super) flush_time: Duration,
    pub(super) mariadb_gtid: MariadbGtid,
    pub(super) replication: Option<Vec<Connection>>,
    pub(super) server: ServerIdentity,
}

impl Identity {
    /// Of a server that stands still.
    pub(super) fn of(quiet: &dyn Quiet, facts: &mut Facts, layout: &ServerLayout) -> Self {
        Self {
            gtid: quiet.position().clone(),
            frozen_at: quiet.since(),
            flush_time: quiet.flush_time(),
            mariadb_gtid: mariadb_gtid(facts),
            replication: facts.replication(layout),
            server: server(layout, facts),
        }
    }

    /// The content of the member.
    pub(super) fn to_bytes(&self, run: &Run) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Document<'a> {
            format: u32,
            id: &'a str,
            cluster: &'a str,
            node: &'a str,
            request: Option<&'a str>,
            started: Timestamp,
            frozen_at: Timestamp,
            gtid: &'a WsrepGtid,
            mariadb_gtid: &'a MariadbGtid,
            #[serde(skip_serializing_if = "Option::is_none")]
            replication: Option<&'a [Connection]>,
            server: &'a ServerIdentity,
            tool: ToolIdentity,
        }
        to_record(&Document {
            format: FORMAT,
            id: run.id.as_str(),
            cluster: &run.names.cluster,
            node: &run.names.node,
            request: run.request.request.as_deref(),
            started: run.started,
            frozen_at: self.frozen_at,
            gtid: &self.gtid,
            mariadb_gtid: &self.mariadb_gtid,
            replication: self.replication.as_deref(),
            server: &self.server,
            tool: tool(),
        })
    }
}

fn server(layout: &ServerLayout, facts: &Facts) -> ServerIdentity {
    let known = ServerIdentity::OPTIONS.into_iter();
    ServerIdentity {
        options: known.filter_map(|name| Some((name.to_owned(), facts.get(name)?.to_owned()))).collect(),
        version: layout.version.clone(),
        datadir: layout.datadir.to_string_lossy().into_owned(),
        innodb_page_size: layout.page_size,
        wsrep_data_home_dir: layout.wsrep_home.as_ref().map(|home| home.to_string_lossy().into_owned()),
    }
}

/// The positions for replicas; a server without SQL has none to tell.
fn mariadb_gtid(facts: &mut Facts) -> MariadbGtid {
    let Some(sql) = &mut facts.sql else {
        facts.warnings.push("SQL did not answer: the binlog position is not known, a replica cannot be built from this backup".into());
        return MariadbGtid::default();
    };
    sql.mariadb_gtid().unwrap_or_else(|why| {
        facts.warnings.push(format!(
            "the binlog position is not known ({why}): a replica cannot be built from this backup"
        ));
        MariadbGtid::default()
    })
}
