//! What `backup` shows: lines and a bar while it goes on, the outcome at the end, for a person or as JSON.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{CommandError, print, print_json};
use crate::cluster::Survey;
use crate::model::{BackupState, Manifest};
use crate::trigger::{
    AskError, BackupPlace, Event, GarbdCall, RequestId, RequestOutcome, SyncedAgain, Traffic, describe,
};
use crate::ui::{Align, LiveLines, Table, TextPage, bytes, duration_ms, grouped};

/// Tells what happens while it happens, on stderr.
pub(super) struct Teller {
    live: LiveLines,
    state: Option<BackupState>,
}

impl Teller {
    pub(super) fn tell(&mut self, event: &Event<'_>) {
        match event {
            Event::Waiting(what) => self.live.line(&format!("{what}: waiting for its end")),
            Event::Asking { garbd, listen, attempt } => {
                let again = if *attempt > 1 { format!(", visit {attempt}") } else { String::new() };
                self.live.line(&format!("garbd joins the cluster as {garbd} on {listen}{again}"));
            }
            Event::Lost => self.live.line("garbd has lost the request; asking again"),
            Event::Busy => self.live.line("the donor is busy; trying for a while"),
            Event::Selected(donor) => self.live.line(&format!("{donor} is the donor")),
            Event::Progress { status, frozen } => {
                if self.state != Some(status.state) && status.state != BackupState::Failed {
                    self.state = Some(status.state);
                    self.live.line(&format!("{}: {}", status.id, describe(status.state)));
                }
                let words = match (frozen, status.state) {
                    (Some(time), BackupState::Freezing | BackupState::Copying) => {
                        format!("frozen for {}", shown(*time))
                    }
                    (Some(time), _) => format!("was frozen for {}", shown(*time)),
                    (None, state) => describe(state).to_owned(),
                };
                self.live.bar(status.bytes_done, status.bytes_total, &words);
            }
            Event::Behind(donor, why) => {
                self.live.line(&format!(
                    "{donor} has not come to the request yet ({why}); the backup comes when that is over: waiting"
                ));
            }
            Event::NotSynced(donor, why) => self.live.line(&format!("{donor} is still {why}")),
            Event::Complete => {
                self.live.clear();
                self.live.line("the manifest was read back; waiting for the donor to be Synced");
            }
        }
    }
}

