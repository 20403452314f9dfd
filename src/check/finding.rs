//! One line of the outcome.

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// A backup is possible, and something about it is not as good as it could be, or could not be seen.
    Warning,
    /// No backup, or one that is not what its owner expects.
    Error,
}

/// What was looked at, what was seen, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub level: Level,
    /// A word for what was looked at.
    pub topic: &'static str,
    /// What was seen, with names and values.
    pub text: String,
    /// For a warning or an error: the command or setting that helps.
    pub cure: Option<String>,
}

impl Finding {
    pub(super) fn ok(topic: &'static str, text: impl Into<String>) -> Self {
        Self { level: Level::Ok, topic, text: text.into(), cure: None }
    }

    pub(super) fn warning(
        topic: &'static str,
        text: impl Into<String>,
        cure: impl Into<Option<String>>,
    ) -> Self {
        Self { level: Level::Warning, topic, text: text.into(), cure: cure.into() }
    }

    /// An error always has its cure.
    pub(super) fn error(topic: &'static str, text: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { level: Level::Error, topic, text: text.into(), cure: Some(cure.into()) }
    }
}
