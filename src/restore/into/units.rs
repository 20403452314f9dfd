//! A dump cut into its units: statements, comments, and the blocks in which routines and triggers stand.
//!
//! What is a statement is told as the `mariadb` client tells it: a semicolon in a string or in a comment ends nothing, so that a value
//! may look like a statement or a comment of `mariadb-dump` and is none. No unit is held in memory: of each its beginning is shown, by
//! which a sink decides, and then its bytes.

use std::io;

/// Most bytes of a unit's beginning that are shown: the names of a database and of a table, and the words around them.
const HEAD: usize = 2 << 10;
/// Beginnings of lines that end with their line, not with a semicolon: `mariadb-dump` writes them first, against statements for the client.
const SANDBOX: [&[u8]; 2] = [b"/*!999999\\-", b"/*M!999999\\-"];
const DELIMITER: &[u8] = b"DELIMITER ";
/// A line that ends a block.
const END_OF_BLOCK: &[u8] = b"DELIMITER ;";

/// Takes the units of a dump, one after the other.
pub(super) trait UnitSink {
    /// One begins in this line, with these bytes.
    fn begin(&mut self, head: &[u8], line: u64) -> io::Result<()>;
    /// Bytes of it, those of its beginning among them.
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// It is over, and had so many bytes.
    fn end(&mut self, length: u64) -> io::Result<()>;
    /// White space between two of them.
    fn gap(&mut self, bytes: &[u8]) -> io::Result<()>;
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between units.
    Gap,
    /// Too few bytes to tell what it is.
    Opening,
    /// To the end of the line.
    Line,
    /// To the line that ends it.
    Block,
    /// In a statement.
    Code,
    /// Behind `-`, `--`, `/`, `/*`, `/*M` in a statement.
    Dash,
    Dashes,
    Slash,
    SlashStar,
    SlashStarM,
    /// In a string or a quoted name; behind a backslash there.
    Quoted(u8),
    Escaped(u8),
    /// In a comment within a statement; behind its `*`.
    Comment,
    CommentStar,
    CommentLine,
}

/// Cuts what it is fed.
pub(super) struct Splitter<S> {
    sink: S,
    state: State,
    /// The beginning of a unit that was not shown yet.
    head: Vec<u8>,
    is_shown: bool,
    length: u64,
    /// Of the next byte, from 1 on.
    line: u64,
    unit_line: u64,
    /// The beginning of the present line of a block.
    row: Vec<u8>,
}

impl<S: UnitSink> Splitter<S> {
    pub(super) fn new(sink: S) -> Self {
        Self {
            sink,
            state: State::Gap,
            head: Vec::with_capacity(HEAD),
            is_shown: false,
            length: 0,
            line: 1,
            unit_line: 1,
            row: Vec::new(),
        }
    }

    pub(super) fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// More of the dump.
    pub(super) fn feed(&mut self, chunk: &[u8]) -> io::Result<()> {
        let mut from = 0;
        for (at, &byte) in chunk.iter().enumerate() {
            if self.state == State::Gap && !byte.is_ascii_whitespace() {
                self.sink.gap(&chunk[from..at])?;
                (from, self.unit_line) = (at, self.line);
                self.state = State::Opening;
            }
            if byte == b'\n' {
                self.line += 1;
            }
            if self.take(byte, &chunk[from..=at]) {
                self.push(&chunk[from..=at])?;
                self.close()?;
                from = at + 1;
            }
        }
        match self.state {
            State::Gap => self.sink.gap(&chunk[from..]),
            _ => self.push(&chunk[from..]),
        }
    }

    /// The end of the dump; the last unit may have no end of its own.
    pub(super) fn finish(mut self) -> io::Result<S> {
        if self.state != State::Gap {
            self.close()?;
        }
        Ok(self.sink)
    }

