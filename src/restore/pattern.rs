//! `--only`: names of tables, as people know them or as files bear them.

use std::str::FromStr;

use crate::model::{encode_char, encode_name, matches};

/// `--only`: a table, or several of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePattern {
    pub(super) text: String,
    database: NamePattern,
    table: NamePattern,
}

impl TablePattern {
    /// Whether it means this table; both names as files bear them.
    pub(super) fn fits(&self, database: &[u8], table: &[u8]) -> bool {
        self.database.matches(database) && self.table.matches(table)
    }

    /// The same without regard to capital letters of ASCII.
    pub(super) fn fits_in_another_case(&self, database: &[u8], table: &[u8]) -> bool {
        let lower = Self {
            text: String::new(),
            database: self.database.in_lower_case(),
            table: self.table.in_lower_case(),
        };
        lower.fits(&database.to_ascii_lowercase(), &table.to_ascii_lowercase())
    }
}

/// A name with `*` for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamePattern {
    /// As it was given, which may be the name of a file.
    given: String,
    /// As a file bears it.
    encoded: String,
}

impl NamePattern {
    fn new(name: &str) -> Self {
        let is_pattern = name.contains('*');
        let encode = |c: char| if c == '*' { "*".to_owned() } else { encode_char(c) };
        let encoded = if is_pattern { name.chars().map(encode).collect() } else { encode_name(name) };
        // No table has a file with this character in its name.
        Self { given: name.replace('?', "@003f"), encoded }
    }

    fn matches(&self, file: &[u8]) -> bool {
        matches(self.given.as_bytes(), file) || matches(self.encoded.as_bytes(), file)
    }

    fn in_lower_case(&self) -> Self {
        Self { given: self.given.to_ascii_lowercase(), encoded: self.encoded.to_ascii_lowercase() }
    }
}

impl FromStr for TablePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = name(text, '.').and_then(|(database, rest)| {
            let (table, rest) = name(rest.strip_prefix('.')?, '\0')?;
            (rest.is_empty() && !database.is_empty() && !table.is_empty()).then_some((database, table))
        });
        let (database, table) = parsed.ok_or("it has the form DATABASE.TABLE or DATABASE.*")?;
        // Between backquotes everything is a name.
        if text.contains('/') && !text.contains('`') {
            return Err("names of a database and a table are wanted, not a path".into());
        }
        Ok(Self {
            text: text.to_owned(),
            database: NamePattern::new(&database),
            table: NamePattern::new(&table),
        })
    }
}

/// The name at the start of the text, and what follows it: up to `end`, or between backquotes, where two stand for one.
fn name(text: &str, end: char) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('`') else {
        let at = text.find(end).unwrap_or(text.len());
        return Some((text[..at].to_owned(), &text[at..]));
    };
    let mut name = String::new();
    loop {
        let (piece, behind) = rest.split_once('`')?;
        name.push_str(piece);
        match behind.strip_prefix('`') {
            Some(more) => {
                name.push('`');
                rest = more;
            }
            None => return Some((name, behind)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_people_or_of_files() {
        for (pattern, database, table, fits) in [
            ("shop.orders", "shop", "orders", true),
            ("shop.orders", "shop", "Orders", false),
            ("`shop`.`orders`", "shop", "orders", true),
            ("`my.shop`.`a.b`", "my@002eshop", "a@002eb", true),
            ("shop.a.b", "shop", "a@002eb", true),
            ("`back``tick`.t", "back@0060tick", "t", true),
            ("müll-1.café*", "m@1oll@002d1", "caf@0p@002d2", true),
            ("m@1oll@002d1.日本", "m@1oll@002d1", "@65e5@672c", true),
            ("shop.con", "shop", "con@@@", true),
            ("`x/y`.`p.q`", "x@002fy", "p@002eq", true),
            ("shop.*", "shop", "anything", true),
            ("shop.what?", "shop", "whats", false),
        ] {
            let parsed: TablePattern = pattern.parse().unwrap();
            assert_eq!(parsed.fits(database.as_bytes(), table.as_bytes()), fits, "{pattern}");
        }
        for wrong in ["shop", "shop.", ".t", "`shop.t", "`shop`t", "`shop`.`t`x", "shop/t.ibd"] {
            assert!(wrong.parse::<TablePattern>().is_err(), "{wrong}");
        }
        let parsed: TablePattern = "Shop.ORDERS".parse().unwrap();
        assert!(parsed.fits_in_another_case(b"shop", b"Orders"));
    }
}