fn shown(time: Duration) -> String {
    duration_ms(milliseconds(time))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The outcome of the command, as it is printed.
pub(super) struct BackupOutput {
    json: bool,
    pub(super) teller: Teller,
    pub(super) request: Option<RequestId>,
    pub(super) donor: Option<String>,
    pub(super) attempts: u32,
    pub(super) outcome: Option<RequestOutcome>,
    /// The recent backup because of which no donor was asked.
    pub(super) recent: Option<(BackupPlace, Box<Manifest>)>,
    warnings: Vec<String>,
}

impl BackupOutput {
    pub(super) fn new(json: bool) -> Self {
        let teller = Teller { live: LiveLines::new(), state: None };
        Self {
            json,
            teller,
            request: None,
            donor: None,
            attempts: 0,
            outcome: None,
            recent: None,
            warnings: Vec::new(),
        }
    }

    /// The members and the choice, for a person.
    pub(super) fn planned(
        &mut self,
        invitation: &GarbdCall,
        survey: &Survey,
        traffic: &Traffic,
        donors: &[String],
        reason: &str,
        warnings: Vec<String>,
    ) {
        self.teller.live.page(&members(invitation, survey, traffic));
        for warning in &warnings {
            log::warn!("{warning}");
        }
        self.warnings = warnings;
        let (whom, others) = match donors {
            [] => ("any member", String::new()),
            [first] => (first.as_str(), String::new()),
            [first, others @ ..] => (first.as_str(), format!("; if it cannot, {}", others.join(", then "))),
        };
        self.teller.live.line(&format!("asking {whom} for a backup ({reason}){others}"));
    }

    /// The end: the text or the JSON, and the exit status.
    pub(super) fn print(mut self, done: Result<(), AskError>) -> Result<(), CommandError> {
        self.teller.live.clear();
        if self.json {
            print_json(&self.as_json(&done))?;
        }
        if let Err(error @ AskError::NoSuchRequest(_)) = &done {
            return Err(CommandError::NotFound(error.to_string()));
        }
        if let Err(error) = done {
            return Err(CommandError::Failed(self.with_hint(error)));
        }
        if let Some((_, manifest)) = self.recent.as_ref().filter(|_| !self.json) {
            return print(&recent(manifest));
        }
        let Some(outcome) = &self.outcome else {
            let request = self.request.as_ref().map(ToString::to_string).unwrap_or_default();
            if self.json {
                return Ok(());
            }
            let donor = self.donor.as_deref().unwrap_or_default();
            return print(&TextPage::of(format!(
                "{donor} has taken the request; whether a backup comes of it: wsrep_sst_backup backup --follow {request}"
            )));
        };
        match outcome {
            RequestOutcome::Complete { manifest, synced, untold, .. } => {
                if !self.json {
                    print(&complete(manifest, Some(synced), untold.as_deref()))?;
                }
                Ok(())
            }
            RequestOutcome::Failed { error, synced, .. } => {
                Err(CommandError::Failed(format!("no backup was made: {error}{}", donor_after(synced))))
            }
            RequestOutcome::LeftAlone(why) => Err(CommandError::Failed(self.left(why))),
        }
    }

    /// An error that leaves a request on its way says how to follow it.
    fn with_hint(&self, error: AskError) -> String {
        match (&self.donor, error) {
            (Some(_), error) => self.left(&error.to_string()),
            (None, error) => error.to_string(),
        }
    }

    fn left(&self, why: &str) -> String {
        let request = self.request.as_ref().map(ToString::to_string).unwrap_or_default();
        format!(
            "{why}: the backup may go on without being followed; pick it up again with: wsrep_sst_backup backup --follow {request}"
        )
    }

    fn as_json(&self, done: &Result<(), AskError>) -> Value {
        let mut value = json!({
            "request": self.request.as_ref().map(RequestId::as_str),
            "donor": self.donor,
            "attempts": self.attempts,
            "warnings": self.warnings,
        });
        let rest = match (done, &self.outcome) {
            (Err(AskError::Refused(refusal)), _) => {
                json!({ "outcome": "refused", "error": refusal.to_string() })
            }
            (Err(error @ AskError::GivenUp(_)), _) => {
                json!({ "outcome": "left", "error": error.to_string() })
            }
            (Ok(()), Some(RequestOutcome::LeftAlone(why))) => json!({ "outcome": "left", "error": why }),
            (Err(error), _) => json!({ "outcome": "failed", "error": error.to_string() }),
            (Ok(()), None) => match &self.recent {
                Some((BackupPlace { cluster, id }, manifest)) => {
                    json!({ "outcome": "recent", "id": id, "cluster_folder": cluster, "manifest": manifest })
                }
                None => json!({ "outcome": "asked" }),
            },
            (Ok(()), Some(RequestOutcome::Failed { place, error, synced })) => {
                let (is_synced, after) = synced_json(synced);
                json!({
                    "outcome": "failed", "error": error, "donor_synced": is_synced, "synced_after_ms": after,
                    "id": place.as_ref().map(|place| &place.id),
                    "cluster_folder": place.as_ref().map(|place| &place.cluster),
                })
            }
            (
                Ok(()),
                Some(RequestOutcome::Complete {
                    place: BackupPlace { cluster, id },
                    manifest,
                    synced,
                    untold,
                }),
            ) => {
                let (is_synced, after) = synced_json(synced);
                json!({
                    "outcome": "complete", "id": id, "cluster_folder": cluster, "manifest": manifest,
                    "donor_synced": is_synced, "synced_after_ms": after, "error": untold, "donor": manifest.node,
                })
            }
        };
        if let (Value::Object(all), Value::Object(rest)) = (&mut value, rest) {
            all.extend(rest);
        }
        value
    }
}

fn synced_json(synced: &SyncedAgain) -> (Option<bool>, Option<u64>) {
    match synced {
        SyncedAgain::After(time) => (Some(true), Some(milliseconds(*time))),
        SyncedAgain::NotYet(_) => (Some(false), None),
        SyncedAgain::Unknown(_) => (None, None),
    }
}

fn members(invitation: &GarbdCall, survey: &Survey, traffic: &Traffic) -> TextPage {
    let mut table =
        Table::new(&[("MEMBER", Align::Left), ("STATE", Align::Left), ("WRITES/s", Align::Right)]);
    let mut reports: Vec<_> = survey.reports.iter().collect();
    reports.sort_by(|a, b| a.name().cmp(b.name()));
    for report in reports {
        let state = if report.is_primary() { report.state().to_string() } else { "not Primary".into() };
        table.row(vec![report.name().to_owned(), state, traffic.writes(report.name()).to_string()]);
    }
    for silent in &survey.silent {
        let name = if silent.name.is_empty() { &silent.address } else { &silent.name };
        table.row(vec![name.clone(), "does not answer".into(), "?".into()]);
    }
    for arbitrator in &survey.arbitrators {
        table.row(vec![arbitrator.clone(), "arbitrator".into(), "-".into()]);
    }
    let mut page = TextPage::of(format!("cluster {}", invitation.group()));
    if !survey.reports.is_empty() || !survey.silent.is_empty() {
        page.table(&table);
    }
    page
}

pub(super) fn recent(manifest: &Manifest) -> TextPage {
    let age = Timestamp::now().duration_since(manifest.frozen_at).as_millis();
    TextPage::of(format!(
        "Nothing to do: backup {} is {} old.",
        manifest.id,
        duration_ms(u64::try_from(age).unwrap_or(0))
    ))
}

/// `synced` is what is to be said of the donor, if anything.
pub(super) fn complete(manifest: &Manifest, synced: Option<&SyncedAgain>, untold: Option<&str>) -> TextPage {
    let took = u64::try_from(manifest.finished.duration_since(manifest.started).as_millis()).unwrap_or(0);
    let mut page = TextPage::of(format!("Backup {} is complete at {}.", manifest.id, manifest.position()));
    let stood = match manifest.paused_ms {
        Some(paused) => format!("was held up by {} for {}", manifest.method, duration_ms(paused)),
        None => format!("was frozen for {}", duration_ms(manifest.frozen_ms)),
    };
    page.line(format!(
        "{} files, {} stored in {}; {} {stood}; it took {}.",
        grouped(manifest.files),
        bytes(manifest.data_bytes),
        bytes(manifest.archive.bytes),
        manifest.node,
        duration_ms(took),
    ));
    match synced {
        None => {}
        Some(SyncedAgain::After(time)) => {
            page.line(format!("{} is Synced again, {} after that.", manifest.node, shown(*time)));
        }
        Some(SyncedAgain::NotYet(state)) => {
            page.line(format!("Warning: {} is still {state}: look at its error log.", manifest.node));
        }
        Some(SyncedAgain::Unknown(why)) => {
            page.line(format!("Whether {} is Synced again is not known: {why}.", manifest.node));
        }
    }
    if let Some(why) = untold {
        page.line(format!("Warning: mysqld takes the transfer for failed, the backup is complete: {why}"));
    }
    for warning in manifest.warning_lines() {
        page.line(format!("Warning: {warning}"));
    }
    page
}

/// What became of the donor of a failed backup.
fn donor_after(synced: &SyncedAgain) -> String {
    match synced {
        SyncedAgain::After(_) => "; the donor is Synced".into(),
        SyncedAgain::NotYet(state) => format!("; the donor is still {state}"),
        SyncedAgain::Unknown(_) => String::new(),
    }
}
