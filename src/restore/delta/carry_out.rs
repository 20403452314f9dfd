//! Does what was planned: reads and compares the archive, then takes the directory over and changes it.

use std::collections::{BTreeMap, BTreeSet};

use super::archive_check::{Fetched, fetch};
use super::compare::is_wanted_file;
use super::extras::Extra;
use super::hold_meanwhile::HoldMeanwhile;
use super::plan::DeltaPlan;
use super::read_pieces::{pieces, plan};
use super::removal::remove_extra;
use super::replace::Replacement;
use super::room::DeltaRoom;
use super::server_locks::aria_controls;
use super::stash::Stash;
use crate::archive::StreamReader;
use crate::model::MemberKind;
use crate::restore::archive_stream::open_stream;
use crate::restore::error::{RestoreError, Undone};
use crate::restore::frame::write_state;
use crate::restore::request::Control;
use crate::restore::restored::Restored;
use crate::restore::start_file::{StartFileGuard, start_mark};
use crate::restore::undo_log::UndoLog;
use crate::restore::{MemberWriter, accounts, target};

impl DeltaPlan<'_> {
    /// Does it. All that is needed of the archive is read and compared once before (`checking`), then written (`restoring`), of which a part may have to
    /// be read again; progress of each is told in bytes of the tar stream, of [`DeltaReport::stream_bytes`]. Where the second fails the directory is left as it is
    /// by then, and no server starts on it; to do the same again goes on.
    pub fn carry_out(
        self,
        checking: &Control<'_>,
        restoring: &Control<'_>,
    ) -> Result<Restored, RestoreError> {
        let Self { source, index, places, fates, request, gtid, room, .. } = &self;
        let Some(start) = places.start_file() else {
            return Err(RestoreError::Refused("the backup has no system tablespace".into()));
        };
        let all = pieces(index, places, fates);
        let stash = Stash::create(places.target(), room.spare);
        let fetched = fetch(source, index, (places, fates), all, stash, request.threads, checking)?;
        let stream = open_stream(source, index, plan(index, &fetched.again), request.threads)?;
        let room = self.look_again()?;
        let is_read_again = !fetched.again.is_empty();
        let held = if is_read_again { HoldMeanwhile::set(source, places.target())? } else { None };
        let outcome = StartFileGuard::take_over(start, &gtid.uuid).map_err(|error| {
            let is_begun = start_mark(start).is_some();
            RestoreError::from(error).with(if is_begun { Undone::Halfway } else { Undone::Nothing })
        });
        let outcome = outcome.and_then(|guard| {
            let replaced = self.replace(&guard, room, (fetched, stream), restoring);
            replaced.map_err(|error| error.with(Undone::Halfway))
        });
        if let Some(held) = held.filter(|_| !outcome.as_ref().is_err_and(RestoreError::is_halfway)) {
            held.release();
        }
        outcome
    }

    fn replace(
        &self,
        guard: &StartFileGuard,
        room: DeltaRoom,
        (Fetched { stash, again }, mut stream): (Fetched<'_>, StreamReader),
        control: &Control<'_>,
    ) -> Result<Restored, RestoreError> {
        let Self { source, request, index, places, fates, extras, .. } = self;
        let manifest = source.manifest();
        let bases = std::iter::once(places.target().to_path_buf()).chain(places.external_roots()).collect();
        // It is never undone: what was there is gone.
        let mut created = UndoLog::below(bases);
        self.positions().try_for_each(|file| remove_extra(&Extra::File(file)))?;
        let goes_first = |extra: &&Extra| room.needs_extras || matches!(extra, Extra::InTheWay(_));
        extras.gone.iter().filter(goes_first).try_for_each(remove_extra)?;
        let writer =
            MemberWriter { stream: &mut stream, source, index, places, control, patched: BTreeMap::new() };
        let late = aria_controls(index, places);
        let mut work =
            Replacement { writer, places, fates, guard, late, open: None, written: BTreeSet::new() };
        work.file_systems().iter().try_for_each(|directory| created.writes_below(directory))?;
        work.prepare(&mut created)?;
        work.stashed(&stash)?;
        // It is not synced with the rest.
        drop(stash);
        let mut done =
            self.report.stream_bytes.saturating_sub(again.iter().map(|piece| piece.bytes(index)).sum());
        for piece in &again {
            (control.progress)(done);
            work.piece(piece, &mut created)?;
            done += piece.bytes(index);
        }
        // All that is new is there: only now what is old is given up.
        extras.gone.iter().filter(|extra| !goes_first(extra)).try_for_each(remove_extra)?;
        self.clear_attempts()?;
        work.finish(&created)?;
        let mut restored = Restored::begun(manifest, places);
        for member in index.members.iter().filter(|member| member.kind == MemberKind::File) {
            if is_wanted_file(places, member) {
                restored.has_file(member);
            }
        }
        restored.sst_accounts = accounts::sst_accounts(places.target());
        write_state(manifest, request, places, &mut created)?;
        created.sync()?;
        target::check_not_in_use(places)?;
        self.check_untouched()?;
        work.publish_late(&mut created)?;
        guard.publish(&mut created)?;
        Ok(restored)
    }
}
