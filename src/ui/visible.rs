//! Text from outside, made harmless for a terminal.
//!
//! A name in a repository, an answer of a server, a file's name: whoever may write there chooses the letters. Raw, they could
//! move the cursor, forge a line (`\n`, `\r`), retitle the window (OSC), or show another text than the one that is there (letters
//! that turn the direction round, letters that nobody sees). So all that is printed goes through [`visible`]: such letters are
//! shown as an escape (`\n`, `\x1b`, `\u{202e}`), everything else stays as it is.

use std::borrow::Cow;
use std::fmt::Write;
use std::ops::RangeInclusive;

/// What has no picture of its own beside the control characters: the category Cf of Unicode but for the signs of Arabic, Syriac
/// and Kaithi numbers, which are seen; the separators of lines and paragraphs; fillers, and letters that are ignored by default.
const HIDDEN: [RangeInclusive<char>; 18] = [
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fffb}',
    '\u{fffe}'..='\u{ffff}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e0fff}',
];

/// Whether a terminal shows this letter and does nothing else.
pub fn is_harmless(letter: char) -> bool {
    if letter.is_ascii() {
        return !letter.is_ascii_control();
    }
    !letter.is_control() && !HIDDEN.iter().any(|range| range.contains(&letter))
}

/// The text in one line that does nothing to a terminal. What it gives stays the same when it is given to it again.
pub fn visible(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_harmless) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        let _ = match letter {
            letter if is_harmless(letter) => shown.write_char(letter),
            '\n' => shown.write_str("\\n"),
            '\r' => shown.write_str("\\r"),
            '\t' => shown.write_str("\\t"),
            letter if letter.is_ascii() => write!(shown, "\\x{:02x}", u32::from(letter)),
            letter => write!(shown, "\\u{{{:x}}}", u32::from(letter)),
        };
    }
    Cow::Owned(shown)
}

/// The same for a text in JSON: it stays the same value to every program that reads it. The line breaks between values stay.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let stays = |letter: char| letter == '\n' || is_harmless(letter);
    if json.chars().all(stays) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 16);
    for letter in json.chars() {
        if stays(letter) {
            shown.push(letter);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_a_terminal_is_shown_and_letters_of_every_language_stay() {
        for (text, shown) in [
            ("n\u{f6}de \u{65e5}\u{672c} \u{1f600} C:\\x 'q' \"p\"", None),
            ("\u{2581}\u{2588} \u{2026} e\u{301}", None),
            ("a\nok  forged", Some("a\\nok  forged")),
            ("\u{1b}]0;title\u{7}\r\t\0\u{7f}", Some("\\x1b]0;title\\x07\\r\\t\\x00\\x7f")),
            ("\u{9b}31m\u{85}", Some("\\u{9b}31m\\u{85}")),
            ("a\u{202e}b\u{2066}c\u{200b}d\u{feff}", Some("a\\u{202e}b\\u{2066}c\\u{200b}d\\u{feff}")),
            ("\u{2028}\u{ad}\u{e0041}\u{3164}", Some("\\u{2028}\\u{ad}\\u{e0041}\\u{3164}")),
        ] {
            assert_eq!(visible(text), shown.unwrap_or(text), "{text:?}");
            assert_eq!(visible(&visible(text)), visible(text));
        }
    }

    /// Rust's own table knows what can be printed; it tells no filler from a letter.
    #[test]
    fn no_format_character_is_missing() {
        let seen = |letter: char| {
            matches!(letter, '\u{600}'..='\u{605}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}')
        };
        for letter in ('\0'..=char::MAX).filter(|letter| letter.is_control()) {
            assert!(!is_harmless(letter), "{:x}", u32::from(letter));
        }
        // The blocks in which format characters lie.
        let blocks = [
            '\u{a1}'..='\u{ad}',
            '\u{600}'..='\u{6ff}',
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
        ];
        for letter in blocks.into_iter().flatten().filter(|letter| !seen(*letter)) {
            // Behind a letter, so that an accent is one.
            let is_printed = format!("a{letter}").escape_debug().to_string() == format!("a{letter}");
            assert_eq!(is_harmless(letter), is_printed, "{:x}", u32::from(letter));
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        let value =
            serde_json::json!({ "a": "x\n\u{1b}\u{9b}\u{202e}\u{e0041}\u{7f}\u{f6}\u{1f600}", "b": [1] });
        let text = serde_json::to_string_pretty(&value).unwrap();
        let shown = visible_json(&text);
        assert!(shown.chars().all(|letter| letter == '\n' || is_harmless(letter)), "{shown:?}");
        assert!(shown.contains("\\u202e\\udb40\\udc41\\u007f\u{f6}\u{1f600}"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
