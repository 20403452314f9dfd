//! A data directory from a backup.
//!
//! # Why an interrupted restore cannot be started
//!
//! mysqld cannot start without the InnoDB system tablespace. The first file of `innodb_data_file_path`
//! is restored under a hidden name; in its place stands, from the first moment on, a short text, which
//! InnoDB refuses to open. When everything else is written and synced, the hidden file is renamed over
//! the text: that is the moment at which the directory becomes a server. `grastate.dat` comes just
//! before it.
//!
//! # Why a restore never destroys
//!
//! Manifest, index and archive are checked against each other before the target is touched; the target
//! must be empty and unused; a restore that fails removes exactly what it created.
//!
//! # Files that were stored while the server ran
//!
//! What is written is what is there at the end ([`Index::members`]): a member that a later one supersedes, or whose file was gone, is
//! passed over; one whose file has got another name is written under that. Pages that were read again are put into the file behind
//! it, which is the same file still (`patch`): the system tablespace under its hidden name.
//!
//! That the disk has not taken what was written is told, and no success, whatever the file system (`file_systems`).
//!
//! Into a data directory that holds an older state of the same files only what differs is written: see [`delta`].
//!
//! A backup by mariadb-backup takes another way to the same end: see [`prepared`]. A dump becomes no data directory, but goes into a
//! running server: see [`into`].
//!
//! # Why an index cannot choose where root writes
//!
//! Whoever writes to the repository can edit the index. Its paths stay below the target; places outside of it are the
//! operator's to name (`external_directories`); nothing is written through a symbolic link, whoever has made it (`no_follow`); and no
//! file gets rights that a data directory has no use for (`undo_log`).

mod accounts;
mod advice;
mod archive_stream;
mod definition;
mod delta;
mod destinations;
mod directory_map;
mod error;
mod external_directories;
mod extract;
mod feed;
mod file_id;
mod file_systems;
mod frame;
mod identity;
mod installed_server;
pub mod into;
mod members;
mod no_follow;
mod old_datadir;
mod options;
mod partial_server;
mod partial_server_options;
mod parts;
mod patch;
mod pattern;
mod prepared;
mod replication;
mod request;
mod restored;
mod rewritten_paths;
mod series_upgrade;
mod small_files;
mod stage;
mod stand_in;
mod start_file;
mod table_selection;
mod tables;
mod target;
mod target_lock;
mod undo_log;
mod write;
mod wsrep_home;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;

use crate::archive::{Index, MemberDamage, StreamReader, read_member};
use crate::catalog::BackupReader;
use crate::model::{Content, Member, MemberKind};
pub use accounts::InitFile;
pub use advice::{Advice, Listing, advice};
use archive_stream::open_stream;
pub use definition::engine_libraries;
pub use delta::{DeltaNode, DeltaPlan, DeltaReport, plan_delta};
pub use destinations::{Destinations, Stranger};
pub use directory_map::{AllowedDirectory, DirectoryMap};
pub use error::{RestoreError, Undone};
pub use extract::{Extract, Extracted, extract};
use file_id::FileId;
use file_systems::let_go;
use frame::{begin, check_purpose, check_rest, write_state};
pub use installed_server::Installed;
use members::Members;
pub use members::Tables;
pub use no_follow::read_file as read_regular_file;
pub use options::missing as missing_options;
pub use options::{PLUGIN_LOAD, needed_anywhere, needed_places, unstartable};
use parts::{StreamPart, parts};
use patch::write_pages;
pub use pattern::TablePattern;
pub use request::{Control, Purpose, RestoreRequest};
pub use restored::Restored;
pub use series_upgrade::SeriesUpgrade;
use start_file::StartFileGuard;
pub use table_selection::Selection;
use target_lock::TargetLock;
use undo_log::{UndoLog, finish_open};
use write::{WriteError, write_member};
pub use wsrep_home::{is_of, wsrep_home};

/// Restores a backup.
pub fn restore(
    source: &BackupReader,
    request: &RestoreRequest,
    control: &Control<'_>,
) -> Result<Restored, RestoreError> {
    if source.manifest().content == Content::Sql
        && let Some(why) = Content::Sql.refuses("'restore --to'", &source.manifest().id)
    {
        return Err(RestoreError::Refused(why));
    }
    check_purpose(source.manifest(), request.purpose)?;
    if source.manifest().content == Content::Xbstream {
        return prepared::restore(source, request, control);
    }
    let mut members = Members::all(source.index()?);
    let mut plan = members.index.plan();
    if let Some(only) = &request.only {
        plan = members.keep(source, only, request.threads)?;
    }
    let index = &members.index;
    let mut stream = open_stream(source, index, plan, request.threads)?;
    let identity = identity::read(&mut stream, source, index)?;
    let places = Destinations::new(Path::new(identity.datadir()), index, request)?;
    target::check_writable(places.external_roots().iter().map(AsRef::as_ref).chain([places.target()]))?;
    old_datadir::refuse(&places)?;
    wsrep_home::check(request, source.manifest(), &places)?;
    let lock = TargetLock::take(places.target())?;
    target::check(&places, index, &source.location())?;
    if let Some(stranger) = places.stranger() {
        log::warn!("{stranger}");
    }
    let bases = std::iter::once(places.target().to_path_buf()).chain(places.external_roots()).collect();
    let mut created = UndoLog::below(bases);
    let begun = begin(&places, lock, &mut created);
    begun
        .and_then(|_lock| fill(stream, source, &members, &places, request, control, &mut created))
        .map_err(|error| error.undo(&mut created))
}

