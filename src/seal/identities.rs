//! The secret keys of those who read.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use age::armor::ArmoredReader;
use age::secrecy::SecretString;
use age::{Decryptor, IdentityFile, ssh};
use thiserror::Error;

/// Larger than any file of keys.
const LIMIT: u64 = 1 << 20;
/// What an armoured age file begins with.
const ARMOUR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// What a binary age file begins with.
const BINARY: &[u8] = b"age-encryption.org/";

/// The keys in one file.
pub struct Identities {
    file: PathBuf,
    keys: Vec<Box<dyn age::Identity + Send + Sync>>,
    public: Vec<String>,
}

/// Why there are no keys.
#[derive(Debug, Error)]
#[error("cannot use the keys in '{file}': {why}")]
pub struct IdentityError {
    file: PathBuf,
    why: String,
}

impl Identities {
    /// Reads a file of age identities, which may be encrypted with a passphrase, or a private key of SSH. `ask` is asked
    /// for a passphrase where one is needed, and gives none where there is nobody to ask.
    pub fn read(file: &Path, ask: &dyn Fn(&str) -> Option<String>) -> Result<Self, IdentityError> {
        let fail = |why: String| IdentityError { file: file.to_path_buf(), why };
        let mut content = Vec::new();
        std::fs::File::open(file)
            .and_then(|opened| opened.take(LIMIT).read_to_end(&mut content))
            .map_err(|cause| fail(cause.to_string()))?;
        let passphrase = || {
            ask(&format!("Passphrase of '{}': ", file.display())).map(SecretString::from).ok_or_else(|| {
                "it is protected by a passphrase, and there is no terminal to ask for it".to_owned()
            })
        };
        let keys = match content.as_slice() {
            sealed if sealed.starts_with(ARMOUR) || sealed.starts_with(BINARY) => {
                passphrase().and_then(|passphrase| native(&opened(sealed, passphrase)?))
            }
            text if text.starts_with(b"-----BEGIN ") => private_key(text, passphrase),
            text => native(text),
        };
        let (keys, public) = keys.map_err(fail)?;
        Ok(Self { file: file.to_path_buf(), keys, public })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The public keys that belong to them.
    pub fn public(&self) -> &[String] {
        &self.public
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &dyn age::Identity> {
        self.keys.iter().map(|key| key.as_ref() as &dyn age::Identity)
    }
}

impl std::fmt::Debug for Identities {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identities({}: {})", self.file.display(), self.public.join(", "))
    }
}

type Keys = (Vec<Box<dyn age::Identity + Send + Sync>>, Vec<String>);

/// A file as `age-keygen` writes it.
fn native(text: &[u8]) -> Result<Keys, String> {
    let read = || {
        IdentityFile::from_buffer(text)
            .map_err(|_| "it holds neither keys of 'age-keygen' nor a private key of SSH".to_owned())
    };
    let mut public = Vec::new();
    read()?.write_recipients_file(&mut public).map_err(|_| "it holds no key".to_owned())?;
    let keys = read()?.into_identities().map_err(|why| why.to_string())?;
    Ok((keys, String::from_utf8_lossy(&public).lines().map(str::to_owned).collect()))
}

/// The file in an age file that is encrypted with a passphrase.
fn opened(sealed: &[u8], passphrase: SecretString) -> Result<Vec<u8>, String> {
    let decryptor =
        Decryptor::new_buffered(BufReader::new(ArmoredReader::new(sealed))).map_err(|why| why.to_string())?;
    if !decryptor.is_scrypt() {
        return Err("it is encrypted for another key, not with a passphrase: decrypt it first".into());
    }
    let key = age::scrypt::Identity::new(passphrase);
    let mut plain = Vec::new();
    let read = |reader: &mut dyn Read, plain: &mut Vec<u8>| reader.take(LIMIT).read_to_end(plain);
    decryptor
        .decrypt(std::iter::once(&key as &dyn age::Identity))
        .map_err(|_| io::Error::other("the passphrase is wrong"))
        .and_then(|mut reader| read(&mut reader, &mut plain))
        .map_err(|why| why.to_string())?;
    Ok(plain)
}

fn private_key(text: &[u8], passphrase: impl Fn() -> Result<SecretString, String>) -> Result<Keys, String> {
    let key = ssh::Identity::from_buffer(text, None)
        .map_err(|_| "it is no private key that SSH makes ('ssh-keygen -t ed25519')".to_owned())?;
    let public =
        ssh::Recipient::try_from(key.clone()).map_or_else(|_| Vec::new(), |key| vec![key.to_string()]);
    let key = match key {
        ssh::Identity::Unencrypted(_) => key,
        ssh::Identity::Encrypted(sealed) => {
            let plain = sealed.decrypt(passphrase()?).map_err(|_| "the passphrase is wrong".to_owned())?;
            ssh::Identity::from(plain)
        }
        ssh::Identity::Unsupported(_) => {
            return Err("this kind of SSH key is not supported: only ed25519 and RSA, not on hardware, in the format of \
                        OpenSSH"
                .into());
        }
    };
    Ok((vec![Box::new(key)], public))
}
