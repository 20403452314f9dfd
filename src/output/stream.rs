//! An archive that is the stream of another program, and what a method hands over, whichever it is.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use super::open::{Archive, Output, Written};
use super::{Destination, OutputError};
use crate::archive::{ArchiveError, StreamWriter, compress_whole, hex};
use crate::model::{Content, FilesState, IndexHeader, UsersObject, WsrepGtid};
use crate::seal::SealedWriter;
use crate::storage::ObjectWriter;

/// An archive that takes a stream; its position is known at the end.
pub struct StreamArchive<'a> {
    to: &'a Destination,
    content: Content,
    most: u64,
    writer: StreamWriter<Box<dyn ObjectWriter>, Box<dyn ObjectWriter>>,
    files: u64,
}

impl<'a> Output<'a> {
    /// Nothing stands before the stream.
    pub fn begin_stream(self) -> Result<StreamArchive<'a>, OutputError> {
        let Self { to, content, archive, index, most } = self;
        let header = IndexHeader {
            format: content.format(),
            id: to.id.clone(),
            content,
            files_state: FilesState::Clean,
            gtid: None,
            compression: to.options.compression,
        };
        let writer = StreamWriter::create(archive, index, header, to.options, &to.recipients)?;
        Ok(StreamArchive { to, content, most, writer, files: 0 })
    }
}

impl StreamArchive<'_> {
    /// Gives up what was written, and begins anew.
    pub fn begin_again(self) -> Result<Self, OutputError> {
        let Self { to, content, most, writer, .. } = self;
        drop(writer);
        to.open_for(content, most)?.begin_stream()
    }

    /// Whether it is encrypted.
    pub fn is_encrypted(&self) -> bool {
        !self.to.recipients.is_empty()
    }

    /// The stream has held so many files.
    pub fn holds(&mut self, files: u64) {
        self.files = files;
    }

    /// Stores users and grants, as statements, beside the archive: compressed and sealed as it is.
    pub fn put_users(&self, statements: &[u8]) -> Result<UsersObject, OutputError> {
        let (to, options) = (self.to, &self.to.options);
        let sealed = compress_whole(statements, options.compression, options.level).and_then(|packed| {
            let mut writer = SealedWriter::create(Vec::new(), &to.recipients)?;
            writer.write_all(&packed)?;
            writer.finish()
        });
        let sealed = sealed.map_err(ArchiveError::Write)?;
        let name = to.users_name();
        to.storage.put(&to.object(&name), &sealed)?;
        Ok(UsersObject { name, bytes: sealed.len() as u64, sha256: hex(&Sha256::digest(&sealed)) })
    }
}

impl Write for StreamArchive<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.writer.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// What a method has filled, to be ended.
#[expect(clippy::large_enum_variant, reason = "there is one of them")]
pub enum Captive<'a> {
    /// With the files of a data directory.
    Files(Archive<'a>),
    /// With a stream.
    Stream(StreamArchive<'a>),
}

impl<'a> Captive<'a> {
    /// Writes what follows the data, and the end of both streams.
    pub fn end(self, gtid: Option<&WsrepGtid>) -> Result<Written<'a>, ArchiveError> {
        match self {
            Self::Files(archive) => archive.end(gtid),
            Self::Stream(StreamArchive { to, content, writer, files, .. }) => Ok(Written {
                to,
                content,
                format: content.format(),
                streams: writer.finish(files, gtid.cloned())?,
            }),
        }
    }
}
