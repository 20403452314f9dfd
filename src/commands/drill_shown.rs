//! What `drill` tells of its outcome.

use serde_json::json;

use super::{CommandError, print, print_json};
use crate::model::{DrillOutcome, DrillRecord, DrillStep, Manifest};
use crate::ui::{TextPage, duration_ms, grouped};

/// Prints it; an error for a backup that has failed.
pub(super) fn tell(
    as_json: bool,
    manifest: &Manifest,
    record: &DrillRecord,
    notes: &[String],
) -> Result<(), CommandError> {
    if as_json {
        print_json(
            &json!({ "id": manifest.id, "outcome": record.outcome, "drill": record, "notes": notes }),
        )?;
    } else {
        print(&as_text(manifest, record, notes))?;
    }
    match record.outcome {
        DrillOutcome::Proved => Ok(()),
        DrillOutcome::Failed => Err(CommandError::DamageShown),
    }
}

/// How a drilled server has joined, by the number of write sets that it lacked.
pub(super) fn by_ist(writesets: u64) -> String {
    match writesets {
        0 => "without IST, since it lacked no write set".into(),
        lacked => format!("{} write sets by IST", grouped(lacked)),
    }
}

fn as_text(manifest: &Manifest, record: &DrillRecord, notes: &[String]) -> TextPage {
    let mut page = TextPage::new();
    let id = &manifest.id;
    if record.outcome == DrillOutcome::Failed {
        let step = record.failed_at.map_or("", DrillStep::name);
        let why = record.reason.as_deref().unwrap_or_default();
        page.line(format!("Backup {id} has FAILED its drill at the step '{step}': {why}"));
    } else {
        let ran = format!("a server (MariaDB {}) ran on it", record.server);
        page.line(match &record.measured.position {
            Some(position) => format!("Backup {id} is proved: {ran}, at {position} as the manifest says."),
            None => format!("Backup {id} is proved: {ran}."),
        });
    }
    let checked = format!(
        "Tables checked: {} of {}, with {} rows. Questions answered as expected: {}.",
        grouped(record.measured.tables.checked),
        grouped(record.measured.tables.all),
        grouped(record.measured.rows),
        grouped(record.measured.queries)
    );
    page.line(checked);
    page.line(format!(
        "From nothing to a server that answers: {} (restore {}, start {}). Checks {}; in all {}.",
        duration_ms(record.recovery_ms()),
        duration_ms(record.measured.restore_ms),
        duration_ms(record.measured.start_ms),
        duration_ms(record.measured.check_ms),
        duration_ms(record.took_ms)
    ));
    if let Some(join) = &record.measured.join {
        page.line(format!(
            "Joined its cluster, was Synced at {} after {} ({}), and has left it.",
            join.position,
            duration_ms(join.ms),
            by_ist(join.writesets)
        ));
    }
    for note in notes {
        page.blank();
        page.line(format!("Note: {note}."));
    }
    page
}
