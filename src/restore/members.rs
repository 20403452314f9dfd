//! The members that a restore writes: all, or those that a server with some tables needs.

use super::destinations::Destinations;
use super::error::RestoreError;
use super::partial_server::{self, RelocatedMembers};
use super::partial_server_options::{self, ScratchTables};
use super::small_files;
use super::table_selection::Selection;
use super::undo_log::UndoLog;
use crate::archive::{IDENTITY_MEMBER, Index, ReadPlan};
use crate::catalog::BackupReader;
use crate::model::{Manifest, Member};

/// Some tables, restored as a server that has no others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tables {
    /// Sentences for a person.
    pub notes: Vec<String>,
    /// The lines of the option file that the server needs; it lies in the target.
    pub options: String,
}

/// The members that are restored, and how.
pub(super) struct Members {
    pub(super) index: Index,
    /// Where they go is what the index says; what they are in the archive is here.
    pub(super) moved: RelocatedMembers,
    pub(super) wanted: Option<ScratchTables>,
}

impl Members {
    /// Those of the whole backup.
    pub(super) fn all(index: Index) -> Self {
        Self { index, moved: RelocatedMembers::default(), wanted: None }
    }

    /// Leaves what a server needs that has these tables only, inside its data directory; what has to be read for it.
    pub(super) fn keep(
        &mut self,
        source: &BackupReader,
        only: &Selection,
        threads: usize,
    ) -> Result<ReadPlan, RestoreError> {
        let index = &self.index;
        let chosen =
            only.choose(index, true, &|members| small_files::peek(source, index, members, threads))?;
        let paths = partial_server::server_with(index, &chosen);
        self.wanted = Some(ScratchTables::new(chosen));
        let plan = {
            let is_identity = |member: &Member| member.path.as_bytes() == IDENTITY_MEMBER.as_bytes();
            index.plan_for(|member| paths.contains_key(&member.header_offset) || is_identity(member))
        };
        self.moved = RelocatedMembers::apply(&mut self.index, &paths);
        Ok(plan)
    }

    /// The option file of a server that has some tables only.
    pub(super) fn write_options(
        &self,
        manifest: &Manifest,
        wanted: &ScratchTables,
        places: &Destinations,
        created: &mut UndoLog,
    ) -> Result<Tables, RestoreError> {
        let target = places.target();
        let mut found = wanted.look(target);
        found.notes.extend(wanted.elsewhere());
        let options = partial_server_options::option_file(manifest, &self.index, target, &found.plugins);
        created.file_of_ours(
            &target.join(partial_server_options::OPTIONS_FILE),
            options.as_bytes(),
            places.owner(),
        )?;
        Ok(Tables { notes: found.notes, options })
    }
}
