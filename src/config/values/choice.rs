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

/// How data is captured. Which methods there are is known where they are; here a name is only a word.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub enum MethodChoice {
    /// The method with the least harm that works here.
    #[default]
    Auto,
    /// This one.
    Named(String),
}

impl FromStr for MethodChoice {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        match text {
            "auto" => Ok(Self::Auto),
            _ if is_word => Ok(Self::Named(text.to_owned())),
            _ => Err(ValueError::new(format!("'{text}' is not the name of a method"))),
        }
    }
}

impl fmt::Display for MethodChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Named(name) => name,
        })
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
    }

    #[test]
    fn a_method_is_a_word() {
        assert_eq!("auto".parse(), Ok(MethodChoice::Auto));
        assert_eq!("mariadb-backup".parse(), Ok(MethodChoice::Named("mariadb-backup".into())));
        for text in ["", "Freeze", "a b"] {
            let error = text.parse::<MethodChoice>().unwrap_err().to_string();
            assert_eq!(error, format!("'{text}' is not the name of a method"));
        }
    }
}
