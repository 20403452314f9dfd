//! What a server that joins has said of that, line by line: nothing that it has once said is lost behind what it says later.

use std::time::Instant;

use super::super::home::LogReader;
use crate::cluster::{TransferAnswer, transfer_answer};

/// What the log says when the joiner's script is started (both in one line: what comes of it is told with its command, too), when a donor was found,
/// and when the server is Synced.
const ASKING: [&str; 2] = ["Running: '", "--role 'joiner'"];
const ASKED: &str = "Requesting state transfer: success";
const SYNCED: &str = "Shifting JOINED -> SYNCED";
/// What it says before the position at the end of IST.
const RECEIVED: &str = "IST received: ";
/// What it says before the number of write sets, and before their seqnos, `13-16`.
const RECEIVING: &str = "Receiving IST: ";
const SEQNOS: &str = "seqnos ";
/// What it says, too, while no member can be its donor. Galera asks again each second, without end.
const REFUSED: &str = "Requesting state transfer failed";
/// What it says before `yes` or `no` when others have come into the group, or have gone.
const COMPONENT: &str = "New COMPONENT: primary = ";
/// Lines by which the server shows that it gets on: its states, and how many write sets it has received or applied (each ten seconds).
const PROGRESS: [&str; 2] = [" events) complete", "WSREP: Shifting "];
/// A word of other such lines.
const PROGRESS_WORD: &str = "IST";
/// What it says of an event that it could not apply: `wsrep_apply_events` of the server. Also where all members could not.
const APPLY_FAILED: &str = " apply failed: ";
const SEQNO: &str = "seqno ";
/// What it says when the members have found that it is not as they are, or cannot follow them.
const INCONSISTENT: &str = "Inconsistency detected";
/// The kinds of events that change rows end so, but for a version.
const OF_ROWS: &str = "_rows";
/// Errors that rows give that are not what the cluster has: no such row (`HA_ERR_KEY_NOT_FOUND`, `ER_KEY_NOT_FOUND`), and one that is there already
/// (`HA_ERR_FOUND_DUPP_KEY`, `ER_DUP_ENTRY`).
const OTHER_ROWS: [&str; 4] = ["120", "121", "1032", "1062"];

/// Somebody who reads its log as it grows.
#[derive(Debug)]
pub(super) struct JoinListener<'a> {
    log: LogReader<'a>,
    pub(super) heard: JoinLog,
}

impl<'a> JoinListener<'a> {
    /// Of a server of that name.
    pub(super) fn new(name: &str, log: LogReader<'a>) -> Self {
        Self { log, heard: JoinLog::new(name) }
    }

    /// Hears what it has said since the last time.
    pub(super) fn listen(&mut self) {
        self.heard.hear(&self.log.more());
    }
}

/// What was heard so far.
#[derive(Debug)]
pub(super) struct JoinLog {
    /// Its name in the group: of others it says much the same.
    name: String,
    /// The beginning of a line whose end is not there yet.
    begun: Vec<u8>,
    /// How often it has started its script, to ask for a donor then.
    pub(super) requests: u32,
    /// A donor was found.
    pub(super) has_donor: bool,
    /// Whom Galera has taken for it.
    pub(super) donor: Option<String>,
    pub(super) is_synced: bool,
    /// Whether the component that it is in is Primary; none until it is in one that is.
    is_primary: Option<bool>,
    /// Write sets that come by IST.
    pub(super) writesets: u64,
    /// The seqno of the last one of them.
    last_of_ist: Option<i64>,
    /// Where it stood when it had received everything.
    pub(super) position: Option<String>,
    /// The line that says that no donor was found.
    pub(super) refusal: Option<String>,
    /// The line that says that a write set of IST did not fit to the rows.
    pub(super) contradiction: Option<String>,
    /// The line that says that it is not as the members are, or could not follow them, by what they wrote later.
    pub(super) dissent: Option<String>,
    /// When it has got on for the last time.
    pub(super) progress: Instant,
}

