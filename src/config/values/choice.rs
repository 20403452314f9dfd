//! Settings that are one word of a few.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ValueError;

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
    /// The method that is taken.
    #[must_use]
    pub fn chosen(self) -> Self {
        match self {
            Self::Auto | Self::Freeze => Self::Freeze,
        }
    }

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
