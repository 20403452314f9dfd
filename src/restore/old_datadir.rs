//! No file of a backup goes into the data directory that the backup was taken of, but for a restore of that directory.

use super::destinations::Destinations;
use super::error::RestoreError;
use crate::capture::{is_same_directory, resolved};

/// Refuses a directory outside the data directory that leads into the donor's, as far as that is on this machine. An
/// older program has stored files of the data directory as from elsewhere, where variables named it by a link.
pub(super) fn refuse(places: &Destinations) -> Result<(), RestoreError> {
    let donor = &places.datadir;
    if !donor.is_dir() || is_same_directory(donor, places.target()) {
        return Ok(());
    }
    let leads_there =
        |place: &std::path::Path| resolved(place).ancestors().any(|above| is_same_directory(above, donor));
    match places.external().find(|(_, _, place)| leads_there(place)) {
        None => Ok(()),
        Some((variable, _, place)) => Err(RestoreError::Refused(format!(
            "'{}', where the files of {variable} would go, lies in '{}', the data directory that the backup was taken of: \
             a restore must not write there. Give another place with --map {variable}=DIR",
            place.display(),
            donor.display()
        ))),
    }
}
