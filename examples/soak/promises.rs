//! What was promised, and what was seen of it.

use crate::common::talk::styled;
use crate::common::{Table, say};

/// One promise and what was seen of it.
#[derive(Debug)]
struct Line {
    promise: &'static str,
    kept: u32,
    broken: u32,
    figures: String,
}

/// All promises of the parts that run.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    lines: Vec<Line>,
    ended_early: Vec<String>,
}

impl Promises {
    /// Names promises that something must be seen of.
    pub(crate) fn declare(&mut self, promises: &[&'static str]) {
        for promise in promises {
            self.line(promise);
        }
    }

    /// One observation: kept, or why not.
    pub(crate) fn note(&mut self, promise: &'static str, seen: Result<(), String>) {
        let line = self.line(promise);
        match seen {
            Ok(()) => line.kept += 1,
            Err(why) => {
                line.broken += 1;
                say(&format!("{}: {promise}: {why}", styled("1;31", "BROKEN")));
            }
        }
    }

    /// The same for a condition.
    pub(crate) fn check(&mut self, promise: &'static str, holds: bool, otherwise: impl FnOnce() -> String) {
        self.note(promise, if holds { Ok(()) } else { Err(otherwise()) });
    }

    /// What was measured, for the summary.
    pub(crate) fn figures(&mut self, promise: &'static str, figures: String) {
        self.line(promise).figures = figures;
    }

    /// A part could not be run to its end.
    pub(crate) fn ended_early(&mut self, part: &str) {
        self.ended_early.push(part.to_owned());
    }

    /// Was every promise seen, and never broken?
    pub(crate) fn all_kept(&self) -> bool {
        self.ended_early.is_empty()
            && !self.lines.is_empty()
            && self.lines.iter().all(|line| line.broken == 0 && line.kept > 0)
    }

    /// The summary.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new(&["promise", "", "seen", "figures"], 4);
        for line in &self.lines {
            let verdict = match (line.kept, line.broken) {
                (0, 0) => "NOT SEEN",
                (_, 0) => "kept",
                _ => "BROKEN",
            };
            let seen = format!("{} of {}", line.kept, line.kept + line.broken);
            table.row(&[line.promise, verdict, &seen, &line.figures]);
        }
        let mut text = table.to_string();
        for part in &self.ended_early {
            text.push_str(&format!("the part '{part}' ended early\n"));
        }
        text
    }

    fn line(&mut self, promise: &'static str) -> &mut Line {
        let place = self.lines.iter().position(|line| line.promise == promise).unwrap_or_else(|| {
            self.lines.push(Line { promise, kept: 0, broken: 0, figures: String::new() });
            self.lines.len() - 1
        });
        &mut self.lines[place]
    }
}
