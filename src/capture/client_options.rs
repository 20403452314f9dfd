//! The option file with which one of MariaDB's programs logs in: memory that has no name.

use std::fs::{File, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::error::CaptureError;
use crate::sql::Account;

/// An open file that nobody else can find. MariaDB's programs pass over an option file that everybody may write to, so that it
/// must not have the mode that it is made with.
/// `group` is the one that the program reads.
pub(super) fn file(group: &str, account: &Account, socket: &Path) -> Result<File, CaptureError> {
    let failed =
        |error: std::io::Error| CaptureError::Program(format!("cannot make an option file: {error}"));
    let memory = memfd_create("options", MFdFlags::MFD_CLOEXEC).map_err(|errno| failed(errno.into()))?;
    let mut file = File::from(memory);
    let written = file
        .set_permissions(Permissions::from_mode(0o600))
        .and_then(|()| file.write_all(text(group, account, socket).as_bytes()));
    written.map(|()| file).map_err(failed)
}

fn text(group: &str, account: &Account, socket: &Path) -> String {
    let mut lines = vec![format!("[{group}]"), format!("socket={}", quoted(&socket.to_string_lossy()))];
    lines.extend(account.user.as_deref().map(|user| format!("user={}", quoted(user))));
    lines.extend(account.password.as_ref().map(|password| format!("password={}", quoted(password.expose()))));
    lines.join("\n") + "\n"
}

/// As `my_load_defaults` reads it back: the quotes go, and in them `#` begins no comment.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for letter in value.chars() {
        match letter {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '"' | '\\' => text.extend(['\\', letter]),
            _ => text.push(letter),
        }
    }
    text + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    #[test]
    fn the_servers_own_program_reads_back_what_was_written() {
        let account = Account {
            user: Some("back up".into()),
            password: Some(Secret::from("a # b;'c\" d\\n\te\n".to_owned())),
            tls: None,
        };
        let mut command = std::process::Command::new("my_print_defaults");
        let file = file("mariabackup", &account, Path::new("/run/s.sock")).unwrap();
        let told =
            command.args(["--defaults-file=/proc/self/fd/0", "mariabackup"]).stdin(file).output().unwrap();
        let wanted = "--socket=/run/s.sock\n--user=back up\n--password=a # b;'c\" d\\n\te\n\n";
        assert_eq!(
            String::from_utf8_lossy(&told.stdout),
            wanted,
            "{}",
            String::from_utf8_lossy(&told.stderr)
        );
    }
}
