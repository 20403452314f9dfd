//! How the blocks of an archive are compressed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The compression of an archive; its concatenated blocks are a plain file of the stock tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// zstd frames with content checksum; read by `zstd -dc`.
    #[default]
    Zstd,
    /// gzip members; read by `gzip -dc`.
    Gzip,
    /// bzip2 streams; read by `bzip2 -dc`.
    Bzip2,
    /// The tar itself.
    None,
}

impl Compression {
    /// Every method, in the order of the documentation.
    pub const ALL: [Self; 4] = [Self::Zstd, Self::Gzip, Self::Bzip2, Self::None];

    /// The name in options and documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::None => "none",
        }
    }

    /// What the name of a file ends with that is compressed so.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::None => "",
        }
    }

    /// The name of a file with this stem.
    pub fn file_name(self, stem: &str) -> String {
        format!("{stem}{}", self.suffix())
    }

    /// Levels that may be asked for; none where there is nothing to choose.
    pub fn levels(self) -> Option<std::ops::RangeInclusive<i32>> {
        match self {
            Self::Zstd => Some(1..=19),
            Self::Gzip | Self::Bzip2 => Some(1..=9),
            Self::None => None,
        }
    }

    /// The fastest level, because the server is frozen while we compress; 0 without compression.
    pub fn default_level(self) -> i32 {
        self.levels().map_or(0, |levels| *levels.start())
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|method| method.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("'{text}' is not one of zstd, gzip, bzip2, none"))
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
