//! A command of the administrator's: a program and its arguments.

use std::fmt;
use std::path::Path;

use super::{ValueError, string, utf8};

/// The words of a command. No shell sees them, so nothing in them is anything but itself; they are parted by blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandWords {
    program: String,
    arguments: Vec<String>,
}

impl CommandWords {
    /// Reads them; the program has to be an absolute path.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let text = string(utf8(text)?.trim())?;
        let mut words = text.split_whitespace().map(str::to_owned);
        let program = words.next().unwrap_or_default();
        if !program.starts_with('/') {
            let problem = format!(
                "'{program}' is not an absolute path: it must begin with /, and no shell reads what follows (put a pipe or a variable into a script)"
            );
            return Err(ValueError::new(problem));
        }
        Ok(Self { program, arguments: words.collect() })
    }

    /// The program.
    pub fn program(&self) -> &Path {
        Path::new(&self.program)
    }

    /// What follows it.
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

impl fmt::Display for CommandWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.program)?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_a_program_and_words_that_no_shell_reads() {
        let command = CommandWords::parse(" /usr/bin/take  --pool tank; rm  ").unwrap();
        assert_eq!(command.program(), Path::new("/usr/bin/take"));
        assert_eq!(command.arguments(), ["--pool", "tank;", "rm"]);
        assert_eq!(command.to_string(), "/usr/bin/take --pool tank; rm");
        for (text, problem) in
            [("", "is empty"), ("  ", "is empty"), ("take", "'take' is not an absolute path")]
        {
            let error = CommandWords::parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }
}
