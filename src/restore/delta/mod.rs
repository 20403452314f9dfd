//! A backup, restored into the data directory of a stopped node that holds another state of the same files: an older one, a newer one, that of
//! a server that has crashed, or a damaged one. What comes of it is what a restore into an empty directory gives, but only what
//! differs is read from the repository and written.
//!
//! # Why nothing starts on half of it
//!
//! Everything is compared before anything is changed (`compare`, by digests alone). Then the system tablespace goes under the hidden name that every
//! restore gives it, and the text that mysqld refuses appears in its place by one rename, which is made durable. `grastate.dat` goes next, and only
//! then is a file touched. The last step is that of every restore: all is synced, and the system tablespace is renamed over the text. What lies
//! between can be repeated: it is compared anew, and a file whose writing was lost in a crash of the machine differs.
//!
//! # Why nothing else is destroyed
//!
//! The directory must be of the history of the backup (`lineage`); no server may have it, by its process or by its locks, which are held
//! meanwhile (`server_locks`). A file that is reached by another name as well is replaced and not written into; no link is followed. What the
//! backup has not goes if it is a server's, and stays if it is not (`extras`). Outside of the data directory only the files of the
//! backup are touched.

mod access;
mod archive_check;
mod compare;
mod differences;
mod elsewhere;
mod extras;
mod lineage;
mod local_file;
mod mounts;
mod newer_logs;
mod node_places;
mod read_pieces;
mod replace;
mod report;
mod room;
mod server_files;
mod server_locks;
mod stash;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::unistd::UnlinkatFlags;

use self::archive_check::{Fetched, fetch};
use self::compare::{Fates, compare, is_wanted_file, refuse_directory};
use self::extras::{Extra, Extras};
use self::local_file::rename;
pub use self::node_places::DeltaNode;
use self::read_pieces::{pieces, plan};
use self::replace::Replacement;
pub use self::report::DeltaReport;
use self::report::report;
use self::room::DeltaRoom;
use self::server_files::ServerFiles;
use self::server_locks::ServerLocks;
use self::stash::Stash;
use super::archive_stream::open_stream;
use super::destinations::Destinations;
use super::error::{RestoreError, SystemError, Undone};
use super::frame::{check_purpose, write_state};
use super::request::{Control, RestoreRequest};
use super::restored::Restored;
use super::start_file::{HIDDEN_SUFFIX, StartFileGuard, StartMark, hidden, real_place, start_mark};
use super::target_lock::TargetLock;
use super::undo_log::{self, UndoLog, remove};
use super::{MemberWriter, accounts, identity, old_datadir, target, wsrep_home};
use crate::archive::{GRASTATE_MEMBER, Index, StreamReader};
use crate::catalog::BackupReader;
use crate::model::{MemberKind, WsrepGtid};

/// The file by whose lock Aria knows of another server.
const ARIA_CONTROL: &str = "aria_log_control";

/// What is to be done, while nobody else can use the directory.
pub struct DeltaPlan<'a> {
    source: &'a BackupReader,
    request: &'a RestoreRequest,
    index: Index,
    places: Destinations,
    homes: Vec<PathBuf>,
    history: String,
    fates: Fates,
    extras: Extras,
    room: DeltaRoom,
    report: DeltaReport,
    /// Held till all is done.
    _servers: ServerLocks,
    _restores: TargetLock,
}

