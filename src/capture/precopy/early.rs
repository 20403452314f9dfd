//! The pass over the files while the server runs.
//!
//! What is copied: every file of a tablespace that the server has in use, and large files of other engines, closed binary logs and whatever else lies there, if nothing was
//! written to them of late. What is not: definitions, small files, what changes all the time, and every file that the server does not list, since it may be about to be discarded or imported, which the redo log does not tell as a whole.

use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::class::FileClass;
use super::super::copy::{OwnerNames, member};
use super::super::entry::{Entry, EntryKind};
use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::layout::ServerLayout;
use super::super::resolve::is_same_entry;
use super::super::source::{FileSource, Opened};
use super::super::tablespaces::Tablespaces;
use super::super::watch::Watch;
use super::binary_logs::BinaryLogs;
use super::compare::{AheadFile, Extent, SpacePart};
use super::facts::{FileFacts, page_zero};
use crate::archive::{EXTERNAL_PREFIX, NewMember, ReadAgain};
use crate::innodb::PageZero;
use crate::model::ArchivePath;
use crate::output::Writer;
use crate::throttle::Limiter;

/// Smaller files that are no tablespaces are read while the server stands still, bytes.
const LARGE: u64 = 1 << 20;
/// Files in which Aria, Archive and CSV have rows and keys; they are written to by system calls, each of which sets the time of the file.
const ROWS: [&str; 4] = ["MAD", "MAI", "ARZ", "CSV"];
/// The same of MyISAM, but that they may be written to through memory, where `myisam_use_mmap` is on.
const MYISAM: [&str; 2] = ["MYD", "MYI"];

/// A file that may be one of InnoDB's, by its name.
pub(super) fn may_be_tablespace(entry: &Entry) -> bool {
    entry.class == FileClass::Data
        && (entry.system_tablespace || crate::innodb::PageChecker::is_tablespace(&entry.path.file_name()))
}

/// What is copied early.
pub(super) struct EarlyPass<'a> {
    pub(super) layout: &'a ServerLayout,
    pub(super) list: &'a FileList,
    pub(super) watch: &'a Watch,
    pub(super) limiter: &'a Limiter,
    /// Those that the server has.
    pub(super) tablespaces: &'a Tablespaces,
    /// What each file was before it was asked ([`spaces`]).
    pub(super) spaces: &'a [Option<u32>],
    /// Nothing is written to files of MyISAM through memory.
    pub(super) no_mmap: bool,
    /// Its binary logs.
    pub(super) logs: BinaryLogs<'a>,
    /// Every file stands under its usual path at once.
    pub(super) is_plain: bool,
}

