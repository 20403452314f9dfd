//! Where the files stand, by the server's own word, and whether the manifest says the same.

use std::sync::Arc;

use super::error::DrillError;
use super::home::{ServerHome, last_words};
use super::server::DrillServer;
use super::watch::DrillWatch;
use crate::model::{Manifest, MariadbGtid, WsrepGtid};
use crate::restore::Installed;

/// A server that recovers its files, says where they stand, and ends. It asks for a provider and a group, and goes to neither; the
/// format of the binary log is the only one that it takes then (seen with 10.11.19).
const RECOVER: [&str; 5] = [
    "--wsrep-recover",
    "--wsrep-on=ON",
    "--wsrep-provider=none-is-loaded",
    "--wsrep-cluster-address=gcomm://",
    "--binlog-format=ROW",
];
/// What stands before the position in its log (`wsrep_recover` in `sql/wsrep_mysqld.cc`).
const SAID: &str = "Recovered position: ";

/// What a server has found that has recovered its files.
pub(super) enum RecoveryEnd {
    /// The position; none where it has told none.
    Ended(Option<String>),
    /// It has not come through; why.
    Failed(String),
}

/// Recovers the files of a node.
pub(super) fn recover(
    home: &Arc<ServerHome>,
    server: &Installed,
    watch: &DrillWatch,
) -> Result<RecoveryEnd, DrillError> {
    let recovering = DrillServer::start(home, &server.program, &RECOVER, watch)?;
    let (status, log) = match recovering.wait_end() {
        Ok(ended) => ended,
        Err(why) => return Ok(RecoveryEnd::Failed(why)),
    };
    if !status.success() {
        let why = format!("the server could not recover its files ({status}): {}", last_words(&log));
        return Ok(RecoveryEnd::Failed(why));
    }
    // Behind a comma stands MariaDB's own position, where wsrep_gtid_mode is on.
    let position = |line: &str| Some(line.split_once(SAID)?.1.split(',').next()?.trim().to_owned());
    let found = log.lines().rev().find_map(position);
    Ok(RecoveryEnd::Ended(found))
}

/// Why the files of a node are not at this position.
pub(super) fn compare(wanted: &WsrepGtid, found: Option<&str>) -> Result<(), String> {
    let is_same = |found: WsrepGtid| found.uuid == wanted.uuid && found.seqno == wanted.seqno;
    if found.is_some_and(|found| found.parse().is_ok_and(is_same)) {
        return Ok(());
    }
    Err(format!(
        "the server finds its files at {}, and the manifest says {}",
        found.unwrap_or("no position"),
        wanted.position()
    ))
}

/// The same of a server that is no node: what it has replicated, and what it has written where its binary log is in the backup. The
/// position that was compared, where there is one.
pub(super) fn compare_alone(manifest: &Manifest, found: &MariadbGtid) -> Result<Option<String>, String> {
    let known = |position: &Option<String>| position.clone().filter(|position| !position.is_empty());
    let wanted = &manifest.mariadb_gtid;
    let mut compared = Vec::new();
    for (name, wanted, found) in [
        ("gtid_binlog_pos", known(&wanted.binlog_pos), known(&found.binlog_pos)),
        ("gtid_slave_pos", known(&wanted.slave_pos), known(&found.slave_pos)),
    ] {
        match (wanted, found) {
            (Some(wanted), Some(found)) if sorted(&wanted) != sorted(&found) => {
                return Err(format!("the server says {name} {found}, and the manifest says {wanted}"));
            }
            (Some(_), Some(found)) => compared.push(found),
            // Without the binary log, or the rows of mysql.gtid_slave_pos, there is nothing to compare.
            _ => {}
        }
    }
    Ok(compared.into_iter().next())
}

/// The order of domains means nothing.
fn sorted(position: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = position.split(',').map(str::trim).collect();
    parts.sort_unstable();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";

    #[test]
    fn only_the_same_history_at_the_same_place_passes() {
        let wanted = WsrepGtid { uuid: UUID.into(), seqno: 7, domain_id: Some(0) };
        compare(&wanted, Some(&format!("{UUID}:7"))).unwrap();
        for (found, told) in [
            (Some(format!("{UUID}:8")), format!("at {UUID}:8, and the manifest says {UUID}:7")),
            (Some("00000000-0000-0000-0000-000000000000:-1".into()), "000:-1, and".into()),
            (None, "at no position".into()),
        ] {
            let why = compare(&wanted, found.as_deref()).unwrap_err();
            assert!(why.contains(&told), "{why}");
        }
    }

    #[test]
    fn positions_of_a_server_by_itself_are_compared_where_both_are_known() {
        let text = include_str!(
            "../../tests/fixtures/format-1/zstd/repository/fixture_cluster/20261120T113452Z_node_1/manifest.json"
        );
        let mut manifest: Manifest = serde_json::from_str(text).unwrap();
        let gtid = |binlog: &str, slave: &str| MariadbGtid {
            binlog_pos: Some(binlog.into()),
            current_pos: None,
            slave_pos: Some(slave.into()),
        };
        manifest.mariadb_gtid = gtid("0-1-5,1-1-2", "");
        assert_eq!(
            compare_alone(&manifest, &gtid("1-1-2,0-1-5", "")).unwrap().as_deref(),
            Some("1-1-2,0-1-5")
        );
        assert_eq!(compare_alone(&manifest, &gtid("", "")).unwrap(), None);
        assert!(
            compare_alone(&manifest, &gtid("0-1-6,1-1-2", "")).unwrap_err().contains("gtid_binlog_pos 0-1-6")
        );
    }
}
