//! A question of the administrator's, and the answer that it must have.

use crate::sql::SqlSession;

/// Letters of an answer that are told.
const SHOWN: usize = 200;

/// A statement with the answer that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// One statement.
    pub statement: String,
    /// Rows with a line each, columns with a tab between them; blanks around it do not count.
    pub expected: String,
}

impl Question {
    /// Asks it; what was answered otherwise, in words.
    pub(super) fn ask(&self, session: &mut SqlSession) -> Result<(), String> {
        let rows = session.texts(&self.statement).map_err(|why| format!("'{}': {why}", self.statement))?;
        let answer: Vec<String> = rows.into_iter().map(|row| row.join("\t")).collect();
        let answer = answer.join("\n");
        if answer.trim() == self.expected.trim() {
            return Ok(());
        }
        Err(format!(
            "'{}' was answered with '{}', and '{}' was expected",
            self.statement,
            shown(&answer),
            shown(&self.expected)
        ))
    }
}

/// The beginning of an answer.
fn shown(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}
