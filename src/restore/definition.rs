//! What a `.frm` file says that matters for reading its table on another server.
//!
//! A view is a text that begins with `TYPE=VIEW` (`sql/parse_file.cc`); its `query=` names the tables in full. A table is
//! binary, and where its engine is a plugin the name stands there with its length before it (`writefile` in
//! `sql/unireg.cc`).

use std::collections::BTreeSet;

use super::tables::name_of;
use crate::model::encode_name;

/// An engine that is a plugin.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Engine {
    pub(super) name: &'static str,
    /// What `plugin_load_add` wants.
    pub(super) library: &'static str,
    /// Its rows are not in the files of the database.
    pub(super) is_elsewhere: bool,
}

const fn engine(name: &'static str, library: &'static str, is_elsewhere: bool) -> Engine {
    Engine { name, library, is_elsewhere }
}

/// Engines that a server has not without their library. With `skip_grant_tables` it does not read `mysql.plugin`.
const ENGINES: [Engine; 10] = [
    engine("ARCHIVE", "ha_archive", false),
    engine("BLACKHOLE", "ha_blackhole", false),
    engine("COLUMNSTORE", "ha_columnstore", true),
    engine("CONNECT", "ha_connect", true),
    engine("FEDERATED", "ha_federatedx", true),
    engine("MROONGA", "ha_mroonga", false),
    engine("OQGRAPH", "ha_oqgraph", true),
    engine("S3", "ha_s3", true),
    engine("SPHINX", "ha_sphinx", true),
    engine("SPIDER", "ha_spider", true),
];

/// The libraries of engines that keep rows in the files of the database.
pub fn engine_libraries() -> impl Iterator<Item = &'static str> {
    ENGINES.iter().filter(|engine| !engine.is_elsewhere).map(|engine| engine.library)
}

/// What a table is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Definition {
    /// A view, with the names `database.table` that it may read, as files bear them.
    View(BTreeSet<String>),
    /// A table of a plugin.
    Plugin(&'static Engine),
    /// A table of an engine that every server has.
    Table,
}

impl Definition {
    /// Of the content of a `.frm` file.
    pub(super) fn of(content: &[u8]) -> Self {
        if content.starts_with(b"TYPE=VIEW") {
            return Self::View(tables_of_view(content));
        }
        let named = |engine: &&Engine| {
            let length = u16::try_from(engine.name.len()).unwrap_or_default().to_le_bytes();
            content.windows(2 + engine.name.len()).any(|window| {
                window.starts_with(&length) && window[2..].eq_ignore_ascii_case(engine.name.as_bytes())
            })
        };
        ENGINES.iter().find(named).map_or(Self::Table, Self::Plugin)
    }
}

/// Every two names in backquotes with a dot between them. Names of columns are among them, with that of their table.
fn tables_of_view(content: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(content);
    let query = text.lines().find_map(|line| line.strip_prefix("query=")).unwrap_or_default();
    let mut names = BTreeSet::new();
    let mut last: Option<&str> = None;
    // What stands between backquotes is every second piece.
    for (number, piece) in query.split('`').enumerate() {
        if number % 2 == 0 {
            last = last.filter(|_| piece == ".");
            continue;
        }
        if let Some(database) = last {
            names.insert(name_of((encode_name(database).as_bytes(), encode_name(piece).as_bytes())));
        }
        last = Some(piece);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_names_its_tables() {
        let content = "TYPE=VIEW\nquery=select `p`.`id` AS `id`,`shop`.`c-1`.`p` AS `p` from (`shop`.`parent` `p` join \
                       `shop`.`c-1` on(`shop`.`c-1`.`p` = `p`.`id`))\nmd5=17\nsource=select `not`.`this`\n";
        let Definition::View(names) = Definition::of(content.as_bytes()) else { panic!("a view") };
        assert!(names.contains("shop.parent") && names.contains("shop.c@002d1"), "{names:?}");
        assert!(!names.contains("not.this"), "{names:?}");
    }

    #[test]
    fn an_engine_is_found_by_its_name_and_length() {
        for (content, library) in [
            (&b"\xfe\x01\x10\x07\x00ARCHIVE\x00"[..], Some("ha_archive")),
            (b"\xfe\x01\x12 \x09\x00FEDERATED", Some("ha_federatedx")),
            (b"\xfe\x01\x0c\x06\x00InnoDB archive ARCHIVE", None),
            (b"", None),
        ] {
            let found = match Definition::of(content) {
                Definition::Plugin(engine) => Some(engine.library),
                _ => None,
            };
            assert_eq!(found, library);
        }
    }
}
