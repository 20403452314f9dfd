//! What the server has applied, by what it leaves behind.

use std::path::Path;

use crate::model::WsrepGtid;
use crate::restore::read_regular_file;

/// Where Galera saves where a server stands that has left in good order.
const STATE: &str = "grastate.dat";
/// The most that Galera reads of it, bytes.
const LENGTH: u64 = 256;

/// Whether a server that has left has applied everything up to that position; what is not so, in words.
pub(super) fn has_applied(datadir: &Path, position: &str) -> Result<(), String> {
    let path = datadir.join(STATE);
    let bytes = read_regular_file(&path, LENGTH)
        .map_err(|error| format!("'{}' cannot be read: {error}", path.display()))?;
    let wanted: WsrepGtid = position.parse().map_err(|error| format!("its position is none: {error}"))?;
    match WsrepGtid::from_grastate(&String::from_utf8_lossy(&bytes)) {
        Some(found) if found.uuid == wanted.uuid && found.seqno >= wanted.seqno => Ok(()),
        Some(found) => Err(format!(
            "it has left at {}, before it had applied what it had received, up to {position}",
            found.position()
        )),
        None => Err("it has not left in good order, so that what it has applied is not known".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";

    #[test]
    fn what_was_received_and_not_applied_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let said = |seqno: i64| {
            let gtid = WsrepGtid { uuid: UUID.into(), seqno, domain_id: None };
            std::fs::write(folder.path().join(STATE), gtid.grastate(false)).unwrap();
            has_applied(folder.path(), &format!("{UUID}:16"))
        };
        assert_eq!((said(16), said(19)), (Ok(()), Ok(())));
        assert!(said(15).unwrap_err().contains(":15, before it had applied"));
        assert!(said(-1).unwrap_err().contains("not left in good order"));
        let other = has_applied(folder.path(), "11111111-2f3a-11ef-9a3c-0a1b2c3d4e5f:1");
        assert!(other.is_err());
        assert!(has_applied(&folder.path().join("none"), &format!("{UUID}:16")).is_err());
    }
}
