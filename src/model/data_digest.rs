//! SHA-256 of a stretch of data, kept as bytes: an index holds many.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 32 bytes; in JSON 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataDigest([u8; 32]);

impl DataDigest {
    /// Of these bytes of a SHA-256.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for DataDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        const WANTED: &str = "a digest has 64 hexadecimal digits";
        let text = text.as_bytes();
        if text.len() != 64 {
            return Err(WANTED);
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.chunks(2)) {
            let digit =
                |at: usize| char::from(digits[at]).to_digit(16).and_then(|value| u8::try_from(value).ok());
            *byte = digit(0).zip(digit(1)).map(|(high, low)| high << 4 | low).ok_or(WANTED)?;
        }
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_digits_and_nothing_else() {
        let digits = "0123456789abcdef".repeat(4);
        let digest: DataDigest = serde_json::from_str(&format!("\"{digits}\"")).unwrap();
        assert_eq!(digest.to_string(), digits);
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{digits}\""));
        for wrong in
            ["", &digits[1..], &format!("{digits}0"), &digits.replace('a', "g"), &"\u{e9}".repeat(32)]
        {
            assert!(serde_json::from_str::<DataDigest>(&format!("\"{wrong}\"")).is_err(), "{wrong}");
        }
    }
}