    /// Whether the unit is over with this byte, the last one of `fresh`.
    fn take(&mut self, byte: u8, fresh: &[u8]) -> bool {
        match self.state {
            State::Gap => false,
            State::Opening => self.open(fresh),
            State::Line => byte == b'\n',
            State::Block => self.row_of_block(byte),
            _ => self.code(byte),
        }
    }

    /// What the unit is, as soon as its bytes can tell; those before are in `head`.
    fn open(&mut self, fresh: &[u8]) -> bool {
        let begun: Vec<u8> = self.head.iter().chain(fresh).copied().collect();
        let is =
            |whole: &[u8]| begun.len() >= whole.len() && begun[..whole.len()].eq_ignore_ascii_case(whole);
        let may_be =
            |whole: &[u8]| begun.len() < whole.len() && whole[..begun.len()].eq_ignore_ascii_case(&begun);
        if is(b"#")
            || is(b"-- ")
            || is(b"--\n")
            || is(b"--\r")
            || is(b"--\t")
            || SANDBOX.iter().any(|text| is(text))
        {
            self.state = State::Line;
            return begun.ends_with(b"\n");
        }
        if is(DELIMITER) {
            self.row.clone_from(&begun);
            self.state = State::Block;
            return false;
        }
        if begun == b"-" || begun == b"--" || may_be(DELIMITER) || SANDBOX.iter().any(|text| may_be(text)) {
            return false;
        }
        self.state = State::Code;
        begun.iter().any(|byte| self.code(*byte))
    }

    fn row_of_block(&mut self, byte: u8) -> bool {
        if byte != b'\n' {
            if self.row.len() <= END_OF_BLOCK.len() + 1 {
                self.row.push(byte);
            }
            return false;
        }
        let is_end = self.row.trim_ascii_end().eq_ignore_ascii_case(END_OF_BLOCK);
        self.row.clear();
        is_end
    }

    fn code(&mut self, byte: u8) -> bool {
        let (state, is_over) = match (self.state, byte) {
            (State::Quoted(_), b'\\') if self.state != State::Quoted(b'`') => (self.state.escaped(), false),
            (State::Quoted(quote), _) if byte == quote => (State::Code, false),
            (State::Quoted(_), _) => (self.state, false),
            (State::Escaped(quote), _) => (State::Quoted(quote), false),
            // Statements for some versions only: what is in them is code, and their end is none of a comment.
            (State::CommentStar, b'/')
            | (State::SlashStar | State::SlashStarM, b'!')
            | (State::CommentLine, b'\n') => (State::Code, false),
            (State::Comment | State::CommentStar | State::SlashStar | State::SlashStarM, b'*') => {
                (State::CommentStar, false)
            }
            (State::SlashStar, b'M') => (State::SlashStarM, false),
            (State::Comment | State::CommentStar | State::SlashStar | State::SlashStarM, _) => {
                (State::Comment, false)
            }
            (State::CommentLine, _) | (State::Dashes, b' ' | b'\t' | b'\r') | (_, b'#') => {
                (State::CommentLine, false)
            }
            (State::Dash, b'-') => (State::Dashes, false),
            (State::Slash, b'*') => (State::SlashStar, false),
            (_, b'\'' | b'"' | b'`') => (State::Quoted(byte), false),
            (_, b'-') => (State::Dash, false),
            (_, b'/') => (State::Slash, false),
            (_, b';') => (State::Code, true),
            _ => (State::Code, false),
        };
        self.state = state;
        is_over
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        if self.is_shown {
            return self.sink.bytes(bytes);
        }
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD - self.head.len()));
        self.head.extend_from_slice(head);
        if self.head.len() == HEAD {
            self.show()?;
            self.sink.bytes(rest)?;
        }
        Ok(())
    }

    fn show(&mut self) -> io::Result<()> {
        self.is_shown = true;
        self.sink.begin(&self.head, self.unit_line)?;
        self.sink.bytes(&self.head)
    }

    fn close(&mut self) -> io::Result<()> {
        if !self.is_shown {
            self.show()?;
        }
        self.sink.end(self.length)?;
        self.head.clear();
        self.row.clear();
        (self.is_shown, self.length, self.state) = (false, 0, State::Gap);
        Ok(())
    }
}