impl JoinLog {
    /// Nothing yet, of a server of that name.
    fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            begun: Vec::new(),
            requests: 0,
            has_donor: false,
            donor: None,
            is_synced: false,
            is_primary: None,
            writesets: 0,
            last_of_ist: None,
            position: None,
            refusal: None,
            contradiction: None,
            dissent: None,
            progress: Instant::now(),
        }
    }

    /// It was in the Primary component, and is in one now that is not Primary.
    pub(super) fn is_cut_off(&self) -> bool {
        self.is_primary == Some(false)
    }

    /// Why it must not stay, where `donor` was asked for.
    pub(super) fn objection(&self, donor: &str) -> Option<String> {
        let other = self.donor.as_deref().filter(|other| *other != donor);
        let other = other.map(|other| {
            format!(
                "Galera has taken '{other}' for its donor, where '{donor}' was asked for, and it has left"
            )
        });
        let lines = [&self.contradiction, &self.dissent, &self.refusal];
        lines.into_iter().find_map(Clone::clone).or(other)
    }

    /// More of its log.
    fn hear(&mut self, more: &[u8]) {
        self.begun.extend_from_slice(more);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            self.hear_line(String::from_utf8_lossy(&line).trim_end());
        }
    }

    fn hear_line(&mut self, line: &str) {
        self.requests += u32::from(ASKING.iter().all(|text| line.contains(text)));
        self.has_donor |= line.contains(ASKED);
        self.is_synced |= line.contains(SYNCED);
        if PROGRESS.iter().any(|text| line.contains(text)) || has_word(line, PROGRESS_WORD) {
            self.progress = Instant::now();
        }
        if let Some(primary) = behind(line, COMPONENT) {
            let is_primary = primary.starts_with("yes");
            self.is_primary = self.is_primary.map(|_| is_primary).or(is_primary.then_some(true));
        }
        if let Some(ist) = behind(line, RECEIVING) {
            let number = ist.split_whitespace().next().and_then(|number| number.parse().ok());
            self.writesets = number.unwrap_or(self.writesets);
            let last = behind(ist, SEQNOS).and_then(|seqnos| seqnos.split_once('-'));
            self.last_of_ist = last.and_then(|(_, last)| last.trim().parse().ok());
        }
        if let Some(position) = behind(line, RECEIVED) {
            self.position = Some(position.trim().to_owned());
        }
        let is_refused = match transfer_answer(line, &self.name) {
            Some(TransferAnswer::Donor(donor)) => {
                self.donor = Some(donor.to_owned());
                false
            }
            Some(TransferAnswer::Nobody(_)) => true,
            None => line.contains(REFUSED),
        };
        keep_first(&mut self.refusal, is_refused, line);
        let contradicted = contradicted(line);
        let is_of_ist = contradicted.zip(self.last_of_ist).is_some_and(|(seqno, last)| seqno <= last);
        keep_first(&mut self.contradiction, is_of_ist, line);
        let is_later = contradicted.is_some() && !is_of_ist;
        keep_first(&mut self.dissent, is_later || line.contains(INCONSISTENT), line);
    }
}

/// Keeps the line where that is so, and none was kept.
fn keep_first(kept: &mut Option<String>, is_so: bool, line: &str) {
    if is_so && kept.is_none() {
        *kept = Some(line.to_owned());
    }
}

