//! What is written sealed.

use std::io::{self, Write};

use age::Encryptor;
use age::stream::StreamWriter;

use super::Recipient;

/// A writer that seals what it passes on, or passes it on as it is where no recipient is named.
pub enum SealedWriter<W: Write> {
    /// As it is.
    Plain(W),
    /// In the format of age. Without [`SealedWriter::finish`] the end is missing, which a reader notices.
    Age(Box<StreamWriter<W>>),
}

impl<W: Write> SealedWriter<W> {
    /// Writes the header.
    pub fn create(inner: W, recipients: &[Recipient]) -> io::Result<Self> {
        if recipients.is_empty() {
            return Ok(Self::Plain(inner));
        }
        let encryptor = Encryptor::with_recipients(recipients.iter().map(Recipient::key))
            .map_err(|error| io::Error::other(format!("cannot encrypt: {error}")))?;
        Ok(Self::Age(Box::new(encryptor.wrap_output(inner)?)))
    }

    /// Writes the last chunk.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Plain(inner) => Ok(inner),
            Self::Age(stream) => stream.finish(),
        }
    }
}

impl<W: Write> Write for SealedWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(inner) => inner.write(buffer),
            Self::Age(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(inner) => inner.flush(),
            Self::Age(stream) => stream.flush(),
        }
    }
}
