//! Where the statements come from: a backup of ours, or a file that somebody else has made.

use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::LoadError;
use crate::archive::Index;
use crate::catalog::BackupReader;
use crate::model::Manifest;
use crate::regular_file;
use crate::restore::archive_stream::open_stream;
use crate::restore::error::{RestoreError, Undone};
use crate::restore::frame::check_rest;
use crate::restore::request::Control;
use crate::storage::Storage;

/// Bytes handed on at once.
const CHUNK: usize = 256 << 10;

/// Most bytes of users and grants.
const SMALL: u64 = 256 << 20;

/// Statements.
pub enum DumpSource<'a> {
    /// The archive of a backup.
    Backup {
        /// The backup.
        reader: &'a BackupReader,
        /// Its index.
        index: Box<Index>,
        /// Decompressing threads.
        threads: usize,
    },
    /// A file that we did not make.
    File(DumpFile),
    /// A small object of a backup, unpacked.
    Small(Vec<u8>),
}

/// A file of somebody else's, or an object in a bucket.
pub struct DumpFile {
    name: String,
    again: Box<Again>,
    bytes: u64,
}

/// It from its beginning.
type Again = dyn Fn() -> io::Result<Box<dyn Read>>;

impl DumpFile {
    /// Opens it. It is read twice, so that it must be a file.
    pub fn open(path: &Path) -> Result<Self, LoadError> {
        let failed =
            |error: io::Error| LoadError::Refused(format!("cannot read '{}': {error}", path.display()));
        let file = regular_file::open(path).map_err(|error| match error.kind() {
            ErrorKind::InvalidInput => LoadError::Refused(format!(
                "'{}' is no file: a dump is read twice, first to see that it is whole; put it into a file",
                path.display()
            )),
            _ => failed(error),
        })?;
        let bytes = file.metadata().map_err(failed)?.len();
        let again = move || {
            let mut file = file.try_clone()?;
            file.seek(SeekFrom::Start(0))?;
            Ok(Box::new(file) as Box<dyn Read>)
        };
        Ok(Self { name: path.display().to_string(), again: Box::new(again), bytes })
    }

    /// The same with an object of a storage; it is fetched twice.
    pub fn of_storage(storage: Arc<dyn Storage>, name: &str) -> Result<Self, LoadError> {
        let shown = format!("{}/{name}", storage.location());
        let refused = |why: String| LoadError::Refused(format!("cannot read '{shown}': {why}"));
        let size = storage.size(name).map_err(|error| refused(error.to_string()))?;
        let bytes = size.ok_or_else(|| refused("there is no such object".into()))?;
        let object = name.to_owned();
        let again = move || {
            let reader = storage.open(&object).map_err(io::Error::other)?;
            Ok(Box::new(reader) as Box<dyn Read>)
        };
        Ok(Self { name: shown, again: Box::new(again), bytes })
    }

    /// From its beginning, unpacked by what its first bytes say; with a count of the bytes that were read.
    fn unpacked(&self) -> io::Result<(Box<dyn Read>, Arc<AtomicU64>)> {
        let count = Arc::new(AtomicU64::new(0));
        let inner = (self.again)()?;
        let mut plain = BufReader::with_capacity(CHUNK, Counted { inner, count: Arc::clone(&count) });
        let mut magic = Vec::new();
        (&mut plain).take(4).read_to_end(&mut magic)?;
        let plain = io::Cursor::new(magic.clone()).chain(plain);
        let unpacked: Box<dyn Read> = match magic.as_slice() {
            [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(plain)),
            [b'B', b'Z', b'h', _] => Box::new(bzip2::bufread::MultiBzDecoder::new(plain)),
            [0x28, 0xb5, 0x2f, 0xfd] => Box::new(zstd::stream::read::Decoder::with_buffer(plain)?),
            _ => Box::new(plain),
        };
        Ok((unpacked, count))
    }

    fn failed(&self, error: &io::Error) -> LoadError {
        let path = &self.name;
        if error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<NotRead>) {
            return LoadError::Refused(format!("cannot read '{path}': {error}"));
        }
        match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                LoadError::Damaged(format!(
                    "'{path}' is damaged: it cannot be unpacked to its end ({error}): it was cut off or changed; take another copy"
                ))
            }
            // What zstd says of a frame that was changed has no kind.
            ErrorKind::Other if error.raw_os_error().is_none() => LoadError::Damaged(format!(
                "'{path}' is damaged: it cannot be unpacked ({error}); take another copy"
            )),
            _ => LoadError::Refused(format!("cannot read '{path}': {error}")),
        }
    }
}

/// What keeps the bytes away says nothing about them.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotRead(io::Error);

struct Counted<R> {
    inner: R,
    count: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer).map_err(|error| match error.kind() {
            ErrorKind::Interrupted => error,
            _ => io::Error::other(NotRead(error)),
        })?;
        self.count.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Takes the pieces: the bytes, and how far the source is read (raw bytes of a backup, stored ones of a file).
