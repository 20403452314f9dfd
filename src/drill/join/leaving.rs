//! What the server has applied, by what it leaves behind.

use std::path::Path;
use std::sync::Arc;

use super::super::error::DrillError;
use super::super::home::ServerHome;
use super::super::position::{self, RecoveryEnd};
use super::super::watch::DrillWatch;
use crate::model::WsrepGtid;
use crate::restore::{Installed, read_regular_file};

/// Where Galera saves where a server stands that has left in good order.
const STATE: &str = "grastate.dat";
/// The most that Galera reads of it, bytes.
const LENGTH: u64 = 256;

/// Where a server stands that has left: as Galera has saved it, else as the files say when they are recovered.
pub(super) fn left_at(
    home: &Arc<ServerHome>,
    server: &Installed,
    watch: &DrillWatch,
) -> Result<Option<WsrepGtid>, DrillError> {
    if let Some(saved) = saved(&home.datadir) {
        return Ok(Some(saved));
    }
    // It was asked to end while it still started, or was killed.
    match position::recover(home, server, watch)? {
        RecoveryEnd::Ended(found) => Ok(found.and_then(|found| found.parse().ok())),
        RecoveryEnd::Failed(why) => Err(DrillError::Undone(why)),
    }
}

fn saved(datadir: &Path) -> Option<WsrepGtid> {
    let bytes = read_regular_file(&datadir.join(STATE), LENGTH).ok()?;
    WsrepGtid::from_grastate(&String::from_utf8_lossy(&bytes))
}

/// Whether a server that has left there has applied everything up to that position; what is not so, in words.
pub(super) fn has_applied(found: Option<&WsrepGtid>, position: &str) -> Result<(), String> {
    let wanted: WsrepGtid =
        position.parse().map_err(|error| format!("'{position}' is no position: {error}"))?;
    match found {
        Some(found) if found.uuid == wanted.uuid && found.seqno >= wanted.seqno => Ok(()),
        Some(found) => Err(format!(
            "it has left at {}, before it had applied what it had received, up to {position}",
            found.position()
        )),
        None => Err("what it has applied is not known".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";

    #[test]
    fn what_was_received_and_not_applied_is_told() {
        let of = |seqno: i64| WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
        let said = |found: Option<WsrepGtid>| has_applied(found.as_ref(), &format!("{UUID}:16"));
        assert_eq!((said(Some(of(16))), said(Some(of(19)))), (Ok(()), Ok(())));
        assert!(said(Some(of(15))).unwrap_err().contains(":15, before it had applied"));
        let other = WsrepGtid { uuid: "11111111-2f3a-11ef-9a3c-0a1b2c3d4e5f".into(), ..of(19) };
        assert!(said(Some(other)).is_err() && said(None).is_err());
    }

    #[test]
    fn what_galera_has_saved_is_read_and_an_unknown_position_is_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(saved(folder.path()), None);
        let write = |seqno: i64| {
            let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
            std::fs::write(folder.path().join(STATE), gtid.grastate(false)).unwrap();
        };
        write(-1);
        assert_eq!(saved(folder.path()), None);
        write(16);
        assert_eq!(saved(folder.path()).map(|gtid| gtid.seqno), Some(16));
    }
}
