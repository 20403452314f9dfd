//! BLAKE3 of a stretch of data, kept as bytes: an index holds many.
//!
//! Whatever has such a digest has a SHA-256 as well, that of its file. A second one over the same bytes would cost each backup what the first
//! one costs; this one costs a part of it where a processor has AVX2, and nobody finds two stretches with the same one, either.

use std::fmt;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

/// What stands before the digits, so that a reader knows which digest it is.
const NAME: &str = "b3:";
const DIGITS: usize = 64;

/// 32 bytes; in JSON `b3:` and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataDigest([u8; 32]);

impl DataDigest {
    /// Of this data.
    pub fn of(data: &[u8]) -> Self {
        Self(blake3::hash(data).into())
    }
}

/// The digest of data that comes in pieces.
#[derive(Debug, Default)]
pub struct DataHasher(Box<blake3::Hasher>);

impl DataHasher {
    /// The next piece; in pieces of 64 KiB and more it is fastest.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Of all pieces.
    pub fn finish(&self) -> DataDigest {
        DataDigest(self.0.finalize().into())
    }
}

impl fmt::Display for DataDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl From<DataDigest> for String {
    fn from(digest: DataDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for DataDigest {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WANTED: &str = "a digest of a block is 'b3:' and 64 hexadecimal digits";
        let digits = text.strip_prefix(NAME).ok_or(WANTED)?.as_bytes();
        if digits.len() != DIGITS {
            return Err(WANTED);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(digits.chunks(2)) {
            let digit =
                |at: usize| char::from(digits[at]).to_digit(16).and_then(|value| u8::try_from(value).ok());
            *byte = digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low).ok_or(WANTED)?;
        }
        Ok(Self(bytes))
    }
}

/// A digest where there is one that this program knows. One of another name is of a newer program, and counts as none: nobody has to have these
/// digests, and what they stand beside stays readable.
pub(super) fn if_known<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DataDigest>, D::Error> {
    let text = Option::<String>::deserialize(from)?.filter(|text| text.starts_with(NAME));
    text.map(DataDigest::try_from).transpose().map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_its_name_and_64_digits_and_nothing_else() {
        let digits = "0123456789abcdef".repeat(4);
        let digest: DataDigest = serde_json::from_str(&format!("\"b3:{digits}\"")).unwrap();
        assert_eq!(digest.to_string(), format!("b3:{digits}"));
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"b3:{digits}\""));
        for wrong in [
            "",
            "b3:",
            &digits,
            &format!("b3:{}", &digits[1..]),
            &format!("b3:{digits}0"),
            &format!("b3:{}", digits.replace('a', "g")),
            &format!("b3:{}", "\u{e9}".repeat(32)),
            &format!("b4:{digits}"),
        ] {
            assert!(serde_json::from_str::<DataDigest>(&format!("\"{wrong}\"")).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_digest_of_another_name_counts_as_none() {
        let read = |text: &str| if_known(&mut serde_json::Deserializer::from_str(text));
        let digits = "0123456789abcdef".repeat(4);
        assert!(read(&format!("\"b3:{digits}\"")).unwrap().is_some());
        for other in ["null".to_owned(), format!("\"b4:{digits}\""), "\"k12:00\"".to_owned()] {
            assert_eq!(read(&other).unwrap(), None, "{other}");
        }
        assert!(read("\"b3:00\"").is_err() && read("7").is_err());
    }

    #[test]
    fn pieces_have_the_digest_of_the_whole() {
        // That of the empty text, as in the test vectors of BLAKE3.
        let empty = "b3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(DataDigest::of(b"").to_string(), empty);
        let data: Vec<u8> = (0..=250).cycle().take(300_000).collect();
        let mut pieces = DataHasher::default();
        data.chunks(70_001).for_each(|piece| pieces.update(piece));
        assert_eq!(pieces.finish(), DataDigest::of(&data));
        assert_ne!(DataDigest::of(&data[1..]), DataDigest::of(&data));
    }
}
