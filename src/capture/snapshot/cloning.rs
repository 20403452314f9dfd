//! Clones every file of a list, by several threads.

use std::collections::HashSet;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::io::{ReadWriteFlags, preadv2};

use super::super::class::FileClass;
use super::super::copy::metadata;
use super::super::entry::{Entry, EntryKind, Look};
use super::super::error::CaptureError;
use super::super::files::FileList;
use super::super::objection::shown;
use super::super::source::Opened;
use super::super::standstill;
use super::super::watch::Watch;
use super::clones::{CloneSlot, Clones};
use super::ground::Ground;
use super::mount::Mount;
use super::reflink::{ClonePlace, Pack};
use crate::quiesce::Files;

/// Descriptors that the rest of this process may need.
const SPARE: usize = 256;
/// Files in one pack: its blocks are free when the last of them is stored.
const PACKED: usize = 1024;
/// Entries that a thread takes at once.
const STEP: usize = 16;
/// They wait for the file system more than for a processor: four were faster than one and two on two busy cores (4,000 files on XFS:
/// 210 to 280 ms against 270 to 700). More wait for the file system's own locks.
const THREADS: usize = 4;
/// Files of so many bytes at most are read into a pack, where they are in memory: that takes a third of the time of a clone (18,000 files on XFS: 11 µs each against 33).
const SMALL: u64 = 8 << 10;
/// A file that is none of the server's may grow while it is cloned.
const ATTEMPTS: usize = 3;

/// So many files may be open at once in this process, which raises its limit as far as it may.
pub(super) fn descriptors() -> usize {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return SPARE };
    let limit =
        if soft < hard && setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The numbers of a list's entries in the order in which they are cloned: each turn ends before the next one begins. The logs
/// come last. Under a lock by SQL checkpoints go on, of InnoDB and of Aria: `aria_log_control` says where Aria's last one is, and a log that
/// was cloned before that file may end before it, which ends a server that starts on both.
fn turns(list: &FileList) -> [Vec<usize>; 2] {
    let is_log = |number: &usize| list.entries[*number].is_redo_log() || list.entries[*number].is_aria_log();
    let (last, first) = (0..list.entries.len()).partition(is_log);
    [first, last]
}

/// Clones a list of files of a server that stands still.
pub(super) struct Cloning<'a> {
    pub(super) list: &'a FileList,
    pub(super) datadir: &'a Path,
    pub(super) ground: &'a Ground,
    pub(super) watch: &'a Watch,
    /// Files that may be open at once.
    pub(super) descriptors: usize,
    /// What the files are worth meanwhile.
    pub(super) worth: Files,
}

impl Cloning<'_> {
    /// Of every file that can be cloned a clone is held, and what was seen of everything else.
    pub(super) fn run(&self) -> Result<Clones, CaptureError> {
        let packed = self.packed();
        let mut all: Vec<CloneSlot> = Vec::new();
        all.resize_with(self.list.entries.len(), || CloneSlot::Nothing);
        for turn in turns(self.list) {
            let next = AtomicUsize::new(0);
            let work =
                || Worker { cloning: self, packed: &packed, pack: None, done: Vec::new() }.run(&turn, &next);
            let results: Vec<_> = std::thread::scope(|scope| {
                let others: Vec<_> = (1..THREADS).map(|_| scope.spawn(work)).collect();
                let own = work();
                let joined = others.into_iter().map(|other| {
                    other.join().unwrap_or_else(|_| Err(system("a thread that clones has failed")))
                });
                std::iter::once(own).chain(joined).collect()
            });
            for result in results {
                for (number, held) in result? {
                    all[number] = held;
                }
            }
        }
        Ok(Clones::new(all))
    }

    /// Which files share a clone: the smallest ones, where there are more files than this process may hold open.
    fn packed(&self) -> HashSet<usize> {
        let mut sizes: Vec<(u64, usize)> = Vec::new();
        for (number, entry) in self.list.entries.iter().enumerate() {
            // The redo log is read from a file of its own.
            if let EntryKind::File(look) = &entry.kind
                && !entry.is_redo_log()
            {
                sizes.push((look.bytes, number));
            }
        }
        let packs = THREADS + sizes.len() / PACKED;
        let own = self.descriptors.saturating_sub(SPARE + packs + THREADS);
        let many = sizes.len().saturating_sub(own);
        sizes.sort_unstable();
        sizes.into_iter().take(many).map(|(_, number)| number).collect()
    }
}

fn system(text: &str) -> CaptureError {
    CaptureError::Clone(io::Error::other(text))
}

/// One thread.
struct Worker<'a> {
    cloning: &'a Cloning<'a>,
    packed: &'a HashSet<usize>,
    pack: Option<OpenPack>,
    done: Vec<(usize, CloneSlot)>,
}

/// A pack that takes more files.
struct OpenPack {
    mount: Mount,
    pack: Pack,
    file: Arc<std::fs::File>,
    files: usize,
}