fn fill(
    mut stream: StreamReader,
    source: &BackupReader,
    members: &Members,
    places: &Destinations,
    request: &RestoreRequest,
    control: &Control<'_>,
    created: &mut UndoLog,
) -> Result<Restored, RestoreError> {
    let mut restored = Restored::begun(source.manifest(), places);
    let guard = StartFileGuard::hide(created, places)?;
    let mut finishing = Vec::new();
    let mut writer = MemberWriter {
        stream: &mut stream,
        source,
        index: &members.index,
        places,
        control,
        patched: BTreeMap::new(),
    };
    for StreamPart { member, pages } in parts(&members.index, members.index.members.iter()) {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(RestoreError::interrupted());
        }
        (control.progress)(pages.unwrap_or(member).header_offset);
        let Some(place) = places.of(member).filter(|_| !places.is_passed_over(member)) else { continue };
        let place = guard.hidden_place(&place);
        let was = members.moved.stored(member);
        if let Some(pages) = pages {
            writer.pages(was, pages, &place)?;
            continue;
        }
        writer.member(was, &place, created)?;
        if member.kind == MemberKind::File {
            restored.has_file(member);
        }
        finishing.push((member, place));
    }
    // Times of directories last: every file in them has changed them.
    for (member, place) in finishing.iter().rev() {
        created.finish(member, place, places)?;
    }
    if request.only.is_none() {
        check_rest(stream, source, control)?;
    }
    restored.sst_accounts = accounts::sst_accounts(places.target());
    write_state(source.manifest(), request, places, created)?;
    if let Some(wanted) = &members.wanted {
        restored.tables = Some(members.write_options(source.manifest(), wanted, places, created)?);
    }
    created.sync()?;
    guard.publish(created)?;
    Ok(restored)
}

/// Writes what members of the stream hold.
struct MemberWriter<'a> {
    stream: &'a mut StreamReader,
    source: &'a BackupReader,
    index: &'a Index,
    places: &'a Destinations,
    control: &'a Control<'a>,
    /// The files that are written and not complete, by their places in the stream, and how many page members are still to come.
    patched: BTreeMap<u64, (FileId, usize)>,
}

impl MemberWriter<'_> {
    /// A file, directory or link.
    fn member(&mut self, member: &Member, place: &Path, created: &mut UndoLog) -> Result<(), RestoreError> {
        let (places, control, index) = (self.places, self.control, self.index);
        let pages = index.patches(member).count();
        let made = self.read(index.stored(member), member, |content| {
            write_member(content, member, place, pages > 0, places, control, created)
        })?;
        if let Some(made) = made.filter(|_| pages > 0) {
            self.patched.insert(member.header_offset, (made, pages));
        }
        Ok(())
    }

    /// Pages of a file that was written before.
    fn pages(&mut self, member: &Member, pages: &Member, place: &Path) -> Result<(), RestoreError> {
        let (places, control) = (self.places, self.control);
        let (made, is_last) = match self.patched.get_mut(&member.header_offset) {
            Some((made, left)) => {
                *left = left.saturating_sub(1);
                (Some(*made), *left == 0)
            }
            None => (None, false),
        };
        let file =
            self.read(pages, member, |content| write_pages(content, pages, member, made, place, control))?;
        if is_last {
            finish_open(&file, member, place, places)?;
        }
        Ok(let_go(file, place)?)
    }

    /// `stored` as it stands in the stream, for the file that will be `member`.
    fn read<T>(
        &mut self,
        stored: &Member,
        member: &Member,
        take: impl FnOnce(&mut dyn std::io::Read) -> Result<T, WriteError>,
    ) -> Result<T, RestoreError> {
        let source = self.source;
        let damaged = |what: String| {
            let id = source.manifest().id.to_string();
            RestoreError::Damaged { id, path: member.path.to_string(), what, undone: Undone::default() }
        };
        let read_failed = |cause| RestoreError::Read(source.archive_failed(cause), Undone::default());
        // The closure can only speak of reading; what writing said is kept beside it.
        let mut failure = None;
        let outcome = read_member(self.stream, stored, |content| {
            take(content).map_err(|error| {
                failure = Some(error);
                std::io::Error::other("writing failed")
            })
        });
        match (failure, outcome) {
            (Some(WriteError::Damaged(what)), _) | (None, Ok(Err(MemberDamage(what)))) => Err(damaged(what)),
            (Some(WriteError::Interrupted), _) => Err(RestoreError::interrupted()),
            (Some(WriteError::System(error)), _) => Err(error.into()),
            (None, Ok(Ok(value))) => Ok(value),
            (Some(WriteError::Read(cause)), _) | (None, Err(cause)) => Err(read_failed(cause)),
        }
    }
}
