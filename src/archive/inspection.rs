//! What is learned of a file's content on its way into the archive: its digest, and its pages.
//!
//! ```text
//! the writer reads a piece, and stores it ─> a thread digests it, and checks its pages
//!            ^──────────────── the room of the piece comes back ────────────────┘
//! ```
//!
//! SHA-256 costs as much as reading and storing together, so a large file has its pieces looked at by a thread of its own. A small one is over before that
//! thread would have heard of it. Nor is there such a thread on one or two processors, which have enough to do with reading, compressing and storing (measured: no gain). Memory is bounded: there are [`ROOMS`] pieces and they only circulate.

use std::io;
use std::num::NonZeroUsize;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::stages::{CHUNK, ContentDigest, ContentPages, Piece, Stage};

/// Pieces in circulation.
const ROOMS: usize = 4;
/// Files of fewer bytes are looked at where they are read.
const SMALL: u64 = 1 << 20;

/// Room for a piece of a file, and what is in it.
type FilledRoom = (Vec<u8>, Filling);

/// What is in a room.
#[derive(Debug, Clone, Copy)]
pub(super) enum Filling {
    /// So many bytes at its start.
    Data(usize),
    /// Nothing: so many zeros that the file does not hold.
    Hole(u64),
}

impl Filling {
    /// What a stage takes.
    pub(super) fn piece(self, room: &[u8]) -> Piece<'_> {
        match self {
            Self::Data(bytes) => Piece::Data(&room[..bytes]),
            Self::Hole(bytes) => Piece::Hole(bytes),
        }
    }
}

impl From<Piece<'_>> for Filling {
    fn from(piece: Piece<'_>) -> Self {
        match piece {
            Piece::Data(bytes) => Self::Data(bytes.len()),
            Piece::Hole(bytes) => Self::Hole(bytes),
        }
    }
}

/// The looks at one file.
struct Looks {
    digest: ContentDigest,
    pages: ContentPages,
}

impl Looks {
    fn take(&mut self, piece: Piece<'_>) -> io::Result<()> {
        self.digest.take(piece)?;
        self.pages.take(piece)
    }
}

/// Processors of which so many have enough to do.
const BUSY: usize = 2;

/// Looks at one file after the other.
#[derive(Default)]
pub(super) struct Inspector {
    /// Large files are looked at by a thread of its own.
    has_thread: bool,
    rooms: Vec<Vec<u8>>,
    /// Rooms that were made so far.
    made: usize,
    /// Of a file that is looked at here.
    here: Option<Looks>,
    /// For large files; made for the first one.
    thread: Option<InspectorThread>,
}

impl Inspector {
    /// For this machine.
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { has_thread: processors > BUSY, ..Self::default() }
    }

    /// A file of so many bytes comes. One that has not been finished is forgotten.
    pub(super) fn begin(&mut self, pages: ContentPages, bytes: u64) -> io::Result<()> {
        let looks = Looks { digest: ContentDigest::default(), pages };
        if bytes < SMALL || !self.has_thread {
            self.here = Some(looks);
            return Ok(());
        }
        self.here = None;
        if self.thread.is_none() {
            self.thread = Some(InspectorThread::start()?);
        }
        self.send(Inspection::Begin(Box::new(looks)))
    }

    /// Room for the next piece, of [`CHUNK`] bytes.
    pub(super) fn room(&mut self) -> io::Result<Vec<u8>> {
        if let Some(room) = self.rooms.pop() {
            return Ok(room);
        }
        match &self.thread {
            Some(thread) if self.made >= ROOMS => thread.back.recv().map_err(|_| ended()),
            _ => {
                self.made += 1;
                Ok(vec![0; CHUNK])
            }
        }
    }

    /// A room that was not needed.
    pub(super) fn put_back(&mut self, room: Vec<u8>) {
        self.rooms.push(room);
    }

    /// The next piece of the file.
    pub(super) fn take(&mut self, (room, filling): FilledRoom) -> io::Result<()> {
        match &mut self.here {
            Some(looks) => {
                let looked = looks.take(filling.piece(&room));
                self.put_back(room);
                looked
            }
            None => self.send(Inspection::Piece((room, filling))),
        }
    }

    /// The digest of the file in hexadecimal, and its pages.
    pub(super) fn finish(&mut self) -> io::Result<(String, ContentPages)> {
        let looks = if let Some(looks) = self.here.take() {
            looks
        } else {
            self.send(Inspection::End)?;
            let thread = self.thread.as_ref().ok_or_else(ended)?;
            *thread.looked.recv().map_err(|_| ended())??
        };
        Ok((looks.digest.finish(), looks.pages))
    }

    fn send(&self, work: Inspection) -> io::Result<()> {
        let sender = self.thread.as_ref().and_then(|thread| thread.work.as_ref());
        sender.ok_or_else(ended)?.send(work).map_err(|_| ended())
    }
}

