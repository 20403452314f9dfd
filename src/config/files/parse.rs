//! One option file: bytes to lines.
//!
//! The rules are those of `search_default_file_with_ext()` and `get_argument()` in MariaDB's `mysys/my_default.c`
//! as of 10.11; `tests/config_oracle.rs` holds them against the real `my_print_defaults`. What surprises:
//!
//! - A line is read with `fgets` into 4,095 bytes, so a longer one continues as a line of its own, and a NUL byte
//!   ends it.
//! - White space is what `my_isspace(latin1)` says, which includes the byte 0xA0: a value that ends in `à` (UTF-8
//!   C3 A0) loses its last byte.
//! - Only `#` begins a comment behind an option, outside quotes; `;` does so only at the start of a line.
//! - Quotes are taken away only where the value begins and ends with the same one; escapes work without quotes too.
//! - `!include` cuts off the last byte of its line, the newline; where the file ends without one, the name loses
//!   its last letter.

/// The longest piece of a line that one `fgets` returns.
const FGETS_BYTES: usize = 4094;

/// What one line says. Bytes, because neither the file nor MariaDB promises UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum OptionLine {
    /// Blank or a comment.
    Nothing,
    /// `[name]`.
    Group(Vec<u8>),
    /// `!include path`; `cut` holds the byte that was lost because the line has no newline.
    Include { path: Vec<u8>, cut: Option<u8> },
    /// `!includedir path`, likewise.
    IncludeDir { path: Vec<u8>, cut: Option<u8> },
    /// `!` with a word that MariaDB skips without a comment.
    UnknownDirective(Vec<u8>),
    /// `name`, or `name=value`.
    Option { name: Vec<u8>, value: Option<Vec<u8>> },
}

/// Why a line ends the reading of its file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineError {
    /// `[` without `]`.
    OpenGroup,
    /// `!include` or `!includedir` (the field) with nothing behind it.
    NoPath(&'static str),
}

/// Splits a file into what `fgets` would return, each with the number of the line (from 1) it belongs to.
pub(super) fn pieces(file: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = file;
    let mut number = 1;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let window = &rest[..rest.len().min(FGETS_BYTES)];
        let end = window.iter().position(|&b| b == b'\n').map_or(window.len(), |at| at + 1);
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        let this = number;
        if piece.ends_with(b"\n") {
            number += 1;
        }
        Some((this, until_nul(piece)))
    })
}

/// Reads one piece, as [`pieces`] returns it.
pub(super) fn line(piece: &[u8]) -> Result<OptionLine, LineError> {
    let start = piece.iter().position(|&b| !is_space(b)).unwrap_or(piece.len());
    let text = &piece[start..];
    match text.first() {
        None | Some(b'#' | b';') => Ok(OptionLine::Nothing),
        Some(b'!') => directive(piece, start),
        Some(b'[') => {
            let end = text.iter().position(|&b| b == b']').ok_or(LineError::OpenGroup)?;
            Ok(OptionLine::Group(trim_end(&text[1..end]).to_vec()))
        }
        Some(_) => Ok(option(text, start > 0)),
    }
}

/// Whether a piece is an `!include`, or looks like one.
pub(super) fn is_directive(piece: &[u8]) -> bool {
    trim_start(piece).first() == Some(&b'!')
}

/// White space as in `my_isspace(&my_charset_latin1, b)`.
fn is_space(byte: u8) -> bool {
    matches!(byte, 0x09..=0x0d | b' ' | 0xa0)
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or_default()
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&b| !is_space(b)).map_or(0, |last| last + 1);
    &bytes[..end]
}

fn trim_start(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|&b| !is_space(b)).unwrap_or(bytes.len());
    &bytes[start..]
}

fn directive(piece: &[u8], bang: usize) -> Result<OptionLine, LineError> {
    let word = trim_start(&piece[bang + 1..]);
    let argument = |keyword: &str| {
        let rest = word.strip_prefix(keyword.as_bytes())?;
        rest.first().is_some_and(|&b| is_space(b)).then_some(rest)
    };
    if let Some(rest) = argument("includedir") {
        let (path, cut) = include_path(rest, "includedir")?;
        return Ok(OptionLine::IncludeDir { path, cut });
    }
    if let Some(rest) = argument("include") {
        let (path, cut) = include_path(rest, "include")?;
        return Ok(OptionLine::Include { path, cut });
    }
    Ok(OptionLine::UnknownDirective(trim_end(word).to_vec()))
}

