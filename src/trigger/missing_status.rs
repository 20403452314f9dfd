//! A request that a donor has taken and that has left no status in the repository: which program has answered, and why it has
//! written nothing.

use super::flushes::Flushes;
use crate::ui::bytes;

/// A repository with less room than this takes no status for certain.
const FULL: u64 = 64 << 10;

/// Where the signs of a program are looked for.
pub(super) struct Signs<'a> {
    /// How often the members' tables had been flushed before.
    pub(super) flushes: &'a Flushes,
    /// The folder without a status that the program on this node has made since.
    pub(super) folder: &'a dyn Fn(&str) -> Option<String>,
}

/// The signs that were found.
#[derive(Debug, Clone, Default)]
pub(super) struct Trace {
    /// The server's tables were flushed, or not.
    pub(super) flushed: Option<bool>,
    /// Bytes that can still be stored.
    pub(super) free: Option<u64>,
    /// The folder that our program has claimed.
    pub(super) folder: Option<String>,
}

impl Trace {
    /// Which program has answered mysqld, as far as the signs tell.
    pub(super) fn who(&self, name: &str) -> String {
        let full = self.free.filter(|free| *free < FULL);
        match (&self.folder, full, self.flushed) {
            (Some(folder), Some(free), _) => format!(
                "The repository is full ({} are free): the program on {name} has made its folder '{folder}' there, and could write no \
                 status into it. Free space there, and take the backup again",
                bytes(free)
            ),
            (None, Some(free), _) => format!(
                "The repository is full ({} are free), so that a program there could not even write that it had failed. Free space \
                 there, and take the backup again",
                bytes(free)
            ),
            (Some(folder), None, _) => format!(
                "The program on {name} has made its folder '{folder}' there, and could write no status into it: a quota, a repository \
                 that was full then, or rights to make folders and no files"
            ),
            (None, None, Some(true)) => format!(
                "Its tables were flushed meanwhile, so it seems that a program did answer: the stock wsrep_sst_backup script, \
                 which copies nothing and which mysqld on {name} finds before ours, or ours with another repository"
            ),
            (None, None, Some(false)) => format!(
                "The server was never frozen: mysqld on {name} finds no wsrep_sst_backup, or it failed before it could write \
                 to the repository"
            ),
            (None, None, None) => {
                "Either another program answered (the stock wsrep_sst_backup script copies nothing), or ours is not \
                 installed there, could not write there, or writes to another repository"
                    .into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_blames_the_stock_script_for_a_repository_that_is_full() {
        let folder = || Some("c/20261120T113452Z_n2".to_owned());
        for (flushed, free, folder, said) in [
            (Some(true), Some(0), folder(), "full (0 B are free): the program on n2 has made"),
            (Some(true), Some(4096), None, "full (4.00 KiB are free), so that a program there"),
            (None, Some(1 << 30), folder(), "a quota"),
            (None, None, folder(), "rights to make folders"),
            (Some(true), Some(1 << 30), None, "the stock wsrep_sst_backup script"),
            (Some(false), None, None, "was never frozen"),
            (None, None, None, "Either another program"),
        ] {
            let trace = Trace { flushed, free, folder };
            let who = trace.who("n2");
            assert!(who.contains(said), "{trace:?}: {who}");
            assert!(!who.contains("stock") || trace.folder.is_none() && free.is_none_or(|free| free >= FULL));
        }
    }
}
