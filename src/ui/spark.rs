//! A row of numbers as a row of bars, one letter each, and whether a terminal can show it.

use std::io::IsTerminal;

/// The eighths of a letter's height.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Where a terminal does not tell.
const USUAL_WIDTH: usize = 80;

/// Bars as high as the numbers, from zero: half of a number is half of a bar, and what hardly changes looks like it.
pub fn spark(numbers: &[u64]) -> String {
    let most = u128::from(numbers.iter().copied().max().unwrap_or(0).max(1));
    let bar = |number: &u64| {
        let eighths = (u128::from(*number) * 8 + most / 2) / most;
        BARS[usize::try_from(eighths).unwrap_or(8).clamp(1, 8) - 1]
    };
    numbers.iter().map(bar).collect()
}

/// What stdout can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Letters in a line.
    pub width: usize,
    /// Whether it has more letters than those of ASCII.
    pub is_utf8: bool,
}

impl Screen {
    /// The terminal on stdout; nothing where it is a file or a pipe.
    pub fn of_stdout() -> Option<Self> {
        if !std::io::stdout().is_terminal() {
            return None;
        }
        let width = terminal_size::terminal_size_of(std::io::stdout())
            .map_or(USUAL_WIDTH, |(width, _)| usize::from(width.0))
            .max(1);
        Some(Self { width, is_utf8: is_utf8(|name| std::env::var(name).ok()) })
    }
}

/// The first of these variables that has a value names the letters of the terminal.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    if variable("TERM").is_none_or(|term| term == "dumb") {
        return false;
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .filter_map(variable)
        .find(|value| !value.is_empty())
        .unwrap_or_default()
        .to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_their_numbers() {
        assert_eq!(spark(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), "▁▁▂▃▄▅▆▇█");
        assert_eq!(spark(&[1000, 1001, 500, 1]), "██▄▁");
        assert_eq!((spark(&[]), spark(&[0, 0])), (String::new(), "▁▁".into()));
        assert_eq!(spark(&[u64::MAX, u64::MAX / 2]), "█▄");
    }

    #[test]
    fn the_locale_says_which_letters_there_are() {
        let with = |variables: &'static [(&str, &str)]| {
            is_utf8(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(with(&[("TERM", "xterm"), ("LANG", "de_DE.UTF-8")]));
        assert!(with(&[("TERM", "xterm"), ("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!with(&[("TERM", "xterm"), ("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!with(&[("TERM", "dumb"), ("LANG", "de_DE.UTF-8")]));
        assert!(!with(&[("LANG", "de_DE.UTF-8")]));
        assert!(!with(&[("TERM", "xterm")]));
    }
}