/// The argument of a directive: `rest` is what follows the keyword and begins with white space.
fn include_path(rest: &[u8], keyword: &'static str) -> Result<(Vec<u8>, Option<u8>), LineError> {
    let path = trim_start(rest);
    let Some((&last, kept)) = path.split_last() else {
        // Only white space: in C the end pointer stops in front of the argument.
        return Err(LineError::NoPath(keyword));
    };
    // C drops the last byte whatever it is, then white space; a newline is both.
    let cut = (!is_space(last)).then_some(last);
    let path = trim_end(kept);
    if path.is_empty() {
        return Err(LineError::NoPath(keyword));
    }
    Ok((path.to_vec(), cut))
}

/// `text` begins with the first byte that is not white space; `indented` tells whether there was any before it.
fn option(text: &[u8], indented: bool) -> OptionLine {
    let text = &text[..end_of_option(text)];
    let Some(equals) = text.iter().position(|&b| b == b'=') else {
        return OptionLine::Option { name: trim_end(text).to_vec(), value: None };
    };
    // A name of length zero after white space gets a negative length in C, so that all of the line is copied.
    let name = if equals == 0 && indented { text } else { trim_end(&text[..equals]) };
    let value = trim_end(trim_start(&text[equals + 1..]));
    OptionLine::Option { name: name.to_vec(), value: Some(unescape(unquote(value))) }
}

/// Where the comment begins: the first `#` outside quotes, or the end. A backslash protects a quote only inside
/// quotes.
fn end_of_option(text: &[u8]) -> usize {
    let mut quote = None;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        if (byte == b'\'' || byte == b'"') && !escaped {
            match quote {
                None => quote = Some(byte),
                Some(open) if open == byte => quote = None,
                Some(_) => {}
            }
        }
        if quote.is_none() && byte == b'#' {
            return at;
        }
        escaped = quote.is_some() && byte == b'\\' && !escaped;
    }
    text.len()
}

fn unquote(value: &[u8]) -> &[u8] {
    match value {
        [first @ (b'"' | b'\''), inside @ .., last] if first == last => inside,
        _ => value,
    }
}

fn unescape(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'b') => out.push(0x08),
            Some(b's') => out.push(b' '),
            Some(plain @ (b'"' | b'\'' | b'\\')) => out.push(plain),
            Some(other) => out.extend([b'\\', other]),
            None => out.push(b'\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option_of(text: &str) -> (String, Option<String>) {
        match line(text.as_bytes()) {
            Ok(OptionLine::Option { name, value }) => {
                (String::from_utf8(name).unwrap(), value.map(|v| String::from_utf8(v).unwrap()))
            }
            other => panic!("{text:?} is {other:?}"),
        }
    }

    // Every expectation below was printed by my_print_defaults 10.11.19.
    #[test]
    fn options_read_as_my_print_defaults_prints_them() {
        for (text, name, value) in [
            ("plain\n", "plain", None),
            ("keyempty=\n", "keyempty", Some("")),
            (" sp = x # c\n", "sp", Some("x")),
            ("q1=\"a # b\" # c\n", "q1", Some("a # b")),
            ("q2 = 'a\\'b'\n", "q2", Some("a'b")),
            ("q3=\"abc\n", "q3", Some("\"abc")),
            ("q4=\\s\\x\\\\\\q\n", "q4", Some(" \\x\\\\q")),
            ("=v\n", "", Some("v")),
            ("== v\n", "", Some("= v")),
            (" =x\n", "=x\n", Some("x")),
            ("\t = y z # c\n", "= y z ", Some("y z")),
        ] {
            assert_eq!(option_of(text), (name.to_owned(), value.map(str::to_owned)), "{text:?}");
        }
    }

    #[test]
    fn the_last_letter_of_an_include_is_lost_without_a_newline() {
        let cut = |text: &[u8]| line(text);
        assert_eq!(cut(b"!include a.cnf\n"), Ok(OptionLine::Include { path: b"a.cnf".to_vec(), cut: None }));
        assert_eq!(
            cut(b"!include a.cnf"),
            Ok(OptionLine::Include { path: b"a.cn".to_vec(), cut: Some(b'f') })
        );
        assert_eq!(
            cut(b"! includedir  d \t\r\n"),
            Ok(OptionLine::IncludeDir { path: b"d".to_vec(), cut: None })
        );
        assert_eq!(cut(b"!include \n"), Err(LineError::NoPath("include")));
        assert_eq!(cut(b"!include x"), Err(LineError::NoPath("include")));
        assert_eq!(cut(b"!includex y\n"), Ok(OptionLine::UnknownDirective(b"includex y".to_vec())));
    }

    #[test]
    fn a_long_line_goes_on_as_a_line_of_its_own_with_the_same_number() {
        let mut file = b"[g]\n#".to_vec();
        file.extend(vec![b'x'; FGETS_BYTES - 1]);
        file.extend(b"b=1\nc=2\n");
        let read: Vec<_> = pieces(&file).skip(2).collect();
        assert_eq!(read, [(2, &b"b=1\n"[..]), (3, b"c=2\n")]);
    }
}
