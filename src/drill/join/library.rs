//! Galera's library, as it lies here.
//!
//! The members of a group speak the protocols that all of them know. While one with an older library is among them, the others speak as that does, and do
//! so until somebody joins the next time (`gcs_state_msg_get_quorum` in `gcs/src/gcs_state_msg.cpp`; it is asked for when members come, not when they go).

use std::fs;
use std::path::{Path, PathBuf};

use super::request::JoinRequest;
use crate::cluster::{NodeReport, Survey};
use crate::model::GaleraRelease;

/// Where distributions put it.
const PLACES: [&str; 4] = [
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib/galera-4/libgalera_smm.so",
    "/usr/lib64/galera/libgalera_smm.so",
];

/// The one that the server's option files name, else that of the distribution; an error where there is none, where it is older than a member's, or
/// where it loses write sets in IST.
pub(super) fn find(wanted: &JoinRequest, survey: &Survey) -> Result<PathBuf, String> {
    let usual = || PLACES.iter().map(PathBuf::from).find(|path| path.exists());
    let path = wanted.provider.clone().filter(|path| Path::exists(path)).or_else(usual).ok_or(
        "Galera is not installed here (libgalera_smm.so): install galera-4, or name it as wsrep_provider in the server's option files",
    )?;
    let bytes = fs::read(&path).map_err(|error| format!("cannot read '{}': {error}", path.display()))?;
    let told = survey.reports.iter().filter_map(NodeReport::provider_version);
    refuse(GaleraRelease::find(&bytes), told.filter_map(GaleraRelease::read).max())
        .map_err(|why| format!("'{}' {why}", path.display()))?;
    Ok(path)
}

fn refuse(here: Option<GaleraRelease>, members: Option<GaleraRelease>) -> Result<(), String> {
    if let Some(mended) = here.and_then(GaleraRelease::loses_in_ist) {
        return Err(format!(
            "is of a release that is known to lose write sets in IST: install {mended} or later here"
        ));
    }
    let Some(members) = members else { return Ok(()) };
    match here {
        Some(here) if here >= members => Ok(()),
        Some(here) => Err(format!(
            "is Galera {here}, and a member has {members}: with an older one in the group all would go back to its protocols; install {members} here"
        )),
        None => Err(format!("does not say which release of Galera it is, and a member has {members}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_older_than_a_members_or_loses_write_sets_is_not_taken_into_the_group() {
        let release = |text| GaleraRelease::read(text);
        let said = |here, members| refuse(release(here), release(members));
        assert_eq!(said("26.4.23", "4.23(rXXXX)"), Ok(()));
        assert_eq!(said("26.4.24", "26.4.9"), Ok(()));
        assert_eq!(said("", ""), Ok(()));
        assert!(said("26.4.9", "26.4.23").unwrap_err().contains("is Galera 4.9, and a member has 4.23"));
        assert!(said("", "26.4.23").unwrap_err().contains("does not say which release"));
        assert!(said("26.4.26", "26.4.23").unwrap_err().contains("install 4.27 or later here"));
    }
}
