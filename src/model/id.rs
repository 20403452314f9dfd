//! Names of backups and clusters that are safe as a file name, an object key and a tar argument.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest safe component, in bytes: below every file system's 255 with room for suffixes.
const MAX_COMPONENT: usize = 128;

/// A text as one path component: letters, digits, `.`, `_`, `-`; everything else becomes `_`.
///
/// No colon, because GNU tar takes `a:b` for a remote host; no leading dot, because hidden
/// names are ours (temporary files); never empty.
pub fn safe_component(text: &str) -> String {
    let mut safe: String = text
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .take(MAX_COMPONENT)
        .collect();
    if safe.is_empty() {
        safe.push('_');
    }
    if safe.starts_with(['.', '-']) {
        safe.replace_range(..1, "_");
    }
    safe
}

/// The name of one backup: `20261120T113452Z_<node>`, UTC start time and wsrep_node_name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BackupId(String);

/// A text that is not a backup's name.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("'{0}' is not a backup ID (like 20261120T113452Z_node1); 'list' shows them")]
pub struct IdError(String);

impl BackupId {
    /// The name for a backup that starts now on `node`.
    pub fn new(started: Timestamp, node: &str) -> Self {
        Self(format!("{}_{}", started.strftime("%Y%m%dT%H%M%SZ"), safe_component(node)))
    }

    /// The second in which it started, by the donor's clock; none for digits that are no time.
    pub fn started(&self) -> Option<Timestamp> {
        jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", self.0.get(..16)?)
            .ok()?
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|time| time.timestamp())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BackupId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let time_is_right = text.as_bytes().get(..17).is_some_and(|time| {
            time.iter().enumerate().all(|(at, byte)| match at {
                8 => *byte == b'T',
                15 => *byte == b'Z',
                16 => *byte == b'_',
                _ => byte.is_ascii_digit(),
            })
        });
        match text.get(17..) {
            Some(node) if time_is_right && safe_component(node) == node => Ok(Self(text.to_owned())),
            _ => Err(IdError(text.to_owned())),
        }
    }
}

impl TryFrom<String> for BackupId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<BackupId> for String {
    fn from(id: BackupId) -> Self {
        id.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_everywhere() {
        assert_eq!(safe_component("db-1.example.org"), "db-1.example.org");
        assert_eq!(safe_component("a:b/c d\u{e9}\n"), "a_b_c_d__");
        assert_eq!(safe_component(".."), "_.");
        assert_eq!(safe_component("-rf"), "_rf");
        assert_eq!(safe_component(""), "_");
        assert_eq!(safe_component(&"x".repeat(300)).len(), MAX_COMPONENT);
    }

    #[test]
    fn an_id_carries_utc_time_and_node() {
        let started: Timestamp = "2026-11-20T12:34:52.9+01:00".parse().unwrap();
        let id = BackupId::new(started, "n\u{f6}de 1");
        assert_eq!(id.as_str(), "20261120T113452Z_n_de_1");
        assert_eq!(id.started(), Some("2026-11-20T11:34:52Z".parse().unwrap()));
        assert_eq!(id.as_str().parse(), Ok(id));
        assert_eq!("20261399T113452Z_n".parse::<BackupId>().unwrap().started(), None);
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in [
            "",
            "latest",
            "../../etc",
            "20261120T113452Z",
            "20261120T113452Z_",
            "20261120T113452Z_a/b",
            "20261120T11345ZZ_a",
        ] {
            assert!(text.parse::<BackupId>().is_err(), "{text}");
        }
    }
}