impl Worker<'_> {
    fn run(mut self, turn: &[usize], next: &AtomicUsize) -> Result<Vec<(usize, CloneSlot)>, CaptureError> {
        loop {
            let from = next.fetch_add(STEP, Ordering::Relaxed);
            let Some(numbers) = turn.get(from..turn.len().min(from + STEP)).filter(|some| !some.is_empty())
            else {
                self.end_pack();
                return Ok(self.done);
            };
            if let Some(abort) = self.cloning.watch.aborted() {
                return Err(abort.into());
            }
            for number in numbers {
                let held = self.entry(*number, &self.cloning.list.entries[*number])?;
                self.done.push((*number, held));
            }
        }
    }

    fn entry(&mut self, number: usize, entry: &Entry) -> Result<CloneSlot, CaptureError> {
        let Cloning { list, datadir, ground, worth, .. } = *self.cloning;
        let EntryKind::File(seen) = &entry.kind else {
            return Ok(metadata(entry, datadir).map_or_else(CloneSlot::Failed, CloneSlot::Seen));
        };
        let disk = entry.belongs(datadir);
        let mut opened = match Opened::live(&disk) {
            Ok(opened) => opened,
            Err(error) => return Ok(CloneSlot::Failed(error)),
        };
        // Under a lock by SQL the pages of a server go on moving: its redo log tells where to.
        if worth == Files::Clean {
            standstill::compare(entry, seen, &Look::of(&opened.metadata), list, datadir)?;
        }
        let bytes = opened.metadata.len();
        let Some(place) = ground.place(&opened.file, opened.metadata.dev()) else {
            return Ok(CloneSlot::Live(bytes));
        };
        let small =
            if bytes <= SMALL && !entry.is_redo_log() { read_at_once(&opened.file, bytes) } else { None };
        let cloned = if let Some(content) = small {
            self.pack(place, |pack| pack.write(&content))
        } else if self.packed.contains(&number) {
            self.pack(place, |pack| pack.add(&opened.file, bytes))
        } else {
            clone(place, &mut opened, worth == Files::Clean && entry.class == FileClass::Data)
                .map(|file| (file, 0))
        };
        if worth == Files::Clean {
            // What was written to between the list and here is not of the moment of the list. What is written later is not in the clone.
            let now = opened.file.metadata().map_err(CaptureError::Clone)?;
            standstill::compare(entry, seen, &Look::of(&now), list, datadir)?;
        }
        match cloned {
            Ok((file, offset)) => {
                let known = list.tablespaces.as_ref();
                let listed = known.and_then(|known| known.lists(entry, &disk, &opened.metadata));
                Ok(CloneSlot::clone(file, offset, opened.metadata, listed))
            }
            Err(error) => {
                log::info!("'{}' cannot be cloned: {error}", shown(&disk));
                Ok(CloneSlot::Live(bytes))
            }
        }
    }

    /// What its pack holds in memory is written. Where that does not work (a quota), none of the files in it is cloned.
    fn end_pack(&mut self) {
        let Some(mut open) = self.pack.take() else { return };
        let Err(error) = open.pack.flush() else { return };
        log::info!("{} small files cannot be cloned: {error}", open.files);
        for (_, slot) in &mut self.done {
            if let CloneSlot::Clone(opened) = slot
                && Arc::ptr_eq(&opened.file, &open.file)
            {
                *slot = CloneSlot::Live(opened.metadata.len());
            }
        }
    }

    /// Puts a file into the pack of this thread, or into a new one.
    fn pack(
        &mut self,
        place: &ClonePlace,
        add: impl FnOnce(&mut Pack) -> io::Result<u64>,
    ) -> io::Result<(Arc<std::fs::File>, u64)> {
        let fits = |open: &OpenPack| open.mount == place.mount && open.files < PACKED;
        if !self.pack.as_ref().is_some_and(fits) {
            self.end_pack();
        }
        let open = if let Some(open) = &mut self.pack {
            open
        } else {
            let pack = Pack::new(place)?;
            let file = Arc::new(pack.file.try_clone()?);
            self.pack.insert(OpenPack { mount: place.mount, pack, file, files: 0 })
        };
        // On an error it keeps what it holds of others.
        let offset = add(&mut open.pack)?;
        open.files += 1;
        Ok((Arc::clone(&open.file), offset))
    }
}

/// All of a small file, where that needs no disk to be waited for.
fn read_at_once(file: &std::fs::File, bytes: u64) -> Option<Vec<u8>> {
    let mut content = vec![0; usize::try_from(bytes).ok()?];
    if content.is_empty() {
        return Some(content);
    }
    let mut buffers = [io::IoSliceMut::new(&mut content)];
    let got = preadv2(file, &mut buffers, 0, ReadWriteFlags::NOWAIT).ok()?;
    (got == content.len()).then_some(content)
}

/// A clone that has the length of `opened.metadata`, where the file does not change all the time.
fn clone(place: &ClonePlace, opened: &mut Opened, is_still: bool) -> io::Result<Arc<std::fs::File>> {
    let mut file = place.clone_of(&opened.file)?;
    // What stands still is compared afterwards.
    for _ in 1..ATTEMPTS {
        if is_still || file.metadata()?.len() == opened.metadata.len() {
            break;
        }
        opened.metadata = opened.file.metadata()?;
        file = place.clone_of(&opened.file)?;
    }
    Ok(Arc::new(file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ArchivePath;

    #[test]
    fn logs_are_cloned_behind_all_that_they_are_needed_for() {
        let names = ["aria_log.00000001", "aria_log_control", "db/t.MAD", "ib_logfile0", "ibdata1"];
        let look = Look::of(&std::fs::metadata("/").unwrap());
        let entry = |name: &&str| Entry {
            path: ArchivePath::new(Path::new(name)),
            kind: EntryKind::File(look),
            origin: None,
            system_tablespace: false,
            class: FileClass::of(Path::new(name)),
        };
        let list = FileList { entries: names.iter().map(entry).collect(), ..FileList::default() };
        assert_eq!(turns(&list), [vec![1, 2, 4], vec![0, 3]]);
    }
}
