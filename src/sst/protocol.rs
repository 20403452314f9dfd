//! Lines and reply files as values; no I/O.
//!
//! mysqld reads stdout in lines of at most 127 bytes and compares them without regard to case
//! (MariaDB `sql/wsrep_sst.cc`, `sst_donor_thread`). A trailing blank or CR breaks the exact ones,
//! and any other line, even a blank one, ends the dialogue.

use crate::model::{NO_POSITION, WsrepGtid};

/// Asks for the freeze. Once only: a second one deadlocks mysqld.
pub(super) const FLUSH_TABLES: &str = "flush tables\n";
/// Ends the freeze.
pub(super) const CONTINUE: &str = "continue\n";

/// The last word: the transfer has succeeded at this position.
pub(super) fn done(gtid: &WsrepGtid) -> String {
    format!("done {gtid}\n")
}

/// Bytes to come, for `--progress 1`.
pub(super) fn total(bytes: u64) -> String {
    format!("total {bytes}\n")
}

/// Bytes copied, for `--progress 1`.
pub(super) fn complete(bytes: u64) -> String {
    format!("complete {bytes}\n")
}

/// What `tables_flushed` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It is still being written.
    Incomplete,
    /// The server stands here.
    At(WsrepGtid),
    /// It will never be right.
    Refused(String),
}

/// Reads `tables_flushed` and holds it against the position of the request.
pub(super) fn read_reply(text: &str, asked: &WsrepGtid) -> Reply {
    if !text.contains(':') || !text.ends_with('\n') {
        return Reply::Incomplete;
    }
    let gtid = match cluster_position(text).parse::<WsrepGtid>() {
        Ok(gtid) => gtid,
        // The line is whole: it will not become any better, and every moment of waiting is one of the freeze.
        Err(error) => return Reply::Refused(error.to_string()),
    };
    if gtid.uuid != asked.uuid {
        return Reply::Refused(format!(
            "the server paused in the history {}, but the request came from {}; {NO_POSITION}",
            gtid.uuid, asked.uuid
        ));
    }
    if gtid.seqno < asked.seqno {
        return Reply::Refused(format!(
            "the server paused at seqno {}, before the request at {}; {NO_POSITION}",
            gtid.seqno, asked.seqno
        ));
    }
    Reply::At(gtid)
}

/// The part of the answer that is the position in the cluster. mysql-wsrep 8.0 writes `uuid:seqno local-uuid:number server-id`, of which the
/// rest is for its own replication (`sst_flush_tables` of its `sql/wsrep_sst.cc`); it has no domain.
fn cluster_position(text: &str) -> &str {
    let mut words = text.split_ascii_whitespace();
    match (words.next(), words.next()) {
        (Some(position), Some(local)) if local.contains(':') => position,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";

    fn asked() -> WsrepGtid {
        format!("{UUID}:5 0").parse().unwrap()
    }

    #[test]
    fn both_writes_of_10_11_are_read_and_parts_of_them_are_not() {
        let wanted = Reply::At(format!("{UUID}:6 0").parse().unwrap());
        assert_eq!(read_reply(&format!("{UUID}:6 0\n\n"), &asked()), wanted);
        assert_eq!(read_reply(&format!("{UUID}:6 0\n"), &asked()), wanted);
        for text in ["", "\n", UUID, &format!("{UUID}:6"), &format!("{UUID}:6 0")] {
            assert_eq!(read_reply(text, &asked()), Reply::Incomplete, "{text:?}");
        }
    }

    #[test]
    fn other_families_write_no_domain() {
        let wanted = Reply::At(WsrepGtid { uuid: UUID.into(), seqno: 6, domain_id: None });
        for text in [format!("{UUID}:6\n"), format!("{UUID}:6 0a1b2c3d-2f3a-11ef-9a3c-4b1c02c44e5f:17 1\n")] {
            assert_eq!(read_reply(&text, &asked()), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_position_that_cannot_be_right_is_refused() {
        let other = "ffffffff-2f3a-11ef-9a3c-0a1b2c3d4e5f:6 0\n".to_owned();
        let unreadable = [
            format!("{UUID}:6 x\n"),
            format!("{UUID}:6 4294967296\n"),
            format!("{UUID}:6 0 1\n"),
            format!("{UUID}: 0\n"),
            "error: no answer\n".into(),
        ];
        for text in [format!("{UUID}:-1 0\n"), format!("{UUID}:4 0\n"), other].into_iter().chain(unreadable) {
            assert!(matches!(read_reply(&text, &asked()), Reply::Refused(_)), "{text:?}");
        }
    }

    #[test]
    fn lines_fit_mysqlds_buffer() {
        let gtid = WsrepGtid { uuid: UUID.into(), seqno: i64::MAX, domain_id: Some(u32::MAX) };
        assert!(done(&gtid).len() < 128);
        assert_eq!(done(&asked()), format!("done {UUID}:5 0\n"));
    }
}
