//! The values that settings can take, each read from text by one function.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::HostPort;

/// Why a text is not a value, in words that follow the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// More threads than this bring nothing but memory.
pub(super) const MAX_THREADS: usize = 256;

/// Bytes that are not UTF-8 have become U+FFFD when the text was read, and would name another file or user.
pub(super) fn utf8(text: &str) -> Result<&str, ValueError> {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ValueError::new("has bytes that are not UTF-8"));
    }
    Ok(text)
}

/// A text that says something.
pub(super) fn string(text: &str) -> Result<String, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new("is empty; give it a value or leave it out"));
    }
    Ok(text.to_owned())
}

/// A path, which may count from the working directory.
pub(super) fn path(text: &str) -> Result<PathBuf, ValueError> {
    string(text).map(PathBuf::from)
}

/// A path that means the same in every working directory.
pub(super) fn absolute_path(text: &str) -> Result<PathBuf, ValueError> {
    let path = PathBuf::from(text);
    if !path.is_absolute() {
        return Err(ValueError::new(format!("'{text}' is not an absolute path; it must begin with /")));
    }
    Ok(path)
}

/// Which binary logs go into the backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BinlogChoice {
    /// The newest, which keeps the GTID state, and the index.
    #[default]
    Newest,
    /// All of them.
    All,
    /// None.
    None,
}

impl BinlogChoice {
    const ALL: [(&'static str, Self); 3] =
        [("newest", Self::Newest), ("all", Self::All), ("none", Self::None)];
}

impl FromStr for BinlogChoice {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        one_of(text, &Self::ALL)
    }
}

impl fmt::Display for BinlogChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(*self, &Self::ALL))
    }
}

/// How data is captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// The method with the shortest freeze that works here.
    #[default]
    Auto,
    /// Copy while the server is frozen.
    Freeze,
}

impl Method {
    const ALL: [(&'static str, Self); 2] = [("auto", Self::Auto), ("freeze", Self::Freeze)];
    /// Methods that are designed and not in this version.
    const LATER: [&'static str; 4] = ["snapshot", "precopy", "mariadb-backup", "logical"];
}

impl FromStr for Method {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if Self::LATER.contains(&text) {
            let problem = format!("method '{text}' is not in this version; use auto or freeze");
            return Err(ValueError::new(problem));
        }
        one_of(text, &Self::ALL)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(name_of(*self, &Self::ALL))
    }
}

fn one_of<T: Copy>(text: &str, all: &[(&str, T)]) -> Result<T, ValueError> {
    if let Some((_, value)) = all.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    Err(ValueError::new(format!("'{text}' is not one of {}", names.join(", "))))
}

fn name_of<T: PartialEq + Copy>(value: T, all: &[(&'static str, T)]) -> &'static str {
    all.iter().find(|(_, other)| *other == value).map_or("", |(name, _)| name)
}

/// A whole number within `range`.
pub(super) fn number<T>(text: &str, range: &RangeInclusive<T>) -> Result<T, ValueError>
where
    T: FromStr + PartialOrd + fmt::Display,
{
    let within = |value: &T| range.contains(value);
    text.parse().ok().filter(within).ok_or_else(|| {
        let problem = format!("'{text}' is not a whole number from {} to {}", range.start(), range.end());
        ValueError::new(problem)
    })
}

/// Addresses, separated by commas.
pub(super) fn members(text: &str) -> Result<Vec<HostPort>, ValueError> {
    text.split(',').map(|address| address.parse().map_err(|why: String| ValueError::new(why))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_in_text_and_in_json() {
        for (name, value) in BinlogChoice::ALL {
            assert_eq!(serde_json::to_value(value).unwrap(), value.to_string(), "{name}");
        }
        for (name, value) in Method::ALL {
            assert_eq!(serde_json::to_value(value).unwrap(), value.to_string(), "{name}");
        }
    }

    #[test]
    fn a_later_method_is_refused_as_such() {
        let error = "precopy".parse::<Method>().unwrap_err().to_string();
        assert_eq!(error, "method 'precopy' is not in this version; use auto or freeze");
        assert_eq!("x".parse::<Method>().unwrap_err().to_string(), "'x' is not one of auto, freeze");
    }
}
