//! The values that settings can take, each read from text by one function.

pub(super) mod choice;
pub(super) mod command;
pub(super) mod dump;
pub(super) mod duration;
pub(super) mod repository;
pub(super) mod retention;
pub(super) mod s3;
pub(super) mod secret;
pub(super) mod size;

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use thiserror::Error;

use crate::model::HostPort;

/// Why a text is not a value, in words that follow the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    /// What is wrong with it; never the text of a password.
    pub fn new(problem: impl Into<String>) -> Self {
        Self(problem.into())
    }
}

/// Bytes that are not UTF-8 have become U+FFFD when the text was read, and would name another file or user.
pub(in crate::config) fn utf8(text: &str) -> Result<&str, ValueError> {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(ValueError::new("has bytes that are not UTF-8"));
    }
    Ok(text)
}

/// A text that says something.
pub(in crate::config) fn string(text: &str) -> Result<String, ValueError> {
    if text.is_empty() {
        return Err(ValueError::new("is empty; give it a value or leave it out"));
    }
    Ok(text.to_owned())
}

/// A path, which may count from the working directory.
pub(in crate::config) fn path(text: &str) -> Result<PathBuf, ValueError> {
    string(text).map(PathBuf::from)
}

/// A path that means the same in every working directory.
pub(in crate::config) fn absolute_path(text: &str) -> Result<PathBuf, ValueError> {
    let path = PathBuf::from(text);
    if !path.is_absolute() {
        return Err(ValueError::new(format!("'{text}' is not an absolute path; it must begin with /")));
    }
    Ok(path)
}

/// A whole number within `range`.
pub(in crate::config) fn number<T>(text: &str, range: &RangeInclusive<T>) -> Result<T, ValueError>
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
pub(in crate::config) fn members(text: &str) -> Result<Vec<HostPort>, ValueError> {
    text.split(',').map(|address| address.parse().map_err(|why: String| ValueError::new(why))).collect()
}
