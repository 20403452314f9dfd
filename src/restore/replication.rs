//! The notes of a restore whose donor was a replica itself.

use super::request::Purpose;
use crate::capture::is_replication_state;
use crate::model::{Manifest, Member};

/// The statements for a replica, in the data directory.
pub(super) const REPLICA_FILE: &str = "wsrep_sst_backup_replica.sql";

/// Whether a restore leaves out this file of the data directory: it makes the server know a master. Older programs have
/// archived `multi-master.info` without the positions; a server that finds it may apply old relay logs from their
/// beginning.
pub(super) fn is_left(member: &Member) -> bool {
    let name = member.path.file_name();
    member.origin.is_none()
        && member.path.as_bytes() == name.as_bytes()
        && member.path.as_path().extension().is_some_and(|extension| extension == "info")
        && is_replication_state(&name)
}

/// One note for each connection that the donor had.
pub(super) fn notes(manifest: &Manifest, purpose: Purpose) -> Vec<String> {
    let further = match purpose {
        Purpose::Node => {
            ". These are the positions of the backup: a node that joins its cluster has what came later, too, and what is \
             applied twice is doubled"
        }
        _ => "",
    };
    let note = |words: String, statement: String| {
        format!(
            "The donor was a replica: {words}. The restored server knows nothing of it. To set it up again:  \
             {statement}{further}"
        )
    };
    let connections = manifest.replication.iter().flatten();
    connections.map(|connection| note(connection.words(), connection.statement())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_makes_the_server_know_a_master_is_left() {
        for (path, left) in [
            ("multi-master.info", true),
            ("master-src.info", true),
            ("relay-log.info", true),
            ("db/master.info", false),
            ("h-relay-bin.index", false),
            ("other.info", false),
        ] {
            let text = format!(
                r#"{{"path":"{path}","kind":"file","mode":432,"uid":0,"gid":0,"mtime":0,"size":0,"stored":0,
                    "header_offset":0,"end_offset":0}}"#
            );
            let member: Member = serde_json::from_str(&text).unwrap();
            assert_eq!(is_left(&member), left, "{path}");
        }
    }
}
