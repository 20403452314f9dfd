//! A drilled server that is a member of its cluster for a moment: how everybody tells it from a node.

use super::random_word;

/// Where it says that a state transfer is to be sent: nobody is there, and a donor that reads it sends none.
pub const DRILL_ADDRESS: &str = "drill-takes-no-sst";
/// Where it says that clients find it (`wsrep_node_incoming_address`): at no port that anybody listens on, so that load balancers and notification
/// scripts, which take it from a member, are refused at once.
pub const DRILL_INCOMING: &str = "127.0.0.1:1";
/// What its name begins with; a word follows.
pub const DRILL_PREFIX: &str = "backup-drill-";
/// Letters of that word.
const WORD: usize = 6;

/// A name for one.
pub fn drill_name() -> String {
    format!("{DRILL_PREFIX}{}", random_word())
}

/// Whether a member of that name is one.
pub fn is_drill(name: &str) -> bool {
    let word = name.strip_prefix(DRILL_PREFIX);
    word.is_some_and(|word| word.len() == WORD && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drill_is_known_by_its_name_and_no_node_is_taken_for_one() {
        assert!(is_drill(&drill_name()));
        for node in ["backup-drill-", "backup-drill-n1", "backup-drill-node22", "n1", ""] {
            assert!(!is_drill(node), "{node}");
        }
    }
}
