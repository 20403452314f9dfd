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

mod compare;
mod extras;
mod lineage;
mod local_file;
mod replace;
mod server_locks;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use nix::unistd::UnlinkatFlags;

use self::compare::{Fates, LocalFate, compare, is_wanted_file, refuse_directory};
use self::extras::{Extra, Extras};
use self::replace::{ReadPiece, Replacement, pieces};
use self::server_locks::ServerLocks;
use super::archive_stream::open_stream;
use super::destinations::Destinations;
use super::error::{RestoreError, SystemError, Undone};
use super::frame::{check_purpose, write_state};
use super::request::{Control, RestoreRequest};
use super::restored::Restored;
use super::start_file::{StartFileGuard, real_place, start_mark};
use super::target_lock::TargetLock;
use super::undo_log::{self, UndoLog, remove};
use super::{MemberWriter, accounts, identity, old_datadir, target, wsrep_home};
use crate::archive::{GRASTATE_MEMBER, Index};
use crate::catalog::BackupReader;
use crate::model::{MemberKind, WsrepGtid};

/// What a restore into a data directory that is there does, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeltaReport {
    /// Files of the backup that are there already, byte for byte, and how many bytes they have.
    pub kept: (u64, u64),
    /// Files of which parts are replaced; bytes of these parts, of which those that differ are written.
    pub changed: (u64, u64),
    /// Files that are written as a whole; their bytes in the archive.
    pub anew: (u64, u64),
    /// Files, links and directories that the backup has not, and that go.
    pub removed: Vec<PathBuf>,
    /// What the backup has not and no server has made: it stays.
    pub left: Vec<PathBuf>,
    /// Bytes of the archive that are read.
    pub read_bytes: u64,
    /// Bytes of the tar stream that come out of them.
    pub stream_bytes: u64,
    /// How many write sets the files are ahead of the backup, where `grastate.dat` tells.
    pub ahead: Option<u64>,
}

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
    report: DeltaReport,
    servers: ServerLocks,
    _restores: Option<TargetLock>,
}

/// Compares everything, and changes nothing. Progress is told in bytes of files that were compared.
pub fn plan_delta<'a>(
    source: &'a BackupReader,
    request: &'a RestoreRequest,
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
    let restores = TargetLock::take(target)?;
    target::check_free_of_others(&places, &index, &source.location())?;
    let homes = wsrep_home::homes(request, manifest, &places)?;
    let stands_at = lineage::check(&places, &homes, &gtid)?;
    let servers = ServerLocks::take(locked_by_servers(&index, &places))?;
    for link in index.members.iter().filter(|member| member.kind == MemberKind::Symlink) {
        places
            .of(link)
            .filter(|_| !places.is_passed_over(link))
            .map_or(Ok(()), |place| refuse_directory(&place))?;
    }
    let fates = compare(&index, &places, request.threads, control)?;
    let extras = find_extras(&index, &places)?;
    check_room(&index, &places, &fates)?;
    let ahead = stands_at
        .and_then(|seqno| u64::try_from(seqno.checked_sub(gtid.seqno)?).ok())
        .filter(|ahead| *ahead > 0);
    let report = DeltaReport { ahead, ..report(&index, &places, &fates, &extras) };
    Ok(DeltaPlan {
        source,
        request,
        index,
        places,
        homes,
        history: gtid.uuid,
        fates,
        extras,
        report,
        servers,
        _restores: restores,
    })
}

fn refused<T>(why: String) -> Result<T, RestoreError> {
    Err(RestoreError::Refused(why))
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
    let is_control = |path: &Path| path.file_name().is_some_and(|name| name == "aria_log_control");
    let wanted =
        index.members.iter().filter(|member| member.system_tablespace || is_control(member.path.as_path()));
    let files =
        wanted.filter_map(|member| places.of(member)).chain([places.target().join("aria_log_control")]);
    files.chain(places.start_file().and_then(real_place)).collect()
}

/// What is in the data directory and not in the backup.
fn find_extras(index: &Index, places: &Destinations) -> Result<Extras, RestoreError> {
    // The position is no file of the backup's, and goes by itself.
    let mut files = BTreeSet::from([places.target().join(GRASTATE_MEMBER)]);
    let mut folders = BTreeSet::new();
    for member in index.members.iter().filter(|member| !places.is_passed_over(member)) {
        let Some(place) = places.of(member) else { continue };
        let list = if member.kind == MemberKind::Directory { &mut folders } else { &mut files };
        list.insert(place);
    }
    extras::find(places, files, folders)
}

/// What is written beyond what is there must have room.
fn check_room(index: &Index, places: &Destinations, fates: &Fates) -> Result<(), RestoreError> {
    let wanted = index.members.iter().filter(|member| is_wanted_file(places, member));
    target::check_free(wanted.filter_map(|member| {
        let place = places.of(member)?;
        let more = match fates.get(&member.header_offset) {
            Some(LocalFate::Stays { look, .. }) => member.stored.saturating_sub(look.size),
            _ => member.stored.saturating_sub(fs::symlink_metadata(&place).map_or(0, |found| found.len())),
        };
        (more > 0).then_some((place, more))
    }))
}

