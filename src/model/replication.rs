//! The masters of a donor that is a replica. A backup has none of the replica's state; these are the values to set it up again.

use serde::{Deserialize, Serialize};

/// One connection to a master. The password is never read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Its name; empty for the one that needs none.
    pub name: String,
    /// The master.
    pub host: String,
    /// Its port, where it is known.
    pub port: Option<u16>,
    /// The account there.
    pub user: String,
    /// `No`, `Slave_Pos` or `Current_Pos`, where it is known.
    pub using_gtid: Option<String>,
    /// The last GTID that was received, where GTIDs are used.
    pub gtid_io_pos: Option<String>,
    /// The master's binary log up to which everything is applied (`Relay_Master_Log_File`).
    pub log_file: Option<String>,
    /// And the position in it (`Exec_Master_Log_Pos`).
    pub log_pos: Option<u64>,
    /// Whether its SQL thread ran, where the server told.
    pub running: Option<bool>,
    /// Who told: the server itself, or its files, which may be behind.
    pub source: ConnectionSource,
}

/// Where a [`Connection`] was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectionSource {
    /// `SHOW ALL SLAVES STATUS`.
    #[default]
    Server,
    /// `master.info` and `relay-log.info`.
    Files,
}

impl Connection {
    fn uses_gtid(&self) -> bool {
        self.using_gtid.as_ref().is_some_and(|using| !using.eq_ignore_ascii_case("no"))
    }

    /// In a few words: `'src1' from repl@10.0.0.1:3306, m-bin.000003 at 4`.
    pub fn words(&self) -> String {
        let name =
            if self.name.is_empty() { "the default connection".into() } else { format!("'{}'", self.name) };
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        let mut text = format!("{name} from {}@{}{port}", self.user, self.host);
        if self.uses_gtid() {
            text.push_str(&format!(", by GTID ({})", self.using_gtid.as_deref().unwrap_or_default()));
        }
        match (self.log_file.as_deref().filter(|file| !file.is_empty()), self.log_pos) {
            (Some(file), Some(pos)) => text.push_str(&format!(", {file} at {pos}")),
            _ if self.uses_gtid() => {}
            _ => text.push_str(", no position yet"),
        }
        if self.source == ConnectionSource::Files {
            text.push_str(" (read from its files, which may be behind)");
        }
        text.replace(char::is_control, " ")
    }

    /// The statement that sets it up again, but for the password.
    pub fn statement(&self) -> String {
        let name = if self.name.is_empty() { String::new() } else { format!(" '{}'", quoted(&self.name)) };
        let mut text = format!(
            "CHANGE MASTER{name} TO MASTER_HOST='{}', MASTER_PORT={}, MASTER_USER='{}', MASTER_PASSWORD='...'",
            quoted(&self.host),
            self.port.unwrap_or(3306),
            quoted(&self.user)
        );
        match (&self.log_file, self.log_pos) {
            _ if self.uses_gtid() => text.push_str(", MASTER_USE_GTID=slave_pos"),
            (Some(file), Some(pos)) if !file.is_empty() => text.push_str(&format!(
                ", MASTER_LOG_FILE='{}', MASTER_LOG_POS={pos}, MASTER_USE_GTID=no",
                quoted(file)
            )),
            _ => {}
        }
        text
    }
}

/// Text inside quotes of SQL.
fn quoted(text: &str) -> String {
    text.replace(char::is_control, " ").replace('\\', "\\\\").replace('\'', "''")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_told_so_that_it_can_be_set_up_again() {
        let by_position = Connection {
            name: "o'src".into(),
            host: "10.0.0.1".into(),
            port: Some(3307),
            user: "repl".into(),
            using_gtid: Some("No".into()),
            log_file: Some("m-bin.000003".into()),
            log_pos: Some(815),
            ..Connection::default()
        };
        assert_eq!(by_position.words(), "'o'src' from repl@10.0.0.1:3307, m-bin.000003 at 815");
        assert_eq!(
            by_position.statement(),
            "CHANGE MASTER 'o''src' TO MASTER_HOST='10.0.0.1', MASTER_PORT=3307, MASTER_USER='repl', \
             MASTER_PASSWORD='...', MASTER_LOG_FILE='m-bin.000003', MASTER_LOG_POS=815, MASTER_USE_GTID=no"
        );
        let by_gtid = Connection {
            name: String::new(),
            using_gtid: Some("Slave_Pos".into()),
            source: ConnectionSource::Files,
            log_file: None,
            ..by_position
        };
        assert!(
            by_gtid
                .words()
                .starts_with("the default connection from repl@10.0.0.1:3307, by GTID (Slave_Pos) (read")
        );
        assert!(
            by_gtid.statement().starts_with("CHANGE MASTER TO ")
                && by_gtid.statement().ends_with("slave_pos")
        );
    }
}