pub(super) type Take<'a> = &'a mut dyn FnMut(&[u8], u64) -> Result<(), LoadError>;

impl DumpSource<'_> {
    /// The users and grants of a backup, compared with their digest.
    pub fn users(reader: &BackupReader) -> Result<Self, LoadError> {
        let manifest = reader.manifest();
        let Some(users) = manifest.dump.as_ref().and_then(|dump| dump.users.as_ref()) else {
            return Err(LoadError::Usage(format!(
                "--users: backup '{}' holds no users and grants as statements",
                manifest.id
            )));
        };
        reader.unpacked(&users.name, users.bytes, &users.sha256, SMALL).map(Self::Small).map_err(Into::into)
    }

    /// Its name for people.
    pub fn name(&self) -> String {
        match self {
            Self::Backup { reader, .. } => format!("backup '{}'", reader.manifest().id),
            Self::File(file) => format!("'{}'", file.name),
            Self::Small(_) => "the object with the users".into(),
        }
    }

    /// What counts as its end in what [`Take`] is told.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Backup { index, .. } => index.raw_bytes,
            Self::File(file) => file.bytes,
            Self::Small(text) => text.len() as u64,
        }
    }

    /// All of it, compared with its digests where it has some.
    pub(super) fn read(&self, control: &Control<'_>, take: Take<'_>) -> Result<(), LoadError> {
        match self {
            Self::Backup { reader, index, threads } => {
                let mut stream = open_stream(reader, index, index.plan(), *threads)?;
                let failed = |cause: io::Error| {
                    let Manifest { id, archive, .. } = reader.manifest();
                    let undone = Undone::default();
                    LoadError::Source(match cause.kind() {
                        ErrorKind::InvalidData => RestoreError::Damaged {
                            id: id.to_string(),
                            path: archive.name.clone(),
                            what: cause.to_string(),
                            undone,
                        },
                        _ => RestoreError::Read(reader.archive_failed(cause), undone),
                    })
                };
                pieces(&mut (&mut stream).take(index.raw_bytes), control, &failed, &mut |piece, done| {
                    take(piece, done)
                })?;
                Ok(check_rest(stream, reader, &Control { progress: &|_| (), ..*control })?)
            }
            Self::File(file) => {
                let failed = |error| file.failed(&error);
                let (mut unpacked, count) = file.unpacked().map_err(failed)?;
                pieces(&mut unpacked, control, &failed, &mut |piece, _| {
                    take(piece, count.load(Ordering::Relaxed))
                })
            }
            Self::Small(text) => take(text, text.len() as u64),
        }
    }
}

fn pieces(
    from: &mut dyn Read,
    control: &Control<'_>,
    failed: &dyn Fn(io::Error) -> LoadError,
    take: Take<'_>,
) -> Result<(), LoadError> {
    let mut piece = vec![0; CHUNK];
    let mut done = 0;
    loop {
        if control.interrupted.load(Ordering::Relaxed) {
            return Err(LoadError::Interrupted);
        }
        match from.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                done += count as u64;
                take(&piece[..count], done)?;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) if control.interrupted.load(Ordering::Relaxed) => return Err(LoadError::Interrupted),
            Err(error) => return Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::throttle::Limiter;

    fn packed() -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(&[7; 4096]).unwrap();
        writer.finish().unwrap()
    }

    /// What reading a file says that ends so.
    fn read(bytes: Vec<u8>, end: Option<ErrorKind>) -> Result<(), LoadError> {
        let rest = Broken(end);
        let again = move || Ok(Box::new(io::Cursor::new(bytes.clone()).chain(rest)) as Box<dyn Read>);
        let file = DumpFile { name: "f".into(), again: Box::new(again), bytes: 1 };
        let (interrupted, limiter) = (AtomicBool::new(false), Limiter::unlimited());
        let control = Control { progress: &|_| (), interrupted: &interrupted, limiter: &limiter };
        DumpSource::File(file).read(&control, &mut |_, _| Ok(()))
    }

    #[derive(Clone, Copy)]
    struct Broken(Option<ErrorKind>);

    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.map_or(Ok(0), |kind| Err(io::Error::new(kind, "the line is broken")))
        }
    }

    #[test]
    fn a_line_that_breaks_says_nothing_of_the_file() {
        let half = || packed()[..packed().len() / 2].to_vec();
        assert!(read(packed(), None).is_ok());
        assert!(matches!(read(half(), None), Err(LoadError::Damaged(_))));
        for kind in [ErrorKind::Other, ErrorKind::UnexpectedEof, ErrorKind::TimedOut, ErrorKind::InvalidData]
        {
            let why = read(half(), Some(kind)).unwrap_err();
            assert!(
                matches!(&why, LoadError::Refused(text) if text.contains("the line is broken")),
                "{why:?}"
            );
        }
    }
}