fn report(index: &Index, places: &Destinations, fates: &Fates, extras: &Extras) -> DeltaReport {
    let (pieces, plan) = pieces(index, places, fates);
    let mut report =
        DeltaReport { read_bytes: plan.bytes(), stream_bytes: plan.raw_bytes(), ..DeltaReport::default() };
    let mut changed: BTreeMap<u64, u64> = BTreeMap::new();
    for piece in &pieces {
        match piece {
            ReadPiece::Anew(member) => {
                report.anew.0 += 1;
                report.anew.1 += index.stored(member).stored;
            }
            ReadPiece::Part(member, part) => {
                *changed.entry(member.header_offset).or_default() += part.to - part.from;
            }
            ReadPiece::Pages(member, pages) => {
                if let Some(LocalFate::Stays { .. }) = fates.get(&member.header_offset) {
                    *changed.entry(member.header_offset).or_default() += pages.size;
                }
            }
        }
    }
    report.changed = (changed.len() as u64, changed.values().sum());
    for member in index.members.iter().filter(|member| is_wanted_file(places, member)) {
        let stays = matches!(fates.get(&member.header_offset), Some(LocalFate::Stays { .. }));
        if stays && !changed.contains_key(&member.header_offset) {
            report.kept.0 += 1;
            report.kept.1 += member.size;
        }
    }
    report.removed = extras.gone.iter().map(|extra| extra.path().to_path_buf()).collect();
    report.left.clone_from(&extras.left);
    report
}

impl DeltaPlan<'_> {
    /// What would be done.
    pub fn report(&self) -> &DeltaReport {
        &self.report
    }

    /// Does it. Progress is told in bytes of the tar stream that were read of [`DeltaReport::stream_bytes`]. Where it fails the directory is left as it is by then, and no server
    /// starts on it; to do the same again goes on.
    pub fn carry_out(self, control: &Control<'_>) -> Result<Restored, RestoreError> {
        let start = self.places.start_file().map(Path::to_path_buf);
        let Some(start) = start else { return refused("the backup has no system tablespace".into()) };
        let guard = StartFileGuard::take_over(&start, &self.history).map_err(|error| {
            let is_begun = start_mark(&start).is_some();
            RestoreError::from(error).with(if is_begun { Undone::Halfway } else { Undone::Nothing })
        })?;
        self.replace(&guard, control).map_err(|error| error.with(Undone::Halfway))
    }

    fn replace(self, guard: &StartFileGuard, control: &Control<'_>) -> Result<Restored, RestoreError> {
        let Self { source, request, index, places, homes, fates, extras, servers, .. } = self;
        let manifest = source.manifest();
        let bases = std::iter::once(places.target().to_path_buf()).chain(places.external_roots()).collect();
        // It is never undone: what was there is gone.
        let mut created = UndoLog::below(bases);
        for home in std::iter::once(places.target()).chain(homes.iter().map(PathBuf::as_path)) {
            remove_extra(&Extra::File(home.join(GRASTATE_MEMBER)))?;
        }
        extras.gone.iter().try_for_each(remove_extra)?;
        let (pieces, plan) = pieces(&index, &places, &fates);
        let mut stream = open_stream(source, &index, plan, request.threads)?;
        let writer = MemberWriter {
            stream: &mut stream,
            source,
            index: &index,
            places: &places,
            control,
            patched: BTreeMap::new(),
        };
        let mut work = Replacement { writer, places: &places, fates: &fates, guard, open: None };
        work.prepare(&mut created)?;
        let mut done = 0;
        for piece in &pieces {
            (control.progress)(done);
            work.piece(piece, &mut created)?;
            done += piece.bytes(&index);
        }
        work.finish(&created)?;
        let file_systems = work.file_systems();
        let mut restored = Restored::begun(manifest, &places);
        for member in index.members.iter().filter(|member| member.kind == MemberKind::File) {
            if is_wanted_file(&places, member) {
                restored.files += 1;
                restored.bytes += member.size;
            }
        }
        restored.sst_accounts = accounts::sst_accounts(places.target());
        write_state(manifest, request, &places, &mut created)?;
        undo_log::sync(&file_systems, places.target())?;
        drop(servers);
        guard.publish(&mut created)?;
        Ok(restored)
    }
}

fn remove_extra(extra: &Extra) -> Result<(), SystemError> {
    let path = extra.path();
    let outcome = match extra {
        Extra::File(_) => remove(path, UnlinkatFlags::NoRemoveDir),
        Extra::Directory(_) => remove(path, UnlinkatFlags::RemoveDir),
        Extra::Tree(_) => fs::remove_dir_all(path),
    };
    match outcome {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(SystemError::of("remove", path)(error)),
        _ => Ok(()),
    }
}
