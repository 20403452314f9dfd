//! Whom backups are encrypted for, and who reads them.

use super::chapter::Chapter;
use super::entry::{Example, SettingSpec, Unset, list, set, text};
use super::flag_help::{EVERY_COMMAND, flag_help};
use crate::config::values::{ValueError, path, string};
use crate::seal::Recipient;

pub(super) const CHAPTER: Chapter = Chapter {
    title: "Encryption",
    text: "By this program, on the donor, in the format of age.",
    settings: &[
        SettingSpec {
            name: "encrypt-to",
            value: "KEY | FILE",
            unset: Unset::Described("none"),
            meaning: "A public key of age (age1…) or SSH (ssh-ed25519 …, ssh-rsa …) that archive and index are encrypted for, or the \
                      absolute path of a file with such keys. Several keys stand on a line with commas between them, or on lines of \
                      their own, each of which adds to those before it. The donor needs no secret key.",
            note: "Encryption by this program: public keys of age (age-keygen) or SSH, or a file that holds some; each line adds to \
                   those before it. The donor needs no secret. identity-file is for 'verify', 'restore' and 'ls'; keep it off the \
                   donor.",
            example: Example::Value("age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"),
            ..list(|to, text| add_recipients(&mut to.encrypt_to, text))
        },
        SettingSpec {
            name: "identity-file",
            value: "FILE",
            unset: Unset::Described("none"),
            meaning: "The file of the secret key, of age or SSH, with which verify, restore and ls read encrypted backups.",
            example: Example::Value("/root/backup-key.txt"),
            flags: &[flag_help(
                &[EVERY_COMMAND],
                "File of the secret key for encrypted backups, of age or SSH",
            )],
            ..text(|to, text| set(&mut to.identity_file, path(text)))
        },
    ],
};

/// Public keys, several of them on a line with commas between them, each once.
fn add_recipients(all: &mut Vec<Recipient>, text: &str) -> Result<(), ValueError> {
    let parts = string(text)?;
    for part in parts.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
        for key in Recipient::read(part).map_err(ValueError::new)? {
            if !all.contains(&key) {
                all.push(key);
            }
        }
    }
    Ok(())
}
