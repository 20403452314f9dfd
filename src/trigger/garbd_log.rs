//! What garbd's log says, line by line.
//!
//! garbd exits 0 whatever becomes of its request, so its log is all there is. The texts are those of Galera 4
//! (26.4.18 and 26.4.23, seen): `gcs/src/gcs_group.cpp` (`gcs_group_handle_state_request`), `garb/garb_gcs.cpp`,
//! `gcomm/src/pc.cpp`, `galerautils` for TLS. A line that is not known means nothing.

use crate::cluster::{TransferAnswer, transfer_answer};

/// A line that means something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GarbdLine {
    /// It talks to a member.
    Connected,
    /// It is in the Primary component.
    Primary,
    /// The request is on its way.
    Sent,
    /// The group has chosen this node.
    Selected(String),
    /// No member of that name, or none that is Synced and may be a donor.
    UnknownDonor,
    /// The donors that are asked for are busy now.
    Busy,
    /// The members do not speak TLS as it does, or not at all.
    Tls(String),
    /// A member cannot be reached.
    Unreachable(String),
    /// Its own port is taken.
    PortTaken,
    /// It has given up.
    Fatal(String),
}

/// Why no donor is selected: none of that name, or none that may be one (`EHOSTUNREACH`). Galera 26.4.18 (Debian 11) has the words of the
/// system for the error number, 26.4.23 has words of its own.
const UNKNOWN_DONOR: [&str; 2] = ["Requested donor is not available", "No route to host"];

/// The same where a donor is asked again a second later (`EAGAIN`).
const BUSY: [&str; 2] = ["No donor candidates temporarily", "Resource temporarily unavailable"];

/// What the network says, as opposed to the TLS library.
const UNREACHABLE: [&str; 6] =
    ["refused", "timed out", "unreachable", "No route", "reset by peer", "Host not found"];

/// The message of a line: what follows the time and the level.
fn message(line: &str) -> &str {
    ["INFO: ", "WARN: ", "ERROR: ", "FATAL: "]
        .iter()
        .filter_map(|level| line.find(level).map(|at| (at, at + level.len())))
        .min()
        .map_or(line, |(_, end)| line[end..].trim())
}

/// What a line means in the log of the garbd of that name.
pub(super) fn read(line: &str, name: &str) -> Option<GarbdLine> {
    let text = message(line);
    if let Some(answer) = transfer_answer(text, name) {
        return Some(match answer {
            TransferAnswer::Donor(donor) => GarbdLine::Selected(donor.to_owned()),
            TransferAnswer::Nobody(why) if BUSY.iter().any(|cause| why.contains(cause)) => GarbdLine::Busy,
            TransferAnswer::Nobody(why) if UNKNOWN_DONOR.iter().any(|cause| why.contains(cause)) => {
                GarbdLine::UnknownDonor
            }
            TransferAnswer::Nobody(_) => GarbdLine::Fatal(text.to_owned()),
        });
    }
    let has = |what: &str| text.contains(what);
    if has("connection established to") {
        Some(GarbdLine::Connected)
    } else if has("New COMPONENT: primary = yes") {
        Some(GarbdLine::Primary)
    } else if has("Sending state transfer request") {
        Some(GarbdLine::Sent)
    } else if has("Address already in use") {
        Some(GarbdLine::PortTaken)
    } else if has("Failed to establish connection") || has("handshake with remote endpoint") {
        let is_network = UNREACHABLE.iter().any(|cause| text.contains(cause));
        Some(if is_network {
            GarbdLine::Unreachable(text.to_owned())
        } else {
            GarbdLine::Tls(text.to_owned())
        })
    } else if line.contains("FATAL: ") || has("failed to open gcomm backend connection") {
        Some(GarbdLine::Fatal(text.to_owned()))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of garbd 26.4.23.
    #[test]
    fn the_known_lines_are_understood() {
        let read = |line: &str| read(line, "probe2");
        let member = "2026-11-20 16:08:12.560  INFO: Member 3.0 (probe2) requested state transfer from 'node2,'. \
                      Selected 1.0 (node2)(SYNCED) as donor.";
        assert_eq!(read(member), Some(GarbdLine::Selected("node2".into())));
        // A node that joins just then.
        assert_eq!(read(&member.replace("(probe2)", "(node3)")), None);
        let unknown = "2026-11-20 16:07:51.399  WARN: Member 3.0 (probe2) requested state transfer from 'nosuch', but it \
                       is impossible to select State Transfer donor: Requested donor is not available";
        assert_eq!(read(unknown), Some(GarbdLine::UnknownDonor));
        let busy = "2026-11-20 16:25:49.892  INFO: Member 0.0 (probe2) requested state transfer from 'node2', but it is \
                    impossible to select State Transfer donor: No donor candidates temporarily available in suitable state";
        assert_eq!(read(busy), Some(GarbdLine::Busy));
        let refused = |cause: &str| {
            read(&format!(
                "2026-11-28 07:36:07.001  WARN: Member 2.0 (probe2) requested state transfer from 'n7', but it is \
                 impossible to select State Transfer donor: {cause}"
            ))
        };
        // Galera 26.4.18.
        assert_eq!(refused("No route to host"), Some(GarbdLine::UnknownDonor));
        assert_eq!(refused("Resource temporarily unavailable"), Some(GarbdLine::Busy));
        let sent = "2026-11-20 16:07:51.398  INFO: Sending state transfer request: 'backup:req-1', size: 12";
        assert_eq!(read(sent), Some(GarbdLine::Sent));
        let primary = "2026-11-20 16:07:41.267  INFO: New COMPONENT: primary = yes, bootstrap = no, my_idx = 3, memb_num = 4";
        assert_eq!(read(primary), Some(GarbdLine::Primary));
        assert_eq!(read(&primary.replace("yes", "no")), None);
        let tls = "2026-11-20 16:25:38.358  INFO: Failed to establish connection: wrong version number";
        assert_eq!(
            read(tls),
            Some(GarbdLine::Tls("Failed to establish connection: wrong version number".into()))
        );
        let refused = "2026-11-20 16:43:01.000  INFO: Failed to establish connection: Connection refused";
        assert!(matches!(read(refused), Some(GarbdLine::Unreachable(_))));
        let fatal = "2026-11-20 16:07:00.118 FATAL: Exception in creating receive loop.";
        assert_eq!(read(fatal), Some(GarbdLine::Fatal("Exception in creating receive loop.".into())));
        let cause = "2026-11-20 16:25:35.408 ERROR: failed to open gcomm backend connection: 110: failed to reach primary view";
        assert!(matches!(read(cause), Some(GarbdLine::Fatal(text)) if text.ends_with("primary view")));
        assert_eq!(read("} joined {"), None);
    }
}