fn behind<'a>(line: &'a str, text: &str) -> Option<&'a str> {
    line.split_once(text).map(|(_, rest)| rest)
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// The seqno of a write set whose rows were not what they are in the cluster, one behind all others where it is not told. A statement that fails does so
/// on all members, as a rule.
fn contradicted(line: &str) -> Option<i64> {
    let (event, error) = line.split_once(APPLY_FAILED)?;
    let kind = event.rsplit(' ').next().unwrap_or_default();
    let is_of_rows = kind.to_ascii_lowercase().contains(OF_ROWS);
    let number =
        |text: &'_ str| text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default().to_owned();
    let seqno = behind(error, SEQNO).and_then(|seqno| number(seqno).parse().ok());
    (is_of_rows && OTHER_ROWS.contains(&number(error).as_str())).then_some(seqno.unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(text: &str) -> JoinLog {
        let mut heard = JoinLog::new("backup-drill-0a0b0c");
        heard.hear(text.as_bytes());
        heard
    }

    #[test]
    fn what_was_said_once_is_kept_wherever_a_piece_of_the_log_ends() {
        let log = "2026-11-20 11:34:52 2 [Note] WSREP: Receiving IST: 4 writesets, seqnos 13-16\n\
                   2026-11-20 11:34:52 0 [Note] WSREP: IST received: u:16\n\
                   2026-11-20 11:34:52 0 [Note] WSREP: Shifting JOINED -> SYNCED (TO: 16)\n";
        for size in [1, 7, log.len()] {
            let mut heard = JoinLog::new("x");
            log.as_bytes().chunks(size).for_each(|piece| heard.hear(piece));
            heard.hear("and much more\n".repeat(10_000).as_bytes());
            let found = (heard.is_synced, heard.writesets, heard.position.as_deref(), heard.contradiction);
            assert_eq!(found, (true, 4, Some("u:16"), None), "{size}");
        }
        // No more than half of it has come.
        assert!(!heard("WSREP: Shifting JOINED -> SYNCED").is_synced);
    }

    #[test]
    fn each_start_of_the_script_is_counted_once_whatever_comes_of_it() {
        let command = "'wsrep_sst_backup --role 'joiner' --address '127.0.0.1:4444''";
        let started = format!("0 [Note] WSREP: Running: {command}\n");
        let failed = format!(
            "0 [ERROR] WSREP: Process completed with error: {command}: 1 (Operation not permitted)\n"
        );
        assert_eq!(heard(&failed).requests, 0);
        assert_eq!(heard(&[&*started, &failed].concat()).requests, 1);
        assert_eq!(heard(&[&*started, &failed, &started].concat()).requests, 2);
    }

    #[test]
    fn whoever_was_in_the_primary_component_and_is_no_more_is_cut_off() {
        let said = |components: &[&str]| {
            let line = |primary: &&str| {
                format!(
                    "0 [Note] WSREP: New COMPONENT: primary = {primary}, bootstrap = no, my_idx = 1, memb_num = 2\n"
                )
            };
            heard(&components.iter().map(line).collect::<String>()).is_cut_off()
        };
        assert!(said(&["yes", "no"]) && said(&["no", "yes", "no", "no"]));
        assert!(
            !said(&[])
                && !said(&["no", "no"])
                && !said(&["no"])
                && !said(&["yes"])
                && !said(&["yes", "no", "yes"])
        );
    }

    #[test]
    fn a_server_gets_on_by_words_of_its_own() {
        let gets_on = |line: &str| {
            let mut heard = JoinLog::new("x");
            let before = heard.progress;
            std::thread::sleep(std::time::Duration::from_millis(2));
            heard.hear(format!("{line}\n").as_bytes());
            heard.progress > before
        };
        assert!(gets_on("0 [Note] WSREP: Receiving IST: 4 writesets, seqnos 13-16"));
        assert!(gets_on("0 [Note] WSREP: Receiving IST... 12.0% ( 4096/34000 events) complete."));
        assert!(!gets_on("4 [Warning] Query: DROP TABLE IF EXISTS t, LIST, IST_OF"));
    }

    #[test]
    fn rows_that_do_not_fit_speak_against_a_backup_and_statements_do_not() {
        let ist = "[Note] WSREP: Receiving IST: 4 writesets, seqnos 13-16\n";
        let said = |line: &str| {
            let heard = heard(&format!("{ist}[Warning] WSREP: {line}\n"));
            (heard.contradiction.is_some(), heard.dissent.is_some())
        };
        for line in [
            "Event 3 Write_rows_v1 apply failed: 121, seqno 14",
            "Event 3 Delete_rows apply failed: 120, seqno 16",
        ] {
            assert_eq!(said(line), (true, false), "{line}");
        }
        // What members have written later may be wrong with them.
        for line in [
            "Event 3 Write_rows_v1 apply failed: 121, seqno 17",
            "Event 3 Write_rows_v1 apply failed: 121",
            "Inconsistency detected: Inconsistent by consensus on u:17",
        ] {
            assert_eq!(said(line), (false, true), "{line}");
        }
        for line in [
            "Event 1 Query apply failed: 1, seqno 14",
            "Event 1 Query apply failed: 1062, seqno 14",
            "Event 3 Write_rows_v1 apply failed: 1, seqno 14",
            "Event 3 Update_rows_v1 apply failed: 1205, seqno 14",
        ] {
            assert_eq!(said(line), (false, false), "{line}");
        }
    }

    #[test]
    fn no_donor_for_this_one_is_heard_and_none_for_another_one_is_not() {
        let line = |name: &str| {
            format!(
                "[Warning] WSREP: Member 2.0 ({name}) requested state transfer from 'n1', but it is impossible to select State Transfer donor: \
                 Resource temporarily unavailable\n"
            )
        };
        assert!(heard(&line("backup-drill-0a0b0c")).refusal.is_some());
        assert_eq!(heard(&line("n3")).refusal, None);
        let selected = |name: &str| {
            heard(&format!(
                "[Note] WSREP: Member 2.9 ({name}) requested state transfer from 'n1'. Selected 0.0 (n10)(SYNCED) as donor.\n"
            ))
        };
        assert_eq!(selected("backup-drill-0a0b0c").donor.as_deref(), Some("n10"));
        assert_eq!(selected("n3").donor, None);
        let why = selected("backup-drill-0a0b0c").objection("n1").unwrap();
        assert!(why.contains("has taken 'n10' for its donor, where 'n1' was asked for"), "{why}");
        assert_eq!(selected("backup-drill-0a0b0c").objection("n10"), None);
        let own = "[Note] WSREP: Requesting state transfer failed: -11(Resource temporarily unavailable). Will keep retrying every 1 second(s)\n";
        assert!(heard(own).refusal.is_some());
    }
}
