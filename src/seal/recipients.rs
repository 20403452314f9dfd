//! Who will be able to read a backup.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use age::ssh::ParseRecipientKeyError;

/// A public key: of age (`age1…`), or of SSH (`ssh-ed25519 …`, `ssh-rsa …`).
#[derive(Clone)]
pub struct Recipient {
    text: String,
    key: Arc<dyn age::Recipient + Send + Sync>,
}

impl Recipient {
    /// Reads one public key, or the file at an absolute path that holds one on each line (blank ones and those that
    /// begin with `#` do not count). The error never has the text of a secret key.
    pub fn read(text: &str) -> Result<Vec<Self>, String> {
        if !text.starts_with('/') {
            return Ok(vec![Self::parse(text)?]);
        }
        let path = Path::new(text);
        let content =
            std::fs::read_to_string(path).map_err(|cause| format!("cannot read '{text}': {cause}"))?;
        let lines = (1..).zip(content.lines().map(str::trim));
        let keys = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let found = keys
            .map(|(number, line)| Self::parse(line).map_err(|why| format!("{text} line {number}: {why}")))
            .collect::<Result<Vec<_>, _>>()?;
        if found.is_empty() { Err(format!("'{text}' names no public key")) } else { Ok(found) }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("age-secret-key-") || text.contains("PRIVATE KEY") {
            return Err(
                "this is a secret key, which no donor must have: give the public one ('age-keygen -y FILE' \
                        prints it)"
                    .into(),
            );
        }
        if lower.starts_with("ssh-") {
            let key: age::ssh::Recipient = text.parse().map_err(|why| ssh_problem(text, &why))?;
            return Ok(Self { text: key.to_string(), key: Arc::new(key) });
        }
        match text.parse::<age::x25519::Recipient>() {
            Ok(key) => Ok(Self { text: key.to_string(), key: Arc::new(key) }),
            Err(_) if lower.starts_with("age1") && lower[4..].contains('1') => Err(format!(
                "'{text}' is a key of an age plugin or of another kind than X25519; keys that 'age-keygen' and 'ssh-keygen' \
                 make can be used"
            )),
            Err(_) => Err(format!(
                "'{text}' is no public key of age ('age1…', as 'age-keygen' prints it) or SSH ('ssh-ed25519 …' or \
                 'ssh-rsa …'), and no absolute path of a file with such keys"
            )),
        }
    }

    pub(super) fn key(&self) -> &dyn age::Recipient {
        self.key.as_ref()
    }
}

fn ssh_problem(text: &str, why: &ParseRecipientKeyError) -> String {
    let kind = text.split(' ').next().unwrap_or_default();
    match why {
        ParseRecipientKeyError::RsaModulusTooSmall => "an RSA key of less than 2048 bits is too weak".into(),
        ParseRecipientKeyError::RsaModulusTooLarge => {
            "an RSA key of more than 4096 bits is not supported".into()
        }
        ParseRecipientKeyError::Unsupported(_) => {
            format!("SSH keys of the type '{kind}' are not supported: only ssh-ed25519 and ssh-rsa")
        }
        _ => format!("'{text}' is no public key of SSH"),
    }
}

/// As it stands in manifests: without the comment of an SSH key.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.text)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}
