//! Where a replica starts that is made of such a backup.
//!
//! `xtrabackup_binlog_info` has a line `FILE\tPOSITION\tGTID`. Its third word is `@@gtid_current_pos`, which knows only what the server
//! itself has written, or replicates from a master: on a node of a cluster it is behind, or empty (seen on 10.11.19, where another
//! node had written everything). The first two are exact, and the server turns them into the GTID position of its binary log.

use crate::archive::XbstreamContent;
use crate::capture::login::Login;
use crate::model::MariadbGtid;

/// The positions for replicas, with a warning where that of the binary log is not known.
pub(super) fn positions(content: &XbstreamContent, login: &Login, warnings: &mut Vec<String>) -> MariadbGtid {
    let told = content.told("binlog_info").map(String::from_utf8_lossy).unwrap_or_default();
    let mut words = told.lines().next().unwrap_or_default().split('\t').map(str::trim);
    let (file, offset, current) = (words.next(), words.next(), words.next());
    let place = file.filter(|name| !name.is_empty()).zip(offset.and_then(|text| text.parse::<u64>().ok()));
    let Some((file, offset)) = place else {
        // A server without a binary log has nothing that a replica could follow.
        return MariadbGtid::default();
    };
    let answer = login.connect().and_then(|mut sql| sql.binlog_gtid_pos(file, offset));
    let binlog_pos = match answer {
        Ok(Some(position)) => Some(position),
        Ok(None) => unknown(warnings, file, offset, "the server does not find it any more"),
        Err(why) => unknown(warnings, file, offset, &why),
    };
    MariadbGtid { binlog_pos, current_pos: current.map(str::to_owned), slave_pos: None }
}

fn unknown(warnings: &mut Vec<String>, file: &str, offset: u64, why: &str) -> Option<String> {
    warnings.push(format!(
        "the GTID of the binary log's place '{file}':{offset} is not known ({why}): a replica cannot be built from this backup"
    ));
    None
}