impl State {
    fn escaped(self) -> Self {
        match self {
            Self::Quoted(quote) => Self::Escaped(quote),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each unit with its line.
    #[derive(Default)]
    struct Seen {
        units: Vec<(u64, String)>,
        all: Vec<u8>,
    }

    impl UnitSink for Seen {
        fn begin(&mut self, _: &[u8], line: u64) -> io::Result<()> {
            self.units.push((line, String::new()));
            Ok(())
        }

        fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.all.extend_from_slice(bytes);
            self.units.last_mut().unwrap().1.push_str(&String::from_utf8_lossy(bytes));
            Ok(())
        }

        fn end(&mut self, length: u64) -> io::Result<()> {
            assert_eq!(self.units.last().unwrap().1.len() as u64, length);
            Ok(())
        }

        fn gap(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.all.extend_from_slice(bytes);
            Ok(())
        }
    }

    fn units(text: &str, piece: usize) -> Vec<(u64, String)> {
        let mut splitter = Splitter::new(Seen::default());
        for piece in text.as_bytes().chunks(piece) {
            splitter.feed(piece).unwrap();
        }
        let seen = splitter.finish().unwrap();
        assert_eq!(String::from_utf8_lossy(&seen.all), text, "no byte is lost");
        seen.units
    }

    #[test]
    fn what_only_looks_like_an_end_ends_nothing() {
        let long = format!("INSERT INTO `t` VALUES ('{}');", "x;".repeat(HEAD));
        let wanted: Vec<(u64, &str)> = vec![
            (1, "/*M!999999\\- enable the sandbox mode */ \n"),
            (2, "-- MariaDB dump; 10.19\n"),
            (3, "--\n"),
            (5, "/*!40101 SET NAMES utf8mb4 */;"),
            (6, "INSERT INTO `a;``b` VALUES ('it''s; \\'\n-- Current Database: `x`\n', \"y;\\\\\");"),
            (
                9,
                "SELECT 5--3, 4/2 -- a comment; with an end\n+ 1 # another; one\n/* and; ** one */ /*!50001 ; ",
            ),
        ];
        let mut text: String =
            "/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump; 10.19\n--\n\n".into();
        text += "/*!40101 SET NAMES utf8mb4 */;\n";
        text += "INSERT INTO `a;``b` VALUES ('it''s; \\'\n-- Current Database: `x`\n', \"y;\\\\\");\n";
        text +=
            "SELECT 5--3, 4/2 -- a comment; with an end\n+ 1 # another; one\n/* and; ** one */ /*!50001 ; ";
        let cut = wanted.last().unwrap().1.rsplit_once(';').unwrap().0.len() + 1;
        for piece in [1, 2, 3, 7, 100, 1 << 20] {
            let found = units(&text, piece);
            for (found, (line, unit)) in found.iter().zip(&wanted) {
                let unit = if *line == 9 { &unit[..cut] } else { unit };
                assert_eq!((found.0, found.1.as_str()), (*line, unit), "{piece}");
            }
            assert_eq!(units(&format!("{long}\n{long}"), piece).len(), 2, "{piece}");
        }
    }

    #[test]
    fn a_block_ends_where_the_client_gets_its_semicolon_back() {
        let block =
            "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN\n-- it's\nUSE `x`;\nSELECT 1;\nEND ;;\nDELIMITER ;\n";
        let text = format!("{block}USE `d`;\n-- Dump completed on 2026-11-27 13:08:58\n");
        for piece in [1, 5, 1000] {
            let found: Vec<String> = units(&text, piece).into_iter().map(|(_, unit)| unit).collect();
            assert_eq!(found, [block, "USE `d`;", "-- Dump completed on 2026-11-27 13:08:58\n"]);
        }
    }
}
