//! What stock `tar` makes of an archive while it is written, and what the script in it has to do then.

use super::apply::apply_script;
use super::at_end::steps;
use crate::model::{EarlyChange, Member, MemberKind, PageRuns};

/// What stock `tar` finds in the archive, as far as it is not simply left where it is.
#[derive(Debug, Default)]
pub(super) struct Unpacked {
    members: Vec<Member>,
    changes: Vec<EarlyChange>,
}

impl Unpacked {
    /// The next member; `replaces` where it comes in place of an early one. Other files stay as they are and are not kept: there may be
    /// many. Where each run belongs the script does not say.
    pub(super) fn take(&mut self, line: &Member, replaces: bool) {
        let is_plain = matches!(line.kind, MemberKind::File | MemberKind::Symlink) && line.place.is_none();
        if is_plain && !line.early && !replaces {
            return;
        }
        let pages = line.pages.as_ref().map(|pages| PageRuns { of: pages.of, runs: Vec::new() });
        self.members.push(Member { pages, sha256: None, user: None, group: None, ..line.clone() });
    }

    /// What became of an early member.
    pub(super) fn change(&mut self, change: &EarlyChange) {
        self.changes.push(change.clone());
    }

    /// The script; none where stock `tar` does it all. The text says what does not fit together.
    pub(super) fn script(&self) -> Result<Option<Vec<u8>>, String> {
        let steps = steps(&self.members, &self.changes)?;
        Ok((!steps.are_those_of_tar()).then(|| apply_script(&steps)))
    }
}
