//! The option file with which a program of MariaDB logs in: memory that has no name.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{Account, Endpoint};

/// An open file that nobody else can find; it is handed to a program as its stdin, or by [`inherited`]. MariaDB's programs pass over an option
/// file that everybody may write to, so that it must not have the mode that it is made with. `group` is the one that the program reads.
pub fn option_file(group: &str, endpoint: &Endpoint, account: &Account) -> io::Result<File> {
    let mut file = File::from(memfd_create("options", MFdFlags::MFD_CLOEXEC)?);
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(text(group, endpoint, account).as_bytes())?;
    Ok(file)
}

/// Lets the next child have it: the argument by which that finds it. To be dropped when the child was started.
pub fn inherited(file: &File) -> io::Result<String> {
    fcntl(file, FcntlArg::F_SETFD(FdFlag::empty()))?;
    Ok(format!("--defaults-file=/proc/self/fd/{}", file.as_raw_fd()))
}

fn text(group: &str, endpoint: &Endpoint, account: &Account) -> String {
    let mut lines = vec![format!("[{group}]")];
    let mut add = |name: &str, value: &str| lines.push(format!("{name}={}", option_value(value)));
    match endpoint {
        Endpoint::Socket(path) => add("socket", &path.to_string_lossy()),
        Endpoint::Tcp(address) => {
            add("protocol", "tcp");
            add("host", &address.host);
            add("port", &Endpoint::port(address).to_string());
        }
    }
    account.user.iter().for_each(|user| add("user", user));
    account.password.iter().for_each(|password| add("password", password.expose()));
    match (endpoint, &account.tls) {
        (Endpoint::Tcp(_), Some(tls)) => {
            add("ssl-ca", &tls.ca.to_string_lossy());
            if let Some((certificate, key)) = &tls.identity {
                add("ssl-cert", &certificate.to_string_lossy());
                add("ssl-key", &key.to_string_lossy());
            }
            add("ssl-verify-server-cert", if tls.verify_name { "1" } else { "0" });
        }
        (Endpoint::Tcp(_), None) => lines.push("skip-ssl".into()),
        (Endpoint::Socket(_), _) => {}
    }
    lines.join("\n") + "\n"
}

/// A value of an option file, as `my_load_defaults` reads it back: the quotes go, and in them `#` begins no comment.
pub fn option_value(value: &str) -> String {
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
    use std::process::Command;

    use super::*;
    use crate::config::Secret;

    #[test]
    fn the_servers_own_program_reads_back_what_was_written() {
        let account = Account {
            user: Some("back up".into()),
            password: Some(Secret::from("a # b;'c\" d\\n\te\n".to_owned())),
            tls: None,
        };
        for (endpoint, place, tls) in [
            (Endpoint::Socket("/run/s.sock".into()), "--socket=/run/s.sock\n", ""),
            (
                Endpoint::Tcp("[::1]:3307".parse().unwrap()),
                "--protocol=tcp\n--host=::1\n--port=3307\n",
                "--skip-ssl\n",
            ),
        ] {
            let file = option_file("client", &endpoint, &account).unwrap();
            let from = inherited(&file).unwrap();
            let told = Command::new("my_print_defaults").args([&from, "client"]).output().unwrap();
            let wanted = format!("{place}--user=back up\n--password=a # b;'c\" d\\n\te\n\n{tls}");
            let said = String::from_utf8_lossy(&told.stderr);
            assert_eq!(String::from_utf8_lossy(&told.stdout), wanted, "{said}");
        }
    }
}
