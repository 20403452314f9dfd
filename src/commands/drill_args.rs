//! The arguments of `drill`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::drill_join::JoinArgs;
use super::id_args::IdArgs;
use super::reading_args::ReadingArgs;
use super::{CommandError, CommonArgs};
use crate::config::SettingsOverrides;
use crate::drill::{Question, SCRATCH, TableChoice};

/// Which tables are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CheckedTables {
    /// Each of them
    All,
    /// Some, other ones each time
    Sample,
    /// None
    None,
}

/// Arguments of `drill`.
#[derive(Debug, Args)]
pub struct DrillArgs {
    #[command(flatten)]
    pub(super) id: IdArgs,
    /// Where the scratch folder is made, which needs as much room as the data; it is removed at the end
    #[arg(long, value_name = "DIR", default_value = SCRATCH)]
    pub(super) scratch: PathBuf,
    /// The server that is started [default: that of this machine]
    #[arg(long, value_name = "PATH")]
    pub(super) mysqld: Option<PathBuf>,
    /// Which tables are checked (CHECK TABLE) and counted
    #[arg(long, value_enum, value_name = "WHICH", default_value = "all")]
    tables: CheckedTables,
    /// Ask the server this; the answer must be that of the --expect that goes with it; repeatable
    #[arg(long = "query", value_name = "SQL")]
    queries: Vec<String>,
    /// The answer to a --query: rows in lines, columns with a tab between them; the first one goes with the first --query
    #[arg(long = "expect", value_name = "ANSWER", allow_hyphen_values = true)]
    answers: Vec<String>,
    /// Give up when the load of the machine (the average of a minute) is more than N
    #[arg(long, value_name = "N")]
    pub(super) max_load: Option<f64>,
    /// Do not leave the outcome in the repository
    #[arg(long)]
    pub(super) no_record: bool,
    #[command(flatten)]
    reading: ReadingArgs,
    /// Print JSON for programs
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) join: JoinArgs,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

impl DrillArgs {
    /// The settings that have flags here.
    pub(super) fn set(&self, flags: &mut SettingsOverrides) {
        self.reading.set(flags);
        self.join.set(flags);
    }

    pub(super) fn tables(&self) -> TableChoice {
        match self.tables {
            CheckedTables::All => TableChoice::All,
            CheckedTables::Sample => TableChoice::Sample,
            CheckedTables::None => TableChoice::None,
        }
    }

    /// Each question with its answer.
    pub(super) fn questions(&self) -> Result<Vec<Question>, CommandError> {
        if self.queries.len() != self.answers.len() {
            return Err(CommandError::Usage(format!(
                "each --query needs an --expect, and the other way round: there are {} and {}",
                self.queries.len(),
                self.answers.len()
            )));
        }
        let pairs = self.queries.iter().zip(&self.answers);
        let question = |(statement, expected): (&String, &String)| Question {
            statement: statement.clone(),
            expected: expected.clone(),
        };
        Ok(pairs.map(question).collect())
    }
}
