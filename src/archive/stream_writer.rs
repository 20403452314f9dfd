//! Writes an archive that is one stream of another program: blocks and their places, and no members.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::block_writer::{BlockWriter, WriterOptions};
use super::index::IndexWriter;
use super::writer::{ArchiveError, ArchiveSummary, Finished};
use crate::model::{IndexHeader, WsrepGtid};
use crate::seal::Recipient;

/// Takes the stream as [`Write`]. Dropping it unfinished abandons both objects.
pub struct StreamWriter<W, I: Write> {
    stream: BlockWriter<W>,
    index: Arc<Mutex<IndexWriter<I>>>,
}

impl<W: Write + Send + 'static, I: Write + Send + 'static> StreamWriter<W, I> {
    /// Starts an archive that goes to `archive`, and its index that goes to `index`; both are sealed for the recipients,
    /// if there are any.
    pub fn create(
        archive: W,
        index: I,
        header: IndexHeader,
        options: WriterOptions,
        recipients: &[Recipient],
    ) -> Result<Self, ArchiveError> {
        let index = Arc::new(Mutex::new(IndexWriter::create(index, header, recipients)?));
        let stream = BlockWriter::create(archive, Arc::clone(&index), options, recipients)?;
        Ok(Self { stream, index })
    }

    /// Waits for both sinks. The stream held so many files, and stands at this position of a cluster, if it is of one.
    pub fn finish(self, files: u64, gtid: Option<WsrepGtid>) -> Result<Finished<W, I>, ArchiveError> {
        let data_bytes = self.stream.raw_written();
        let (archive, archive_bytes, archive_sha256) = self.stream.finish()?;
        let mut index = Arc::into_inner(self.index)
            .and_then(|mutex| mutex.into_inner().ok())
            .ok_or_else(|| io::Error::other("the index is still in use"))?;
        index.position(gtid);
        let (index, index_bytes, index_sha256) = index.finish()?;
        let summary = ArchiveSummary {
            archive_bytes,
            archive_sha256,
            index_bytes,
            index_sha256,
            data_bytes,
            files,
            damaged_pages: 0,
            missing_pages: 0,
            lost: Vec::new(),
            leftovers: Vec::new(),
            live_redo: None,
        };
        Ok(Finished { archive, index, summary })
    }
}

impl<W: Write + Send + 'static, I: Write> Write for StreamWriter<W, I> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
