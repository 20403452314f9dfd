//! A backup on a server of a newer series: what is to be done before its first start, and after it.
//!
//! InnoDB reads a redo log of an older format only where nothing is left in it: "Upgrade after a crash is not supported"
//! (`recv_log_recover_10_5`, `recv_log_format_0_recover` in `storage/innobase/log/log0recv.cc`). That of a state transfer is not empty in this
//! sense: 11.8.9 did not start on a backup of 10.5.23 by `freeze`, and did when 10.5.23 had been started on it and shut down [seen].

use super::advice::Advice;
use super::installed_server::Installed;
use super::request::Purpose;
use crate::model::{FilesState, Manifest};
use crate::tool::ReleaseSeries;

/// The first series of each format of the redo log (`log0log.h`: `FORMAT_10_5`, `FORMAT_10_8`).
const REDO_FORMATS: [ReleaseSeries; 2] = [ReleaseSeries::new(10, 5), ReleaseSeries::new(10, 8)];

/// From the series of a backup to that of the server here, which is newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesUpgrade {
    from: ReleaseSeries,
    to: ReleaseSeries,
}

impl SeriesUpgrade {
    /// None where the server is of the same series or an older one, or a version is not known.
    pub fn needed(version: Option<&str>, here: &Installed) -> Option<Self> {
        let (from, to) = (version.and_then(ReleaseSeries::read)?, ReleaseSeries::read(&here.version)?);
        (from < to).then_some(Self { from, to })
    }

    /// Whether the two have different formats of the redo log.
    fn has_other_redo(self) -> bool {
        let format = |series| REDO_FORMATS.iter().filter(|first| series >= **first).count();
        format(self.from) != format(self.to)
    }

    /// Adds the steps.
    pub fn tell(self, manifest: &Manifest, purpose: Purpose, advice: &mut Advice) {
        advice.steps.splice(0..0, self.before(manifest.files_state));
        let Self { from, to } = self;
        advice.steps.push(format!("When it has started, run  mariadb-upgrade  (from {from} to {to})"));
        match purpose {
            Purpose::Node => advice.notes.push(format!(
                "The server here is MariaDB {to}, the backup is of {from}: members of both series are in one cluster only while it is upgraded, \
                 node by node."
            )),
            Purpose::Cluster => advice.notes.push(format!(
                "The server here is MariaDB {to}, the backup is of {from}: install {to} on every node of the new cluster."
            )),
            Purpose::Standalone | Purpose::Replica => {
                advice.notes.push(format!("The server here is MariaDB {to}, the backup is of {from}."));
            }
        }
    }

    /// What comes before the first start.
    fn before(self, files: FilesState) -> Vec<String> {
        let Self { from, to } = self;
        let first = match (self.has_other_redo(), files) {
            (true, _) => Some(format!(
                "Let a server of MariaDB {from} start on the directory first, by itself (--wsrep-on=OFF), and shut it down: {to} does not start on a redo log of \
                 that format in which anything is left ('Upgrade after a crash is not supported')"
            )),
            (false, FilesState::Crashed) => Some(format!(
                "The files are those of a crashed server: let a server of MariaDB {from} start on them once, and shut it down, before one of {to} does"
            )),
            (false, FilesState::Clean) => None,
        };
        let options = format!(
            "See that MariaDB {to} takes the option files: an option that it has no longer keeps it from starting  (mariadbd --help --verbose >/dev/null)"
        );
        first.into_iter().chain([options]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(from: &str, to: &str) -> Option<SeriesUpgrade> {
        let here = Installed { program: "/x".into(), version: format!("{to}-MariaDB") };
        SeriesUpgrade::needed(Some(&format!("{from}-MariaDB-log")), &here)
    }

    #[test]
    fn a_newer_series_is_an_upgrade_and_a_newer_patch_is_none() {
        assert_eq!(between("10.11.19", "10.11.20"), None);
        assert_eq!(between("11.8.6", "10.11.19"), None);
        assert!(between("10.11.19", "11.4.2").is_some());
        let here = Installed { program: "/x".into(), version: "11.8.6-MariaDB".into() };
        assert_eq!(SeriesUpgrade::needed(None, &here), None);
    }

    #[test]
    fn the_redo_log_decides_who_must_start_first() {
        for (from, to, other) in [
            ("10.4.30", "10.5.23", true),
            ("10.5.23", "10.6.16", false),
            ("10.7.8", "10.8.3", true),
            ("10.5.23", "11.8.6", true),
            ("10.8.3", "11.8.6", false),
        ] {
            let upgrade = between(from, to).unwrap();
            assert_eq!(upgrade.has_other_redo(), other, "{from} {to}");
            let first = |files| upgrade.before(files).remove(0);
            assert_eq!(
                first(FilesState::Clean).contains("start on the directory first"),
                other,
                "{from} {to}"
            );
            assert_eq!(first(FilesState::Crashed).contains("start on them once"), !other, "{from} {to}");
        }
    }
}
