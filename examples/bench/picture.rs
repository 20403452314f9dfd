//! The table as a picture: one bar for each row, ours in another colour.

use std::fmt::Write as _;

use crate::common::seconds;
use crate::report::{Group, Report, Row};

/// Where bars begin, how long the longest is, and what a row takes, in units of the picture.
const LEFT: u32 = 330;
const LONGEST: u32 = 460;
const LINE: u32 = 24;
/// Bars are cut where they are so many times as long as that of the row that the others are compared with.
const LONGEST_TIMES: f64 = 4.0;
const WIDTH: u32 = 860;

/// An SVG of wall times with what they were measured on.
pub(crate) fn svg(report: &Report) -> String {
    let parts = [(Group::Backup, "Backup"), (Group::Restore, "Restore")];
    let rows = u32::try_from(report.rows.len()).unwrap_or_default();
    let height = 70 + LINE * (rows + 3 * 2);
    let machine = &report.machine;
    let source = format!(
        "scripts/bench on {}: {}, {}, {} cores, {}; medians of {} runs that took turns",
        report.day, report.data, report.server, machine.cores, machine.file_system, report.runs
    );
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"13\" role=\"img\" aria-labelledby=\"t d\">\n  <title id=\"t\">Seconds for a backup and for a restore</title>\n  \
         <desc id=\"d\">{source}</desc>\n  <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    let mut y = LINE;
    for (group, title) in parts {
        let _ = writeln!(
            text,
            "  <text x=\"20\" y=\"{y}\" font-weight=\"bold\">{title}: seconds until all is on the disk</text>",
            y = y + 4
        );
        y += LINE;
        let rows: Vec<&Row> = report.rows.iter().filter(|row| row.group == group).collect();
        let time = |row: &&Row| row.median().map(|run| run.measured.wall.as_secs_f64());
        let reference =
            rows.iter().copied().find(|row| row.reference).as_ref().and_then(time).unwrap_or(f64::MAX);
        let most = rows.iter().filter_map(time).fold(0.01, f64::max).min(reference * LONGEST_TIMES);
        for row in rows {
            let Some(run) = row.median() else { continue };
            let share = run.measured.wall.as_secs_f64() / most;
            bar(&mut text, row, y, share, &seconds(run.measured.wall));
            y += LINE;
        }
        y += LINE;
    }
    let _ = writeln!(
        text,
        "  <text x=\"20\" y=\"{y}\" font-size=\"11\" fill=\"#555555\">{source}</text>\n</svg>"
    );
    text
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a length of at most 460")]
fn bar(text: &mut String, row: &Row, y: u32, share: f64, seconds: &str) {
    let length = (f64::from(LONGEST) * share.min(1.0)).round() as u32;
    let cut = if share > 1.0 { " (cut)" } else { "" };
    let ours = row.name.starts_with("wsrep_sst_backup");
    let (colour, weight) = if ours { ("#3b7d3a", "bold") } else { ("#9aa7b8", "normal") };
    let name = row.name.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        text,
        "  <text x=\"{x}\" y=\"{base}\" text-anchor=\"end\" font-weight=\"{weight}\">{name}</text>\n  \
         <rect x=\"{LEFT}\" y=\"{top}\" width=\"{length}\" height=\"14\" fill=\"{colour}\"/>\n  \
         <text x=\"{end}\" y=\"{base}\">{seconds}{cut}</text>",
        x = LEFT - 8,
        base = y + 4,
        top = y - 7,
        end = LEFT + length + 6,
    );
}
