//! Galera's position: the state UUID, the seqno and MariaDB's domain of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A position in the history of a cluster: `uuid:seqno`, with the `wsrep_gtid_domain_id` of the node.
///
/// The text form `uuid:seqno domain` is the one mysqld writes into `tables_flushed`
/// (MariaDB `sql/wsrep_sst.cc`, `sst_flush_tables`) and expects after `done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WsrepGtid {
    /// State UUID of the cluster, lower case.
    pub uuid: String,
    /// Number of the last write set that the files contain; never negative.
    pub seqno: i64,
    /// `wsrep_gtid_domain_id`, where the server told it.
    pub domain_id: Option<u32>,
}

/// Why a text is not a position.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum GtidError {
    /// No `uuid:seqno` shape.
    #[error("'{0}' is not a Galera position of the form uuid:seqno")]
    Malformed(String),
    /// The seqno is -1, or the UUID is none: the provider does not know its position.
    #[error("'{0}' has no position (seqno below zero, or no history): the provider was not paused; {cure}", cure = NO_POSITION)]
    Undefined(String),
}

/// What to do about a position that cannot be that of a backup.
pub const NO_POSITION: &str = "the server runs on. Its error log says why, just before. Take the backup again when this node is Primary and \
                               Synced (SHOW STATUS LIKE 'wsrep_%': wsrep_cluster_status, wsrep_local_state_comment), or from another node \
                               (backup --donor); where it comes again, restart this node";

impl FromStr for WsrepGtid {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let malformed = || GtidError::Malformed(text.trim().to_owned());
        let mut words = text.split_ascii_whitespace();
        let (uuid, seqno) = words.next().and_then(|word| word.rsplit_once(':')).ok_or_else(malformed)?;
        if !is_uuid(uuid) {
            return Err(malformed());
        }
        let seqno: i64 = seqno.parse().map_err(|_| malformed())?;
        let domain_id = words.next().map(|word| parse_domain_id(word).ok_or_else(malformed)).transpose()?;
        if words.next().is_some() {
            return Err(malformed());
        }
        if seqno < 0 || uuid.chars().all(|c| c == '0' || c == '-') {
            return Err(GtidError::Undefined(text.trim().to_owned()));
        }
        Ok(Self { uuid: uuid.to_ascii_lowercase(), seqno, domain_id })
    }
}

/// `wsrep_gtid_domain_id`, an unsigned number of 32 bits. mysqld prints it with `%d`, both into `tables_flushed` and on the
/// command line (`sst_flush_tables` and `sst_donate_other` in `sql/wsrep_sst.cc`): from 2^31 on it comes as a negative number.
pub fn parse_domain_id(text: &str) -> Option<u32> {
    text.parse::<u32>().ok().or_else(|| text.parse::<i32>().ok().map(i32::cast_unsigned))
}

/// 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.chars().all(|c| c.is_ascii_hexdigit()))
}

impl WsrepGtid {
    /// `uuid:seqno`, as grastate.dat and Galera's messages have it.
    pub fn position(&self) -> String {
        format!("{}:{}", self.uuid, self.seqno)
    }

    /// For people: `uuid:seqno (domain 0)`.
    pub fn words(&self) -> String {
        let domain = self.domain_id.map_or_else(String::new, |domain| format!(" (domain {domain})"));
        format!("{}{domain}", self.position())
    }

    /// The text of a `grastate.dat` at this position (Galera `galera/src/saved_state.cpp`).
    ///
    /// `safe_to_bootstrap` is 1 on the one node of a cluster that may be bootstrapped.
    pub fn grastate(&self, safe_to_bootstrap: bool) -> String {
        format!(
            "# GALERA saved state\nversion: 2.1\nuuid:    {}\nseqno:   {}\nsafe_to_bootstrap: {}\n",
            self.uuid,
            self.seqno,
            u8::from(safe_to_bootstrap)
        )
    }

    /// Where such a text says that a server stands; none where it does not know: it runs, or has not ended in good order.
    pub fn from_grastate(text: &str) -> Option<Self> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        format!("{}:{}", value("uuid:")?, value("seqno:")?).parse().ok()
    }
}

impl fmt::Display for WsrepGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uuid, self.seqno)?;
        match self.domain_id {
            Some(domain) => write!(f, " {domain}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f";

    #[test]
    fn reads_what_mysqld_writes() {
        let gtid: WsrepGtid = format!("{UUID}:6 0\n\n").parse().unwrap();
        assert_eq!(gtid, WsrepGtid { uuid: UUID.into(), seqno: 6, domain_id: Some(0) });
        assert_eq!(gtid.to_string(), format!("{UUID}:6 0"));
        assert_eq!(gtid.words(), format!("{UUID}:6 (domain 0)"));
        let bare: WsrepGtid = format!("{UUID}:9223372036854775807").parse().unwrap();
        assert_eq!((bare.seqno, bare.domain_id), (i64::MAX, None));
    }

    #[test]
    fn a_domain_is_unsigned_however_it_is_printed() {
        for (text, domain) in [
            ("0", Some(0)),
            ("2147483647", Some(i32::MAX.cast_unsigned())),
            ("2147483648", Some(1 << 31)),
            ("-2147483648", Some(1 << 31)),
            ("-1", Some(u32::MAX)),
            ("4294967295", Some(u32::MAX)),
            ("4294967296", None),
            ("-2147483649", None),
            ("", None),
            ("-", None),
        ] {
            assert_eq!(parse_domain_id(text), domain, "{text:?}");
        }
        let gtid: WsrepGtid = format!("{UUID}:6 -1\n").parse().unwrap();
        assert_eq!(gtid.to_string(), format!("{UUID}:6 4294967295"));
    }

    #[test]
    fn an_unpaused_provider_is_not_a_position() {
        assert_eq!(
            format!("{UUID}:-1 0").parse::<WsrepGtid>(),
            Err(GtidError::Undefined(format!("{UUID}:-1 0")))
        );
        assert!(matches!(
            "00000000-0000-0000-0000-000000000000:0".parse::<WsrepGtid>(),
            Err(GtidError::Undefined(_))
        ));
    }

    #[test]
    fn half_written_files_are_malformed() {
        for text in [
            "",
            "\n",
            UUID,
            "4b1c02c4:6",
            &format!("{UUID}:"),
            &format!("{UUID}:6 x"),
            &format!("{UUID}:6 0 1"),
        ] {
            assert!(matches!(text.parse::<WsrepGtid>(), Err(GtidError::Malformed(_))), "{text:?}");
        }
    }

    #[test]
    fn grastate_has_galeras_form() {
        let gtid: WsrepGtid = format!("{UUID}:16 0").parse().unwrap();
        let text = gtid.grastate(false);
        let read = |text: &str| WsrepGtid::from_grastate(text).map(|gtid| gtid.position());
        assert_eq!(read(&text), Some(gtid.position()));
        assert_eq!((read(&text.replace("16", "-1")), read("")), (None, None));
        assert_eq!(
            text,
            format!(
                "# GALERA saved state\nversion: 2.1\nuuid:    {UUID}\nseqno:   16\nsafe_to_bootstrap: 0\n"
            )
        );
        assert!(text.len() <= 256, "Galera reads at most 256 bytes");
    }
}
