//! What a frozen server says of itself, for the archive's identity.

use std::time::Duration;

use jiff::Timestamp;

use super::error::CaptureError;
use super::facts::Facts;
use super::layout::ServerLayout;
use crate::model::{FilesState, MariadbGtid, ServerIdentity, WsrepGtid};
use crate::output::BackupIdentity;
use crate::quiesce::{Files, Quiet};

/// Of a server that stands still; an error where what quiesces it has no position.
pub(super) fn identify(
    quiet: &dyn Quiet,
    facts: &mut Facts,
    layout: &ServerLayout,
) -> Result<BackupIdentity, CaptureError> {
    let gtid = quiet.position().ok_or(CaptureError::NoPosition)?.clone();
    Ok(identify_at(Some(gtid), quiet, facts, layout))
}

/// The same, with the position that the server has in a cluster, if any.
pub(super) fn identify_at(
    gtid: Option<WsrepGtid>,
    quiet: &dyn Quiet,
    facts: &mut Facts,
    layout: &ServerLayout,
) -> BackupIdentity {
    BackupIdentity {
        files: match quiet.files() {
            Files::Crashed => FilesState::Crashed,
            Files::Clean | Files::Changing => FilesState::Clean,
        },
        innodb_lsn: if gtid.is_none() { innodb_lsn(facts) } else { None },
        gtid,
        frozen_at: quiet.since(),
        flush_time: quiet.flush_time(),
        mariadb_gtid: mariadb_gtid(facts),
        replication: facts.replication(layout),
        server: server(layout, facts),
        dump: None,
    }
}

/// Of a server that runs: who it is, and no position yet.
pub(super) fn identify_early(facts: &Facts, layout: &ServerLayout) -> BackupIdentity {
    BackupIdentity {
        gtid: None,
        files: FilesState::Clean,
        frozen_at: Timestamp::now(),
        flush_time: Duration::ZERO,
        mariadb_gtid: MariadbGtid::default(),
        innodb_lsn: None,
        replication: None,
        server: server(layout, facts),
        dump: None,
    }
}

/// What a restore wants to know of a server.
pub(super) fn server(layout: &ServerLayout, facts: &Facts) -> ServerIdentity {
    let known = ServerIdentity::OPTIONS.into_iter();
    ServerIdentity {
        options: known.filter_map(|name| Some((name.to_owned(), facts.get(name)?.to_owned()))).collect(),
        owner: None,
        version: layout.version.clone(),
        datadir: layout.datadir.to_string_lossy().into_owned(),
        innodb_page_size: layout.page_size,
        wsrep_data_home_dir: layout.wsrep_home.as_ref().map(|home| home.to_string_lossy().into_owned()),
    }
}

/// How far the redo log of a server by itself has come; where SQL does not tell, only time says which of its backups is further on.
fn innodb_lsn(facts: &mut Facts) -> Option<u64> {
    let told = facts.sql.as_mut()?.redo_position();
    told.inspect_err(|why| log::debug!("the LSN is not known: {why}")).ok().map(|redo| redo.current)
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