/// Compares everything, and changes nothing. Progress is told in bytes of files that were compared.
pub fn plan_delta<'a>(
    source: &'a BackupReader,
    request: &'a RestoreRequest,
    node: &DeltaNode,
    control: &Control<'_>,
) -> Result<DeltaPlan<'a>, RestoreError> {
    let manifest = source.manifest();
    let gtid = history_of(source, request)?;
    let index = source.index()?;
    let first = index.plan_of(index.stream_members().iter().take(1));
    let identity = identity::read(&mut open_stream(source, &index, first, 1)?, source, &index)?;
    let places = Destinations::new(Path::new(identity.datadir()), &index, request)?;
    let target = places.target();
    if !fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
        return refused(format!(
            "there is no data directory at '{}'; restore without --delta makes one",
            target.display()
        ));
    }
    target::check_writable(places.external_roots().iter().map(AsRef::as_ref).chain([target]))?;
    old_datadir::refuse(&places)?;
    let Some(restores) = TargetLock::take(target)? else {
        return refused(format!(
            "'{}' cannot be locked, so that another restore into it would not be kept away; restore into an empty directory without --delta",
            target.display()
        ));
    };
    target::check_free_of_others(&places, &index, &source.location())?;
    refuse_repository(&source.location(), target)?;
    node_places::check_goes_there(&index, &places, node)?;
    node_places::check_external(&index, &places, node)?;
    let homes = wsrep_home::all_homes(request, manifest, &places)?;
    let stands_at = lineage::check(&places, &homes, &gtid)?;
    let options = node.options.as_ref();
    let newer_logs = newer_logs::find(&index, &places, manifest, options);
    newer_logs::refuse(&newer_logs, request.purpose)?;
    let servers = ServerLocks::take(locked_by_servers(&index, &places))?;
    for link in index.members.iter().filter(|member| member.kind == MemberKind::Symlink) {
        places
            .of(link)
            .filter(|_| !places.is_passed_over(link))
            .map_or(Ok(()), |place| refuse_directory(&place))?;
    }
    let fates = compare(&index, &places, request.threads, control)?;
    let is_resumed =
        places.start_file().is_some_and(|start| matches!(start_mark(start), Some(StartMark::Delta(_))));
    let names = ServerFiles::look(places.target(), options, is_resumed);
    let extras = find_extras(&index, &places, &names)?;
    access::check(&index, &places, &fates, &extras)?;
    let room = room::check(&index, &places, &fates, &extras)?;
    let ahead = stands_at
        .and_then(|seqno| u64::try_from(seqno.checked_sub(gtid.seqno)?).ok())
        .filter(|ahead| *ahead > 0);
    let report = report(&index, &places, &fates, &extras, &names);
    let report = DeltaReport { newer_logs, ahead, ..report };
    Ok(DeltaPlan {
        source,
        request,
        index,
        places,
        homes,
        history: gtid.uuid,
        fates,
        extras,
        room,
        report,
        _servers: servers,
        _restores: restores,
    })
}

fn refused<T>(why: String) -> Result<T, RestoreError> {
    Err(RestoreError::Refused(why))
}

/// Backups among the files of a server are no files that a restore may look through.
fn refuse_repository(repository: &str, target: &Path) -> Result<(), RestoreError> {
    match fs::canonicalize(repository) {
        Ok(place) if place.starts_with(target) => refused(format!(
            "the repository '{}' lies in the data directory '{}'; move it out of there first",
            place.display(),
            target.display()
        )),
        _ => Ok(()),
    }
}

/// The position of a backup with which this is possible.
fn history_of(source: &BackupReader, request: &RestoreRequest) -> Result<WsrepGtid, RestoreError> {
    let manifest = source.manifest();
    if let Some(why) = manifest.content.refuses("--delta", &manifest.id) {
        return refused(why);
    }
    check_purpose(manifest, request.purpose)?;
    manifest.gtid.clone().ok_or_else(|| {
        RestoreError::Refused(format!(
            "backup '{}' is of a server that was no Galera node: nothing in a data directory tells that it is of the same server, so that --delta is \
             not possible; restore into an empty directory",
            manifest.id
        ))
    })
}

/// The files that a server on this directory would lock.
fn locked_by_servers(index: &Index, places: &Destinations) -> BTreeSet<PathBuf> {
    let tablespaces = index.members.iter().filter(|member| member.system_tablespace);
    let files = tablespaces.filter_map(|member| places.of(member)).chain(aria_controls(index, places));
    files.chain(places.start_file().and_then(real_place)).collect()
}

/// Aria's own file, where the backup puts it and where it is.
fn aria_controls(index: &Index, places: &Destinations) -> BTreeSet<PathBuf> {
    let is_control = |path: &PathBuf| path.file_name().is_some_and(|name| name == ARIA_CONTROL);
    let files = index.members.iter().filter(|member| !places.is_passed_over(member));
    let files = files.filter_map(|member| places.of(member)).filter(is_control);
    files.chain([places.target().join(ARIA_CONTROL)]).collect()
}

/// What is in the data directory and not in the backup.
fn find_extras(index: &Index, places: &Destinations, names: &ServerFiles) -> Result<Extras, RestoreError> {
    // The position is no file of the backup's, and goes by itself.
    let mut files = BTreeSet::from([places.target().join(GRASTATE_MEMBER)]);
    let mut folders = BTreeSet::new();
    for member in index.members.iter().filter(|member| !places.is_passed_over(member)) {
        let Some(place) = places.of(member) else { continue };
        let list = if member.kind == MemberKind::Directory { &mut folders } else { &mut files };
        list.insert(place);
    }
    files.extend(aria_controls(index, places).iter().map(|file| hidden(file)));
    extras::find(places, names, files, folders)
}

