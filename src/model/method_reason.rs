//! Why the data of a backup was captured by its method and not by another one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why that method was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodReason {
    /// `method = auto` took it; else it was asked for by its name.
    pub automatic: bool,
    /// Methods that `auto` would have preferred, in that order.
    #[serde(default)]
    pub passed: Vec<PassedMethod>,
}

/// A method that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedMethod {
    /// Its name.
    pub method: String,
    /// Why, as a phrase. Absent in the manifest of an encrypted backup, which names no files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl MethodReason {
    /// Without phrases that may name files.
    #[must_use]
    pub fn without_words(self) -> Self {
        let passed = self.passed.into_iter().map(|passed| PassedMethod { why: None, ..passed }).collect();
        Self { passed, ..self }
    }
}

impl fmt::Display for MethodReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.automatic { "by auto" } else { "by its name" })?;
        self.passed.iter().try_for_each(|passed| write!(f, "; not {passed}"))
    }
}

impl fmt::Display for PassedMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Some(why) => write!(f, "{}: {why}", self.method),
            None => f.write_str(&self.method),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_taken_is_told_with_its_reason_where_that_may_be_told() {
        let passed = |method: &str, why: &str| PassedMethod { method: method.into(), why: Some(why.into()) };
        let passed = vec![passed("snapshot", "'/d/secret' is large"), passed("precopy", "no SQL")];
        let reason = MethodReason { automatic: true, passed };
        assert_eq!(reason.to_string(), "by auto; not snapshot: '/d/secret' is large; not precopy: no SQL");
        assert_eq!(reason.without_words().to_string(), "by auto; not snapshot; not precopy");
        assert_eq!(MethodReason::default().to_string(), "by its name");
    }
}
