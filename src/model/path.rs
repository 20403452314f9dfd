//! File names of a data directory, which are bytes, as JSON and text.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A member's path relative to the data directory, in the bytes that the file system has.
///
/// In JSON it is a plain string. Bytes that are not UTF-8, and a literal `%`, are written `%XX`
/// (two upper-case hexadecimal digits), so that every name survives and ordinary ones stay readable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchivePath(Box<[u8]>);

impl ArchivePath {
    /// The path with these bytes.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self(path.as_ref().as_os_str().as_bytes().into())
    }

    /// The path for the file system.
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Last component, lossily, for rules that look at file names.
    pub fn file_name(&self) -> String {
        self.as_path().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Whether joining it to a directory stays below that directory: relative, no `..`, not empty.
    pub fn is_contained(&self) -> bool {
        !self.0.is_empty()
            && !self.0.contains(&0)
            && self.as_path().components().all(|part| matches!(part, Component::Normal(_)))
    }

    /// This path below `directory`.
    pub fn below(&self, directory: &Path) -> PathBuf {
        directory.join(self.as_path())
    }

    fn encode(&self) -> String {
        let mut text = String::with_capacity(self.0.len());
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c == '%' { text.push_str("%25") } else { text.push(c) }
            }
            for byte in chunk.invalid() {
                let _ = write!(text, "%{byte:02X}");
            }
        }
        text
    }

    fn decode(text: &str) -> Option<Self> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((byte, tail)) = rest.split_first() {
            if *byte == b'%' {
                let digits = tail.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                let digits = std::str::from_utf8(digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &tail[2..];
            } else {
                bytes.push(*byte);
                rest = tail;
            }
        }
        Some(Self(bytes.into()))
    }
}

impl fmt::Display for ArchivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for ArchivePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_path())
    }
}

impl Serialize for ArchivePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for ArchivePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::decode(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("'{text}' has a broken %XX escape")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_name_survives_json(bytes in proptest::collection::vec(1u8.., 1..60)) {
            let path = ArchivePath::new(OsStr::from_bytes(&bytes));
            let json = serde_json::to_string(&path).unwrap();
            prop_assert_eq!(serde_json::from_str::<ArchivePath>(&json).unwrap(), path);
        }
    }

    #[test]
    fn ordinary_names_stay_readable() {
        assert_eq!(
            serde_json::to_string(&ArchivePath::new("d\u{e9}/t@0024.ibd")).unwrap(),
            "\"d\u{e9}/t@0024.ibd\""
        );
        let odd = ArchivePath::new(OsStr::from_bytes(b"a%\xff"));
        assert_eq!(serde_json::to_string(&odd).unwrap(), "\"a%25%FF\"");
        for broken in [r#""a%2""#, r#""a%""#, r#""%+F""#, "\"%\u{e9}\""] {
            assert!(serde_json::from_str::<ArchivePath>(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn paths_that_leave_the_directory_are_seen() {
        for (path, contained) in [
            ("a/b", true),
            (".wsrep_sst_backup/x/y", true),
            ("", false),
            ("/etc/passwd", false),
            ("a/../../b", false),
        ] {
            assert_eq!(ArchivePath::new(path).is_contained(), contained, "{path}");
        }
    }
}