impl DeltaPlan<'_> {
    /// What would be done.
    pub fn report(&self) -> &DeltaReport {
        &self.report
    }

    /// Does it. All that is needed of the archive is read and compared once before (`checking`), then written (`restoring`), of which a part may have to
    /// be read again; progress of each is told in bytes of the tar stream, of [`DeltaReport::stream_bytes`]. Where the second fails the directory is left as it is
    /// by then, and no server starts on it; to do the same again goes on.
    pub fn carry_out(
        self,
        checking: &Control<'_>,
        restoring: &Control<'_>,
    ) -> Result<Restored, RestoreError> {
        let Self { source, index, places, fates, request, history, room, .. } = &self;
        let Some(start) = places.start_file() else {
            return refused("the backup has no system tablespace".into());
        };
        let all = pieces(index, places, fates);
        let stash = Stash::create(places.target(), room.spare);
        let fetched = fetch(source, index, (places, fates), all, stash, request.threads, checking)?;
        let stream = open_stream(source, index, plan(index, &fetched.again), request.threads)?;
        target::check_not_in_use(places)?;
        let guard = StartFileGuard::take_over(start, history).map_err(|error| {
            let is_begun = start_mark(start).is_some();
            RestoreError::from(error).with(if is_begun { Undone::Halfway } else { Undone::Nothing })
        })?;
        self.replace(&guard, (fetched, stream), restoring).map_err(|error| error.with(Undone::Halfway))
    }

    fn replace(
        &self,
        guard: &StartFileGuard,
        (Fetched { stash, again }, mut stream): (Fetched<'_>, StreamReader),
        control: &Control<'_>,
    ) -> Result<Restored, RestoreError> {
        let Self { source, request, index, places, homes, fates, extras, .. } = self;
        let manifest = source.manifest();
        let bases = std::iter::once(places.target().to_path_buf()).chain(places.external_roots()).collect();
        // It is never undone: what was there is gone.
        let mut created = UndoLog::below(bases);
        for home in std::iter::once(places.target()).chain(homes.iter().map(PathBuf::as_path)) {
            remove_extra(&Extra::File(home.join(GRASTATE_MEMBER)))?;
        }
        let goes_first = |extra: &&Extra| self.room.needs_extras || matches!(extra, Extra::InTheWay(_));
        extras.gone.iter().filter(goes_first).try_for_each(remove_extra)?;
        let writer =
            MemberWriter { stream: &mut stream, source, index, places, control, patched: BTreeMap::new() };
        let late = aria_controls(index, places);
        let mut work =
            Replacement { writer, places, fates, guard, late, open: None, written: BTreeSet::new() };
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
        work.finish(&created)?;
        let file_systems = work.file_systems();
        let mut restored = Restored::begun(manifest, places);
        for member in index.members.iter().filter(|member| member.kind == MemberKind::File) {
            if is_wanted_file(places, member) {
                restored.files += 1;
                restored.bytes += member.size;
            }
        }
        restored.sst_accounts = accounts::sst_accounts(places.target());
        write_state(manifest, request, places, &mut created)?;
        undo_log::sync(&file_systems, places.target())?;
        target::check_not_in_use(places)?;
        work.publish_late(&mut created)?;
        guard.publish(&mut created)?;
        Ok(restored)
    }
}

fn remove_extra(extra: &Extra) -> Result<(), SystemError> {
    match extra {
        Extra::File(path) | Extra::InTheWay(path) => remove_one(path, UnlinkatFlags::NoRemoveDir),
        Extra::Tree(path) => gone(path, fs::remove_dir_all(path)),
        Extra::Database(path, files) => {
            // Under a name of ours what is left of it is known where this is interrupted.
            let is_ours = path.to_string_lossy().ends_with(HIDDEN_SUFFIX);
            let moved = if is_ours { path.clone() } else { hidden(path) };
            if !is_ours {
                gone(path, rename(path, &moved))?;
            }
            for name in files.iter().filter_map(|file| file.file_name()) {
                remove_one(&moved.join(name), UnlinkatFlags::NoRemoveDir)?;
            }
            remove_one(&moved, UnlinkatFlags::RemoveDir)
        }
    }
}

fn remove_one(path: &Path, what: UnlinkatFlags) -> Result<(), SystemError> {
    gone(path, remove(path, what))
}

/// What is not there any more is gone.
fn gone(path: &Path, outcome: std::io::Result<()>) -> Result<(), SystemError> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SystemError::of("remove", path)(error)),
        _ => Ok(()),
    }
}
