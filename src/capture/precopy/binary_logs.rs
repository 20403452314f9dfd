//! The binary logs of a server that runs, and what of them is known before its flush.
//!
//! **Which are copied ahead** (`binlogs = all`): those that are closed. A log is written to by system calls, each of which sets its time. It is closed when the next one is there
//! (server: `MYSQL_BIN_LOG::new_file_impl`, which takes a mark out of the head of the old one a moment later), and nobody writes to it again. So it is copied as a table is that nobody has open: once nothing
//! has happened to it for so long that whatever happens later is seen in its times, and its copy counts only where they are what they were when the server stands still. The log that the
//! server writes to is none of these, however long it has rested: the flush ends it, and writes to it.
//!
//! **Which are not read under the freeze** (`binlogs = newest`): those that are there now. The flush begins a new log, which is nearly empty, and a server that starts on it needs none before
//! it, since the engines have flushed.

use super::super::entry::Entry;
use super::super::files::FileList;
use super::super::layout::ServerLayout;
use super::super::rules::{is_numbered_log, log_number};
use crate::config::BinlogChoice;

/// Those of a list.
pub(super) struct BinaryLogs<'a> {
    layout: &'a ServerLayout,
    choice: BinlogChoice,
    /// The number of the one that the server writes to.
    open: Option<u64>,
}

impl<'a> BinaryLogs<'a> {
    pub(super) fn of(list: &FileList, layout: &'a ServerLayout, choice: BinlogChoice) -> Self {
        let numbers = list.entries.iter().filter_map(|entry| number(entry, layout));
        Self { layout, choice, open: numbers.max() }
    }

    /// Whether a file is one that belongs to the backup, and that nobody writes to again.
    pub(super) fn is_closed(&self, entry: &Entry) -> bool {
        self.choice == BinlogChoice::All
            && number(entry, self.layout).is_some_and(|number| Some(number) < self.open)
    }

    /// Whether a file belongs to the backup no more once the server has flushed.
    pub(super) fn goes_by_the_flush(&self, entry: &Entry) -> bool {
        self.choice != BinlogChoice::All && number(entry, self.layout).is_some()
    }
}

/// The number of a log, or of the index of GTIDs beside it; none of another file.
fn number(entry: &Entry, layout: &ServerLayout) -> Option<u64> {
    layout.binlog.as_ref()?;
    let path = entry.belongs(&layout.datadir);
    if is_numbered_log(layout, &path) { log_number(&path) } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::super::files::testing::files_named;
    use super::super::super::layout::BinlogFiles;
    use super::*;

    #[test]
    fn closed_logs_stay_where_all_are_wanted_and_else_the_flush_ends_the_newest() {
        let names =
            ["ibdata1", "b.000998", "b.000999", "b.000999.idx", "b.1000000", "b.1000000.idx", "c.000001"];
        let list = files_named(&names);
        let mut layout = ServerLayout::bare("/d");
        layout.binlog = Some(BinlogFiles { base: "/d/b".into(), index: "/d/b.index".into() });
        let those = |choice, is_one: &dyn Fn(&BinaryLogs<'_>, &Entry) -> bool| -> Vec<&str> {
            let logs = BinaryLogs::of(&list, &layout, choice);
            let entries = names.iter().zip(&list.entries);
            entries.filter(|(_, entry)| is_one(&logs, entry)).map(|(name, _)| *name).collect()
        };
        let closed = |choice| those(choice, &|logs, entry| logs.is_closed(entry));
        let going = |choice| those(choice, &|logs, entry| logs.goes_by_the_flush(entry));
        assert_eq!(closed(BinlogChoice::All), names[1..4]);
        assert_eq!(going(BinlogChoice::Newest), names[1..6]);
        assert!(closed(BinlogChoice::Newest).is_empty() && going(BinlogChoice::All).is_empty());
    }
}