fn ended() -> io::Error {
    io::Error::other("the thread that looks at the content of files has ended early")
}

enum Inspection {
    Begin(Box<Looks>),
    Piece(FilledRoom),
    End,
}

/// The thread, which ends with this.
struct InspectorThread {
    work: Option<Sender<Inspection>>,
    back: Receiver<Vec<u8>>,
    looked: Receiver<io::Result<Box<Looks>>>,
    thread: Option<JoinHandle<()>>,
}

impl InspectorThread {
    fn start() -> io::Result<Self> {
        // Bounded by the number of rooms, and by one file at a time.
        let (work, queue) = unbounded();
        let (returned, back) = unbounded();
        let (answer, looked) = unbounded();
        let body = move || inspect(&queue, &returned, &answer);
        let thread = std::thread::Builder::new().name("inspect".into()).spawn(body)?;
        Ok(Self { work: Some(work), back, looked, thread: Some(thread) })
    }
}

impl Drop for InspectorThread {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Ends when nothing more can come, or nobody listens.
fn inspect(
    queue: &Receiver<Inspection>,
    returned: &Sender<Vec<u8>>,
    answer: &Sender<io::Result<Box<Looks>>>,
) {
    let mut file: io::Result<Box<Looks>> = Err(ended());
    while let Ok(work) = queue.recv() {
        match work {
            Inspection::Begin(looks) => file = Ok(looks),
            Inspection::Piece((room, filling)) => {
                if let Err(why) = file.as_mut().map_or(Ok(()), |looks| looks.take(filling.piece(&room))) {
                    file = Err(why);
                }
                // A writer that has ended wants none back.
                let _ = returned.send(room);
            }
            Inspection::End => {
                if answer.send(std::mem::replace(&mut file, Err(ended()))).is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::super::digest::hex;
    use super::super::testing::member;
    use super::*;

    fn pass(inspector: &mut Inspector, bytes: &[u8], hole: u64) {
        for piece in bytes.chunks(CHUNK) {
            let mut room = inspector.room().unwrap();
            room[..piece.len()].copy_from_slice(piece);
            inspector.take((room, Filling::Data(piece.len()))).unwrap();
        }
        let room = inspector.room().unwrap();
        inspector.take((room, Filling::Hole(hole))).unwrap();
    }

    #[test]
    fn a_large_file_is_looked_at_as_a_small_one_is_and_a_broken_off_one_is_forgotten() {
        let mut inspector = Inspector { has_thread: true, ..Inspector::default() };
        let bytes: Vec<u8> = (0..5_000_000_u32).map(|at| (at % 251) as u8).collect();
        let pages = || ContentPages::new(&member("d/t.MYD"));
        let expected = |bytes: &[u8]| {
            let mut whole = bytes.to_vec();
            whole.resize(bytes.len() + 70_000, 0);
            hex(&Sha256::digest(&whole))
        };
        for size in [10, 5_000_000, 300_000, 3 << 20] {
            inspector.begin(pages(), 4_000_000).unwrap();
            pass(&mut inspector, b"of a file that could not be read to its end", 5);
            inspector.begin(pages(), size as u64).unwrap();
            pass(&mut inspector, &bytes[..size], 70_000);
            assert_eq!(inspector.finish().unwrap().0, expected(&bytes[..size]), "{size}");
        }
        assert!(inspector.made <= ROOMS, "{}", inspector.made);
    }
}