impl EarlyPass<'_> {
    /// Copies those that are wanted, by their numbers in the list; what was copied, in the order of the archive.
    pub(super) fn run(
        &self,
        writer: &mut Writer,
        wanted: &dyn Fn(usize) -> bool,
    ) -> Result<Vec<AheadFile>, CaptureError> {
        let (mut early, mut names) = (Vec::new(), OwnerNames::default());
        let system = self.system()?;
        for (number, entry) in self.list.entries.iter().enumerate() {
            if let Some(abort) = self.watch.aborted() {
                return Err(abort.into());
            }
            if !wanted(number) || !self.is_ahead(entry) {
                continue;
            }
            let file = self.file((number, entry), &system, writer, &mut names);
            match file {
                Ok(file) => early.extend(file),
                Err(CaptureError::Read { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
                // It is told when the server stands still.
                Err(CaptureError::Read { .. }) if !entry.class.is_needed() => {}
                // A read that the watch has stopped is no error of the file.
                Err(error) => return Err(self.watch.aborted().map_or(error, CaptureError::from)),
            }
        }
        Ok(early)
    }

    /// Bytes of the files that are copied ahead, nearly.
    pub(super) fn bytes(&self) -> u64 {
        let ahead = self.list.entries.iter().filter(|entry| self.is_ahead(entry));
        ahead.map(file_bytes).sum()
    }

    /// Whether a file is one of those that are copied ahead, if nothing is written to it.
    fn is_ahead(&self, entry: &Entry) -> bool {
        let is_file = matches!(entry.kind, EntryKind::File(_));
        is_file && (may_be_tablespace(entry) || file_bytes(entry) >= LARGE && self.has_times(entry))
    }

    /// Whether each write to a file that is no tablespace is seen in its times. What is none of the server's is stored as it is read, whoever writes to it.
    fn has_times(&self, entry: &Entry) -> bool {
        let extension = entry.path.as_path().extension().and_then(|extension| extension.to_str());
        let is_one_of = |endings: &[&str]| extension.is_some_and(|extension| endings.contains(&extension));
        match entry.class {
            FileClass::Data => {
                is_one_of(&ROWS) || self.no_mmap && is_one_of(&MYISAM) || self.logs.is_closed(entry)
            }
            FileClass::Log | FileClass::Other => true,
            FileClass::Moving => false,
        }
    }

    /// How the system tablespace begins, and where each of its files does, in pages.
    fn system(&self) -> Result<Vec<(ArchivePath, SpacePart)>, CaptureError> {
        system_parts(self.layout, self.list)
    }

    fn file(
        &self,
        (number, entry): (usize, &Entry),
        system: &[(ArchivePath, SpacePart)],
        writer: &mut Writer,
        names: &mut OwnerNames,
    ) -> Result<Option<AheadFile>, CaptureError> {
        let disk = entry.belongs(&self.layout.datadir);
        let fail = |cause| CaptureError::Read { path: disk.clone(), cause };
        let opened_at = now();
        let opened = Opened::live(&disk).map_err(fail)?;
        let facts = FileFacts::of(&opened.metadata);
        let listed = self.tablespaces.lists(entry, &disk, &opened.metadata);
        let mut was_closed = false;
        let space = if entry.system_tablespace {
            let part = system.iter().find(|(path, _)| *path == entry.path);
            let Some((_, part)) = part else { return Ok(None) };
            Some(part.clone())
        } else if may_be_tablespace(entry) {
            let is_table = entry.path.as_path().extension().is_some_and(|ending| ending == "ibd");
            let Some(zero) = page_zero(&opened.file).map_err(fail)? else { return Ok(None) };
            let is_the_same = self.spaces.get(number) == Some(&Some(zero.space));
            let is_open = listed == Some(true) && is_the_same;
            // What nobody has opened since the server was started is most of a large one. A discarded tablespace, or one that is just being imported, looks the same: such a
            // copy counts only where nothing happens to the file from here on.
            was_closed = is_table && !is_open;
            if was_closed && (listed == Some(false) || !facts.has_rested(opened_at)) {
                return Ok(None);
            }
            Some(SpacePart { zero, base: 0, is_system: false })
        } else if facts.has_rested(opened_at) {
            None
        } else {
            // It would be read again as a whole, whatever becomes of it.
            return Ok(None);
        };
        let count = |bytes| {
            self.watch.read(bytes)?;
            self.limiter.take(bytes);
            Ok(())
        };
        let mut source = FileSource::new(opened, &count).map_err(fail)?;
        let mut member = NewMember { listed, ..member(entry, source.metadata(), names) };
        if entry.system_tablespace && !self.is_plain {
            member = aside(member, "system", system_number(self.list, entry));
        }
        let (size, segments) = (source.metadata().len(), source.segments());
        let stored = writer.append_early(member, size, segments.as_deref(), &mut source)?;
        let damaged = match stored.again {
            ReadAgain::Pages { at, .. } => Some(at),
            ReadAgain::Whole => None,
        };
        Ok(Some(AheadFile {
            was_closed,
            member: stored.offset,
            path: entry.path.clone(),
            is_external: entry.origin.is_some(),
            opened: opened_at,
            facts,
            space,
            damaged,
            extent: Extent::of(facts.bytes),
            is_lost: false,
        }))
    }
}

fn file_bytes(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::File(look) => look.bytes,
        _ => 0,
    }
}

/// The number of the tablespace of each table of a list. To be looked at before the server is asked which ones it has in use: a file that has a number now, and whose name the server
/// lists later, is not just being imported, since a tablespace is listed again only when its import has written every page. If it has the same number when it is copied, it is still that one.
pub(super) fn spaces(list: &FileList, datadir: &Path) -> Vec<Option<u32>> {
    let space = |entry: &Entry| {
        if entry.system_tablespace || !may_be_tablespace(entry) {
            return None;
        }
        let opened = Opened::live(&entry.belongs(datadir)).ok()?;
        page_zero(&opened.file).ok()?.map(|zero| zero.space)
    };
    list.entries.iter().map(space).collect()
}

/// A member that stands in a folder of this program until everything is unpacked, and belongs where it stood.
pub(super) fn aside(member: NewMember, folder: &str, number: usize) -> NewMember {
    let path = Path::new(EXTERNAL_PREFIX).join(folder).join(number.to_string());
    NewMember { place: Some(member.path.clone()), path: ArchivePath::new(path), ..member }
}

/// Which file of the system tablespace it is: the name of its member, whenever it is stored.
pub(super) fn system_number(list: &FileList, entry: &Entry) -> usize {
    let mut files = list.entries.iter().filter(|entry| entry.system_tablespace);
    files.position(|file| file.path == entry.path).unwrap_or(0)
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
}

/// The files of the system tablespace, in its order. All but the last of them have a fixed length.
fn system_parts(
    layout: &ServerLayout,
    list: &FileList,
) -> Result<Vec<(ArchivePath, SpacePart)>, CaptureError> {
    let mut parts: Vec<(ArchivePath, SpacePart)> = Vec::new();
    let mut base = 0;
    for path in &layout.system_tablespaces {
        let mut files = list.entries.iter().filter(|entry| entry.system_tablespace);
        let Some(entry) = files.find(|entry| is_same_entry(path, &entry.belongs(&layout.datadir))) else {
            return Ok(Vec::new());
        };
        let fail = |cause| CaptureError::Read { path: path.clone(), cause };
        let opened = Opened::live(&entry.belongs(&layout.datadir)).map_err(fail)?;
        let zero: Option<PageZero> = match parts.first() {
            Some((_, first)) => Some(first.zero),
            None => page_zero(&opened.file).map_err(fail)?,
        };
        let Some(zero) = zero else { return Ok(Vec::new()) };
        parts.push((entry.path.clone(), SpacePart { zero, base, is_system: true }));
        base += opened.metadata.len() / u64::from(zero.page_size).max(1);
    }
    Ok(parts)
}
