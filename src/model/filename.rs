//! Names of databases and tables as their files bear them.
//!
//! `tablename_to_filename` in `sql/sql_table.cc`: letters, digits and `_` of ASCII stay; a letter of another alphabet that
//! has two cases becomes `@` and two characters, everything else `@` and four hexadecimal digits. Names that Windows keeps
//! for its devices get `@@@` behind them, on every system.

use super::filename_letters::LETTERS;

/// The devices of Windows, in lower case; the last two are followed by a digit from 1 to 9.
const DEVICES: [&str; 4] = ["aux", "con", "nul", "prn"];
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// One character of a name, as a file bears it.
pub fn encode_char(c: char) -> String {
    let code = u32::from(c);
    if c.is_ascii_alphanumeric() || c == '_' {
        return c.to_string();
    }
    let letter = LETTERS.iter().find_map(|(first, pairs)| {
        let at = usize::try_from(code.checked_sub(*first)?).ok()? * 2;
        pairs.get(at..at + 2).filter(|pair| *pair != "  ")
    });
    letter.map_or_else(|| format!("@{code:04x}"), |pair| format!("@{pair}"))
}

/// A whole name of a database or a table; `#mysql50#` names a file as it is.
pub fn encode_name(name: &str) -> String {
    if let Some(file) = name.strip_prefix("#mysql50#") {
        return file.to_owned();
    }
    let mut encoded: String = name.chars().map(encode_char).collect();
    if is_device(&encoded) {
        encoded.push_str("@@@");
    }
    encoded
}

fn is_device(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let numbered = |device: &&str| {
        name.strip_prefix(*device).is_some_and(|digit| matches!(digit.as_bytes(), [b'1'..=b'9']))
    };
    DEVICES.contains(&name.as_str()) || NUMBERED_DEVICES.iter().any(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files that a server of 10.11 has made.
    #[test]
    fn files_bear_encoded_names() {
        for (name, file) in [
            ("orders", "orders"),
            ("MixedCase_1", "MixedCase_1"),
            ("odd-name", "odd@002dname"),
            ("a.b", "a@002eb"),
            ("müll-1", "m@1oll@002d1"),
            ("café-ünï Ω", "caf@0p@002d@1on@0v@0020@7P"),
            ("日本", "@65e5@672c"),
            ("con", "con@@@"),
            ("LPT1", "LPT1@@@"),
            ("com0", "com0"),
            ("console", "console"),
            ("#mysql50#a-b", "a-b"),
        ] {
            assert_eq!(encode_name(name), file, "{name}");
        }
    }

    #[test]
    fn every_letter_has_a_pair_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for (_, pairs) in LETTERS {
            for pair in pairs.as_bytes().chunks(2).filter(|pair| *pair != b"  ") {
                assert!(pair[0] != b' ' && pair[1] != b' ' && seen.insert(pair), "{pair:?}");
            }
        }
        assert_eq!(seen.len(), 1510);
    }
}
