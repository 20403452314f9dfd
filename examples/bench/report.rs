//! Rows, and the tables made of them.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::common::format::{megabytes, millis};
use crate::common::machine::Machine;
use crate::common::{Measured, Table, mib, seconds};
use crate::stage::Stage;

/// Backup or restore: each has a table and a row of ours that the others are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Data to archive.
    Backup,
    /// Archive to data, or archive to a verdict.
    Restore,
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Time and memory.
    pub(crate) measured: Measured,
    /// What lies in the repository afterwards, in bytes.
    pub(crate) stored: Option<u64>,
    /// How long the server was frozen.
    pub(crate) frozen: Option<Duration>,
    /// How long it stood still beyond its own flush, or was held up by the program that captured its data.
    pub(crate) beyond: Option<Duration>,
}

impl From<Measured> for Run {
    fn from(measured: Measured) -> Self {
        Self { measured, stored: None, frozen: None, beyond: None }
    }
}

/// Does it once.
type Work = Box<dyn Fn(&Stage) -> Result<Run>>;

/// One way to do it.
pub(crate) struct Row {
    /// For people and for JSON.
    pub(crate) name: &'static str,
    /// Which table.
    pub(crate) group: Group,
    /// Are the others of the table compared with this one?
    pub(crate) reference: bool,
    /// Does it once.
    pub(crate) work: Work,
    /// What was measured.
    pub(crate) runs: Vec<Run>,
}

impl Row {
    /// A row without measurements.
    pub(crate) fn new(
        name: &'static str,
        group: Group,
        work: impl Fn(&Stage) -> Result<Run> + 'static,
    ) -> Self {
        Self { name, group, reference: false, work: Box::new(work), runs: Vec::new() }
    }

    /// The others are compared with this row.
    pub(crate) fn marked(mut self) -> Self {
        self.reference = true;
        self
    }

    /// The run whose time is the median, of an even number the quicker one of the middle: all figures of a row are of one run.
    pub(crate) fn median(&self) -> Option<&Run> {
        let mut runs: Vec<&Run> = self.runs.iter().collect();
        runs.sort_by_key(|run| run.measured.wall);
        runs.get(runs.len().saturating_sub(1) / 2).copied()
    }
}

/// Everything that was found.
pub(crate) struct Report {
    /// The day of the run.
    pub(crate) day: String,
    pub(crate) machine: Machine,
    pub(crate) server: String,
    /// What was backed up, in words.
    pub(crate) data: String,
    pub(crate) data_bytes: u64,
    pub(crate) cached: String,
    pub(crate) runs: u32,
    pub(crate) rows: Vec<Row>,
}

impl Report {
    /// Both tables.
    pub(crate) fn tables(&self) -> String {
        let mut text = self.table(Group::Backup, "backup");
        text.push('\n');
        text.push_str(&self.table(Group::Restore, "restore"));
        text.push_str(&format!(
            "\nmedians of {} runs; ×: times what the row marked * takes; {}\n",
            self.runs, self.cached
        ));
        text
    }

    /// What is stored, and for how long the server is frozen, is asked of a backup only.
    fn table(&self, group: Group, title: &str) -> String {
        let backup = group == Group::Backup;
        let more: &[&str] = if backup { &["stored MB", "×", "frozen ms"] } else { &[] };
        let mut table = Table::new(&[&[title, "", "wall s", "×", "CPU s", "×", "peak"], more].concat(), 2);
        let rows = || self.rows.iter().filter(|row| row.group == group);
        let reference = rows().find(|row| row.reference).and_then(Row::median);
        for row in rows() {
            let (Some(run), Some(reference)) = (row.median(), reference) else { continue };
            let mut cells = vec![
                row.name.to_owned(),
                if row.reference { "*".to_owned() } else { String::new() },
                seconds(run.measured.wall),
                ratio(run.measured.wall.as_secs_f64(), reference.measured.wall.as_secs_f64()),
                seconds(run.measured.cpu),
                ratio(run.measured.cpu.as_secs_f64(), reference.measured.cpu.as_secs_f64()),
                mib(run.measured.peak),
            ];
            if backup {
                let both = run.stored.zip(reference.stored);
                cells.push(run.stored.map(|bytes| megabytes(bytes).to_string()).unwrap_or_default());
                cells.push(both.map(|(this, other)| bytes_ratio(this, other)).unwrap_or_default());
                cells.push(run.frozen.map(|time| millis(time).to_string()).unwrap_or_default());
            }
            table.row(&cells);
        }
        table.to_string()
    }

    /// All runs, in seconds and bytes.
    pub(crate) fn json(&self) -> Value {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| {
                let runs: Vec<Value> = row.runs.iter().map(run_json).collect();
                let group = if row.group == Group::Backup { "backup" } else { "restore" };
                json!({
                    "name": row.name,
                    "group": group,
                    "reference": row.reference,
                    "median": row.median().map(run_json),
                    "runs": runs,
                })
            })
            .collect();
        json!({
            "day": self.day,
            "machine": self.machine,
            "server": self.server,
            "data": self.data,
            "data_bytes": self.data_bytes,
            "page_cache": self.cached,
            "rows": rows,
        })
    }
}

fn run_json(run: &Run) -> Value {
    json!({
        "wall_s": run.measured.wall.as_secs_f64(),
        "cpu_s": run.measured.cpu.as_secs_f64(),
        "stored_bytes": run.stored,
        "peak_resident_bytes": run.measured.peak,
        "frozen_ms": run.frozen.map(millis),
        "beyond_flush_ms": run.beyond.map(millis),
    })
}

fn ratio(value: f64, reference: f64) -> String {
    if reference > 0.0 { format!("{:.2}", value / reference) } else { String::new() }
}

#[allow(clippy::cast_precision_loss, reason = "two digits are shown")]
fn bytes_ratio(value: u64, reference: u64) -> String {
    ratio(value as f64, reference as f64)
}
