//! What is read unsealed.

use std::io::{self, Read, Seek};

use age::stream::StreamReader;
use age::{DecryptError, Decryptor};
use thiserror::Error;

use super::Identities;

/// The stream inside a sealed object.
pub type Unsealed<R> = StreamReader<R>;

/// Why an object could not be opened.
#[derive(Debug, Error)]
pub enum UnsealError {
    /// None of the keys opens it.
    #[error("none of the keys opens it")]
    WrongKey,
    /// It is not what was written, or reading it failed: who has read it knows which.
    #[error("{0}")]
    Damaged(String),
}

impl From<DecryptError> for UnsealError {
    fn from(error: DecryptError) -> Self {
        match error {
            DecryptError::NoMatchingKeys => Self::WrongKey,
            DecryptError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged("the header of its encryption is cut off".into())
            }
            DecryptError::Io(_) | DecryptError::InvalidHeader | DecryptError::UnknownFormat => {
                Self::Damaged("the header of its encryption cannot be read".into())
            }
            _ => Self::Damaged("the header of its encryption was changed".into()),
        }
    }
}

/// Reads the header of a sealed object, which stands at its first byte.
pub fn unseal<R: Read + Seek>(object: R, keys: &Identities) -> Result<Unsealed<R>, UnsealError> {
    let mut stream = Decryptor::new(object)?.decrypt(keys.keys())?;
    // The library counts bytes until it is told to seek, and loses count where a read fails.
    stream.stream_position().map_err(|error| UnsealError::Damaged(error.to_string()))?;
    Ok(stream)
}

/// The same for a stream that is read once, from its first byte to its last.
pub fn unseal_stream<R: Read>(object: R, keys: &Identities) -> Result<Unsealed<R>, UnsealError> {
    Ok(Decryptor::new(object)?.decrypt(keys.keys())?)
}

/// A whole small object.
#[cfg(test)]
pub(super) fn unseal_small(object: &[u8], keys: &Identities) -> Result<Vec<u8>, UnsealError> {
    let mut plain = Vec::with_capacity(object.len());
    unseal_stream(object, keys)?
        .read_to_end(&mut plain)
        .map_err(|_| UnsealError::Damaged("its encryption shows that it was changed".into()))?;
    Ok(plain)
}
