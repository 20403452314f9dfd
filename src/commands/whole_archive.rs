//! What a backup cannot do whose archive has no single files, or none that are of use by themselves.

use super::CommandError;
use crate::catalog::BackupReader;
use crate::model::Manifest;

/// Refuses what needs the single files of an archive that has none.
pub(super) fn whole_only(source: &BackupReader, what: &str) -> Result<(), CommandError> {
    let Manifest { content, id, .. } = source.manifest();
    content.refuses(what, id).map_or(Ok(()), |why| Err(CommandError::Usage(why)))
}

/// Refuses what needs tables without the rest of their server.
pub(super) fn clean_only(source: &BackupReader, what: &str) -> Result<(), CommandError> {
    let Manifest { files_state, id, .. } = source.manifest();
    files_state.refuses(what, id).map_or(Ok(()), |why| Err(CommandError::Usage(why)))
}
