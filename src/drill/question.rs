//! A question of the administrator's, and the answer that it must have.

use crate::sql::SqlSession;

/// Letters of an answer that are told.
const SHOWN: usize = 200;

/// How an answer ends that a statement would have written where nothing may be (`ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION`).
const READ_ONLY: &str = "(error 1792)";

/// Why a question has not the expected answer, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum QuestionFailure {
    /// The server answers otherwise, or with an error.
    Answer(String),
    /// It would write: nothing is said of the backup.
    Writes(String),
}

/// A statement with the answer that is expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// One statement.
    pub statement: String,
    /// Rows with a line each, columns with a tab between them; blanks around it do not count.
    pub expected: String,
}

impl Question {
    /// Asks it.
    pub(super) fn ask(&self, session: &mut SqlSession) -> Result<(), QuestionFailure> {
        let rows = session.texts(&self.statement).map_err(|why| self.refused(&why))?;
        let answer: Vec<String> = rows.into_iter().map(|row| row.join("\t")).collect();
        let answer = answer.join("\n");
        if answer.trim() == self.expected.trim() {
            return Ok(());
        }
        Err(QuestionFailure::Answer(format!(
            "'{}' was answered with '{}', and '{}' was expected",
            self.statement,
            shown(&answer),
            shown(&self.expected)
        )))
    }

    /// By the error that the server gives.
    fn refused(&self, why: &str) -> QuestionFailure {
        let text = format!("'{}': {why}", self.statement);
        if why.ends_with(READ_ONLY) { QuestionFailure::Writes(text) } else { QuestionFailure::Answer(text) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_that_would_write_says_nothing_of_the_backup() {
        let question = Question { statement: "INSERT INTO t VALUES (1)".into(), expected: String::new() };
        let writes = question.refused("Cannot execute statement in a READ ONLY transaction (error 1792)");
        assert!(
            matches!(writes, QuestionFailure::Writes(why) if why.starts_with("'INSERT INTO t VALUES (1)': Cannot"))
        );
        let missing = question.refused("Table 'd.t' doesn't exist (error 1146)");
        assert!(matches!(missing, QuestionFailure::Answer(why) if why.ends_with("(error 1146)")));
    }
}
