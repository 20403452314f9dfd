//! The statements that `mariadb-dump` writes, looked at as they pass: whether they are whole, and how long the longest of them is.
//!
//! The program ends each dump that has gone well with a comment (`write_footer` in `client/mysqldump.c`), and each name and value
//! that it writes has its line breaks escaped, so that no row can look like the last line, and a statement ends where a line does, with `;`. (Inside
//! of a routine it may seem to end sooner: these are not the long ones.)

use thiserror::Error;

/// What begins the last line of a dump that is whole.
const LAST: &[u8] = b"-- Dump completed";
/// What begins the definition of a table.
const TABLE: &[u8] = b"CREATE TABLE `";
/// What begins a line that is in no statement.
const COMMENT: &[u8] = b"--";
/// Bytes of a line that are kept: as many as tell the two.
const KEPT: usize = LAST.len();

/// What a dump has held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DumpContent {
    /// Bytes.
    pub bytes: u64,
    /// Tables whose definitions are in it.
    pub tables: u64,
    /// Bytes of its longest statement.
    pub longest_statement: u64,
}

/// A dump that is not whole.
#[derive(Debug, Clone, Copy, Error, PartialEq, Eq)]
pub enum DumpError {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// It ends anywhere.
    #[error("its last line, '-- Dump completed', is missing behind {0} bytes: it was cut off")]
    CutOff(u64),
}

/// Takes a dump piece by piece.
#[derive(Debug, Clone, Default)]
pub struct DumpScanner {
    content: DumpContent,
    /// The beginning of the line that is being read.
    line: Vec<u8>,
    /// The last byte of it so far.
    last: Option<u8>,
    /// Of the statement so far, with the line that is being read.
    statement_bytes: u64,
    /// The last line that is not empty is that of a dump that is whole.
    is_complete: bool,
}

impl DumpScanner {
    /// The next bytes.
    pub fn take(&mut self, mut bytes: &[u8]) {
        self.content.bytes += bytes.len() as u64;
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            self.append(&bytes[..at]);
            self.end_of_line();
            bytes = &bytes[at + 1..];
        }
        self.append(bytes);
    }

    fn append(&mut self, part: &[u8]) {
        let room = KEPT.saturating_sub(self.line.len()).min(part.len());
        self.line.extend_from_slice(&part[..room]);
        self.last = part.last().copied().or(self.last);
        self.statement_bytes += part.len() as u64;
    }

    fn end_of_line(&mut self) {
        if !self.line.is_empty() {
            self.is_complete = self.line.starts_with(LAST);
        }
        self.content.tables += u64::from(self.line.starts_with(TABLE));
        let is_apart = self.line.is_empty() || self.line.starts_with(COMMENT);
        if is_apart || self.last == Some(b';') {
            if !is_apart {
                self.content.longest_statement = self.content.longest_statement.max(self.statement_bytes);
            }
            self.statement_bytes = 0;
        } else {
            self.statement_bytes += 1;
        }
        self.line.clear();
        self.last = None;
    }

    /// What it was, where it is whole.
    pub fn finish(mut self) -> Result<DumpContent, DumpError> {
        self.end_of_line();
        match self.content.bytes {
            0 => Err(DumpError::Empty),
            _ if self.is_complete => Ok(self.content),
            bytes => Err(DumpError::CutOff(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "-- MariaDB dump\n\nCREATE TABLE `t` (\n  `a` int\n);\nINSERT INTO `t` VALUES\n(1,'-- Dump completed\\n'),\n(2,'a;b');\n\
                        \n-- Dump completed on 2026-11-20 11:34:52\n";

    #[test]
    fn a_dump_is_whole_with_its_last_line_only_however_it_is_cut_into_pieces() {
        for size in [1, 2, 7, 64, 4096] {
            for end in 0..=DUMP.len() {
                let mut scanner = DumpScanner::default();
                DUMP.as_bytes()[..end].chunks(size).for_each(|piece| scanner.take(piece));
                let found = scanner.finish();
                let has_last_line = end >= DUMP.rfind("-- Dump").unwrap() + LAST.len();
                assert_eq!(found.is_ok(), has_last_line, "{end} {found:?}");
            }
        }
        let mut scanner = DumpScanner::default();
        scanner.take(DUMP.as_bytes());
        let longest = "INSERT INTO `t` VALUES\n(1,'-- Dump completed\\n'),\n(2,'a;b');".len() as u64;
        assert_eq!(
            scanner.finish(),
            Ok(DumpContent { bytes: DUMP.len() as u64, tables: 1, longest_statement: longest })
        );
    }

    #[test]
    fn nothing_follows_the_last_line() {
        let mut scanner = DumpScanner::default();
        scanner.take(DUMP.as_bytes());
        scanner.take(b"\n\n");
        assert!(scanner.clone().finish().is_ok());
        scanner.take(b"INSERT");
        assert!(matches!(scanner.finish(), Err(DumpError::CutOff(_))));
        assert_eq!(DumpScanner::default().finish(), Err(DumpError::Empty));
    }
}
