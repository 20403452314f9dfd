//! Accounts that exist only because the snapshot was taken in the middle of a state transfer.
//!
//! From MariaDB 11.6 on, a server without `wsrep_sst_auth` creates `'wsrep.sst.<time>_<node>'@localhost`
//! with all privileges for the transfer and drops it afterwards (`sql/wsrep_sst.cc`), so every snapshot
//! holds it. The accounts are rows of the Aria table `mysql.global_priv`, whose user names stand in
//! plain bytes in its data file.

use std::collections::BTreeSet;
use std::path::Path;

use super::no_follow;

/// What such a name starts with.
const PREFIX: &[u8] = b"wsrep.sst.";
/// Longest name of an account.
const LONGEST: usize = 128;

/// What is looked at of a table, bytes: room for tens of thousands of accounts.
const LARGEST: u64 = 32 << 20;

/// Names of the accounts in a restored data directory.
pub(super) fn sst_accounts(datadir: &Path) -> Vec<String> {
    let mut found = BTreeSet::new();
    for table in ["mysql/global_priv.MAD", "mysql/user.MYD"] {
        // It belongs to the server's user by now.
        if let Ok(content) = no_follow::read_file(&datadir.join(table), LARGEST) {
            found.extend(names_in(&content));
        }
    }
    found.into_iter().collect()
}

fn names_in(content: &[u8]) -> Vec<String> {
    let starts =
        content.windows(PREFIX.len()).enumerate().filter(|(_, window)| *window == PREFIX).map(|(at, _)| at);
    starts
        .filter_map(|at| {
            let rest = &content[at..content.len().min(at + LONGEST)];
            // A row goes on with JSON or with the length of the next field: neither is part of a name.
            let end = rest.iter().position(|byte| !is_name_byte(*byte)).unwrap_or(rest.len());
            let name = &rest[..end];
            (name.len() > PREFIX.len()).then(|| String::from_utf8_lossy(name).into_owned())
        })
        .collect()
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_between_other_bytes() {
        let content =
            b"\x00\x09localhost\x14wsrep.sst.171_n-1.x\xee\x00{\"access\":1}\x00wsrep.sst.\x00wsrep.ss";
        assert_eq!(names_in(content), ["wsrep.sst.171_n-1.x"]);
        assert_eq!(names_in(b""), Vec::<String>::new());
    }
}
