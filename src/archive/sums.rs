//! The lines of `SHA256SUMS`, as GNU `sha256sum` writes and reads them.

use std::collections::HashMap;
use std::ops::Range;

use super::apply::{APPLY_MEMBER, PAGES_PREFIX};
use super::early_lines::is_below;
use crate::model::{ArchivePath, Member, MemberKind};

/// The lines of an archive while it is written. Where a path comes twice the last member counts, as it does for `tar`.
#[derive(Debug, Default)]
pub(super) struct Sums {
    lines: Vec<u8>,
    /// Where the lines stand of members that a later one may replace.
    early: HashMap<ArchivePath, Range<usize>>,
    replaced: Vec<Range<usize>>,
}

impl Sums {
    /// The next file; an early one may come again.
    pub(super) fn add(&mut self, sha256: &str, path: &ArchivePath, is_early: bool) {
        let begin = self.lines.len();
        self.lines.extend_from_slice(&sum_line(sha256, path));
        if is_early {
            self.early.insert(path.clone(), begin..self.lines.len());
        }
    }

    /// A member of this path comes: what was there before is replaced.
    pub(super) fn replace(&mut self, path: &ArchivePath) {
        self.replaced.extend(self.early.remove(path));
    }

    /// The lines that count.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let Self { lines, mut replaced, .. } = std::mem::take(self);
        replaced.sort_by_key(|range| range.start);
        let mut kept = Vec::with_capacity(lines.len());
        let mut at = 0;
        for Range { start, end } in replaced {
            kept.extend_from_slice(&lines[at..start]);
            at = end;
        }
        kept.extend_from_slice(&lines[at..]);
        kept
    }
}

/// Whether a member has a line there: a file of the server, pages of one, and what the script goes by that puts them in place, itself
/// included. A wrong offset in it would put good pages into a wrong place.
pub fn has_sum(member: &Member) -> bool {
    match member.kind {
        MemberKind::File | MemberKind::Pages => true,
        MemberKind::Generated => {
            member.path.as_bytes() == APPLY_MEMBER.as_bytes() || is_below(&member.path, PAGES_PREFIX)
        }
        MemberKind::Directory | MemberKind::Symlink => false,
    }
}

/// One line: digest, two blanks, name. A name with a backslash, newline or carriage return is
/// escaped and the line starts with a backslash (coreutils manual, "md5sum invocation").
pub fn sum_line(sha256: &str, path: &ArchivePath) -> Vec<u8> {
    let needs_escape = path.as_bytes().iter().any(|byte| matches!(byte, b'\\' | b'\n' | b'\r'));
    let mut line = Vec::with_capacity(sha256.len() + path.as_bytes().len() + 4);
    if needs_escape {
        line.push(b'\\');
    }
    line.extend_from_slice(sha256.as_bytes());
    line.extend_from_slice(b"  ");
    for byte in path.as_bytes() {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\r' => line.extend_from_slice(b"\\r"),
            other => line.push(*other),
        }
    }
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_path_that_comes_twice_the_last_line_counts() {
        let mut sums = Sums::default();
        let path = ArchivePath::new;
        for (digest, name, is_early) in
            [("1", "a", true), ("2", "b", true), ("3", "c", true), ("4", "a", true), ("5", "b", false)]
        {
            sums.replace(&path(name));
            sums.add(digest, &path(name), is_early);
        }
        assert_eq!(sums.take(), b"3  c\n4  a\n5  b\n");
        assert_eq!(sums.take(), b"");
    }

    #[test]
    fn odd_names_are_escaped_like_coreutils() {
        assert_eq!(sum_line("ab", &ArchivePath::new("db/t.ibd")), b"ab  db/t.ibd\n");
        assert_eq!(sum_line("ab", &ArchivePath::new("a\\b\nc")), b"\\ab  a\\\\b\\nc\n");
    }
}
