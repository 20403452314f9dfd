//! What a server that joins has said of that, line by line: nothing that it has once said is lost behind what it says later.

use std::time::Instant;

use super::super::home::LogReader;

/// What the log says when the joiner's script is started (both in one line: what comes of it is told with its command, too), when a donor was found,
/// and when the server is Synced.
const ASKING: [&str; 2] = ["Running: '", "--role 'joiner'"];
const ASKED: &str = "Requesting state transfer: success";
const SYNCED: &str = "Shifting JOINED -> SYNCED";
/// What it says before the position at the end of IST.
const RECEIVED: &str = "IST received: ";
/// What it says before the number of write sets.
const RECEIVING: &str = "Receiving IST: ";
/// What it says while no member can be its donor. Galera asks again each second, without end.
const REFUSALS: [&str; 2] =
    ["but it is impossible to select State Transfer donor", "Requesting state transfer failed"];
/// What it says before `yes` or `no` when others have come into the group, or have gone.
const COMPONENT: &str = "New COMPONENT: primary = ";
/// Lines by which the server shows that it gets on: its states, and how many write sets it has received or applied (each ten seconds).
const PROGRESS: [&str; 2] = [" events) complete", "WSREP: Shifting "];
/// A word of other such lines.
const PROGRESS_WORD: &str = "IST";
/// What it says of an event that it could not apply: `wsrep_apply_events` of the server. Also where all members could not.
const APPLY_FAILED: &str = " apply failed: ";
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
    pub(super) is_synced: bool,
    /// Whether the component that it is in is Primary; none until it is in one that is.
    is_primary: Option<bool>,
    /// Write sets that come by IST.
    pub(super) writesets: u64,
    /// Where it stood when it had received everything.
    pub(super) position: Option<String>,
    /// The line that says that no donor was found.
    pub(super) refusal: Option<String>,
    /// The line that says that a write set did not fit to the rows.
    pub(super) contradiction: Option<String>,
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
            is_synced: false,
            is_primary: None,
            writesets: 0,
            position: None,
            refusal: None,
            contradiction: None,
            progress: Instant::now(),
        }
    }

    /// It was in the Primary component, and is in one now that is not Primary.
    pub(super) fn is_cut_off(&self) -> bool {
        self.is_primary == Some(false)
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
        let number = |rest: &str| rest.split_whitespace().next()?.parse().ok();
        if let Some(writesets) = behind(line, RECEIVING).and_then(number) {
            self.writesets = writesets;
        }
        if let Some(position) = behind(line, RECEIVED) {
            self.position = Some(position.trim().to_owned());
        }
        let is_own = || !line.contains("Member ") || line.contains(&format!("({})", self.name));
        if self.refusal.is_none() && REFUSALS.iter().any(|text| line.contains(text)) && is_own() {
            self.refusal = Some(line.to_owned());
        }
        if self.contradiction.is_none() && contradicts(line) {
            self.contradiction = Some(line.to_owned());
        }
    }
}

fn behind<'a>(line: &'a str, text: &str) -> Option<&'a str> {
    line.split_once(text).map(|(_, rest)| rest)
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

/// Whether a line says that rows were not what they are in the cluster. A statement that fails does so on all members, as a rule.
fn contradicts(line: &str) -> bool {
    let Some((event, error)) = line.split_once(APPLY_FAILED) else { return false };
    let kind = event.rsplit(' ').next().unwrap_or_default();
    let is_of_rows = kind.to_ascii_lowercase().contains(OF_ROWS);
    let error = error.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    is_of_rows && OTHER_ROWS.contains(&error)
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
        for line in [
            "Event 3 Write_rows_v1 apply failed: 121, seqno 14",
            "Event 3 Delete_rows apply failed: 120, seqno 4",
        ] {
            assert!(heard(&format!("[Warning] WSREP: {line}\n")).contradiction.is_some(), "{line}");
        }
        for line in [
            "Event 1 Query apply failed: 1, seqno 14",
            "Event 1 Query apply failed: 1062, seqno 14",
            "Event 3 Write_rows_v1 apply failed: 1, seqno 14",
            "Event 3 Update_rows_v1 apply failed: 1205, seqno 14",
            "Inconsistency detected: Inconsistent by consensus on u:14",
        ] {
            assert_eq!(heard(&format!("[Warning] WSREP: {line}\n")).contradiction, None, "{line}");
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
        let own = "[Note] WSREP: Requesting state transfer failed: -11(Resource temporarily unavailable). Will keep retrying every 1 second(s)\n";
        assert!(heard(own).refusal.is_some());
    }
}
