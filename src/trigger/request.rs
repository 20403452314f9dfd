//! The request id: what travels to the donor in the SST address, and comes back in the repository.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use crate::model::random_word;

/// MariaDB passes more (`sql/wsrep_sst.cc`, `address_filter`), but this is enough for an id.
fn fits(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._-/:".contains(c)
}

/// `req-20261120T162000Z-3f9a2c`, or the TEXT of garbd's `--sst backup:TEXT`, where another program has asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// A new one; no other request has it.
    pub fn new(now: Timestamp) -> Self {
        Self(format!("req-{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), random_word()))
    }

    /// The same, with the word for the donor's program that it was asked with `--force`: it freezes a node that holds up
    /// its cluster (`gcs.sync_donor`), or leaves no other one for the clients, too.
    #[must_use]
    pub fn forced(self) -> Self {
        Self(format!("{}.force", self.0))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > 128 || !text.chars().all(fits) {
            return Err(format!("'{text}' is no request id (letters, digits and ._-/: only)"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_safe_in_an_address_and_each_is_new() {
        let now = "2026-11-20T16:20:00Z".parse().unwrap();
        let (one, two) = (RequestId::new(now), RequestId::new(now));
        assert_ne!(one, two);
        assert!(one.as_str().starts_with("req-20261120T162000Z-"), "{one}");
        assert_eq!(one.as_str().parse::<RequestId>().as_ref(), Ok(&one));
        for wrong in ["", "a b", "a'b", "a;b", "a@b"] {
            assert!(wrong.parse::<RequestId>().is_err(), "{wrong}");
        }
    }
}
